import { summaryOf } from "../record/outcome.ts";
import type { Outcome } from "../record/v1.ts";
import type { PlannedTest } from "../plan/plan.ts";
import type { Mutant } from "./mutant.ts";

export const FATES = ["killed", "survived", "invalid", "undecided"] as const;
export type FateKind = (typeof FATES)[number];

/** What became of a mutant. */
export interface Fate {
  readonly outcome: FateKind;
  /** Claimed ids of the test that killed it. */
  readonly killedBy: readonly string[];
  /** Id of that test. */
  readonly test: string | null;
  /** One line: how it was killed, or why it is invalid or undecided. */
  readonly reason: string;
  /** Tests that name none of the claimed ids and saw it all the same; only looked for when it survived. */
  readonly seenBy: readonly string[];
}

export interface Observed {
  readonly test: PlannedTest;
  readonly outcome: Outcome;
}

/**
 * The fate that the tests naming a claimed id decide. A kill is an outcome that accuses the subject; what says nothing
 * about the subject kills nothing, and a mutant is only called a survivor by tests that really ran.
 */
export function fateOf(mutant: Pick<Mutant, "breaks">, observed: readonly Observed[]): Fate {
  const kill = observed.find(({ test, outcome }) => accuses(outcome) && test.requirements.some((id) => claims(mutant, id)));
  if (kill !== undefined) {
    return { outcome: "killed", killedBy: kill.test.requirements.filter((id) => claims(mutant, id)), test: kill.test.id, reason: summaryOf(kill.outcome), seenBy: [] };
  }
  const open = (outcome: FateKind, reason: string): Fate => ({ outcome, killedBy: [], test: null, reason, seenBy: [] });
  if (observed.length === 0) return open("survived", `no test names ${mutant.breaks.join(" or ")}`);
  const unsure = observed.find(({ outcome }) => outcome.kind === "infra-error" || outcome.kind === "not-run");
  if (unsure !== undefined) return open("undecided", `${unsure.test.id}: ${summaryOf(unsure.outcome)}`);
  const ran = observed.filter(({ outcome }) => outcome.kind === "passed");
  const [unsupported] = observed.filter(({ outcome }) => outcome.kind === "unsupported");
  if (ran.length === 0 && unsupported !== undefined) return open("undecided", `no test could run: ${summaryOf(unsupported.outcome)}`);
  return open("survived", `${ran.length} ${ran.length === 1 ? "test passes" : "tests pass"}`);
}

/** True for an outcome that blames the subject. */
export function accuses(outcome: Outcome): boolean {
  return outcome.kind === "failed" || outcome.kind === "crashed" || outcome.kind === "timed-out";
}

/** Tests to be run a second time: those that told nothing, unless somebody killed the mutant anyway. */
export function toRepeat(mutant: Pick<Mutant, "breaks">, observed: readonly Observed[]): PlannedTest[] {
  if (fateOf(mutant, observed).outcome !== "undecided") return [];
  return observed.filter(({ outcome }) => outcome.kind === "infra-error" || outcome.kind === "not-run").map(({ test }) => test);
}

function claims(mutant: Pick<Mutant, "breaks">, id: string): boolean {
  return (mutant.breaks as readonly string[]).includes(id);
}
