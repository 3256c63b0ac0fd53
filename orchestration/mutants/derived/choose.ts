import type { PlannedTest } from "../../plan/plan.ts";
import type { Reach } from "./reach.ts";
import type { DerivedBug } from "./rules.ts";

/** One test to be run with one bug on. */
export interface Trial {
  readonly test: PlannedTest;
  readonly bug: DerivedBug;
  /** Requirement for whose sake. */
  readonly requirement: string;
  /** Tests of the whole suite that reach the bug. */
  readonly reachedBy: number;
}

/** What is known so far. */
export interface Known {
  /** Tests by requirement. */
  readonly tests: ReadonlyMap<string, readonly PlannedTest[]>;
  readonly bugs: ReadonlyMap<number, DerivedBug>;
  readonly reach: Reach;
  /** Bugs that more tests reach are not tried: what breaks the half of the suite tells nothing of one requirement. */
  readonly widest: number;
}

/** How a pair is called in the set of those that were tried. */
export function trialKey({ test, bug }: Pick<Trial, "test" | "bug">): string {
  return `${bug.place} ${test.id}`;
}

/** All that can be tried for a requirement, what fewest tests reach first. */
export function trialsOf(requirement: string, { tests, bugs, reach, widest }: Known, reachedBy: ReadonlyMap<number, number>): Trial[] {
  const own = tests.get(requirement) ?? [];
  const trials = own.flatMap((test) =>
    (reach.get(test.id) ?? []).flatMap((place): Trial[] => {
      const bug = bugs.get(place);
      const count = reachedBy.get(place) ?? 0;
      return bug === undefined || count > widest ? [] : [{ test, bug, requirement, reachedBy: count }];
    }),
  );
  return trials.sort((a, b) => a.reachedBy - b.reachedBy || a.bug.place - b.bug.place);
}

/** The next trial of each requirement, one a test: a test has one machine with one bug. */
export function nextRound(requirements: readonly string[], trials: ReadonlyMap<string, readonly Trial[]>, tried: ReadonlySet<string>): Trial[] {
  const round = new Map<string, Trial>();
  for (const requirement of requirements) {
    const open = (trials.get(requirement) ?? []).filter((trial) => !tried.has(trialKey(trial)));
    const next = open.find((trial) => round.get(trial.test.id)?.bug === trial.bug) ?? open.find((trial) => !round.has(trial.test.id));
    if (next !== undefined) round.set(next.test.id, next);
  }
  return [...round.values()];
}

/** How many tests reach each place. */
export function countReached(reach: Reach): Map<number, number> {
  const counts = new Map<number, number>();
  for (const places of reach.values()) for (const place of places) counts.set(place, (counts.get(place) ?? 0) + 1);
  return counts;
}
