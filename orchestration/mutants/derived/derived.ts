import { rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { cacheDir } from "../../base/paths.ts";
import { short, type Digest } from "../../base/digest.ts";
import { readJson, writeJson } from "../../base/json-file.ts";
import type { Progress } from "../../base/progress.ts";
import type { Plan, PlannedTest } from "../../plan/plan.ts";
import { summaryOf } from "../../record/outcome.ts";
import type { Outcome } from "../../record/v1.ts";
import type { PoolOptions, RunningPool } from "../../run/run.ts";
import { runTests, type Subject } from "../run-tests.ts";
import { accuses, type Observed } from "../verdict.ts";
import { countReached, nextRound, trialKey, trialsOf, type Known, type Trial } from "./choose.ts";
import { readReach, type Reach } from "./reach.ts";
import type { DerivedBug } from "./rules.ts";

export interface DerivedOptions<T> {
  /** Every requirement to be seen red. */
  readonly requirements: readonly string[];
  readonly plan: Plan;
  /** Every test that can be run, canaries left out. */
  readonly tests: readonly PlannedTest[];
  readonly bugs: readonly DerivedBug[];
  /** The module with all switches. */
  readonly subject: Subject<T>;
  /** Digest of all that decides which places a test reaches. */
  readonly reachKey: Digest;
  readonly fresh: boolean;
  /** Trials of one requirement at most. */
  readonly tries: number;
  readonly slots: number;
  /** Records and evidence lie below it. */
  readonly home: string;
  readonly runId: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  readonly startPool: (options: PoolOptions<T>) => Promise<RunningPool>;
}

/** A test that went red with a bug on. */
export interface SeenRed {
  readonly trial: Trial;
  readonly reason: string;
}

/** What was found out about one requirement. */
export interface RequirementProof {
  readonly requirement: string;
  readonly red: SeenRed | null;
  /** Tests of it that ran on the module with no bug on and passed. */
  readonly tests: number;
  /** Trials made for it, the red one included. */
  readonly tried: number;
  /** Trials that could be made. */
  readonly possible: number;
}

/** A bug that more of the tests than this reach says nothing about one requirement. */
const WIDEST_SHARE = 0.05;

const reachSchema = z.object({ schema: z.literal("buslab.derived-reach/1"), reach: z.record(z.string(), z.array(z.number())), failed: z.array(z.string()) });

/**
 * Which requirements can be seen red: first every test on the module with no bug on, to know which places it reaches;
 * then, round by round, for every requirement not yet seen red one of its tests with a bug on that few other tests reach.
 * @returns one row a requirement, in their order
 */
export async function tryDerived<T>(options: DerivedOptions<T>): Promise<RequirementProof[]> {
  const { reach, failed } = await reachOf(options);
  const passing = options.tests.filter((test) => reach.has(test.id) && !failed.has(test.id));
  const known: Known = {
    tests: new Map(options.requirements.map((id) => [id, passing.filter((test) => test.requirements.includes(id))])),
    bugs: new Map(options.bugs.map((bug) => [bug.place, bug])),
    reach,
    widest: Math.ceil(options.tests.length * WIDEST_SHARE),
  };
  const reachedBy = countReached(reach);
  const trials = new Map(options.requirements.map((id) => [id, trialsOf(id, known, reachedBy)]));
  const red = new Map<string, SeenRed>();
  const tried = new Map<string, number>();
  const pairs = new Set<string>();
  const step = options.progress.step("derived bugs");
  for (let number = 1; number <= options.tries && !options.signal.aborted; number++) {
    const open = options.requirements.filter((id) => !red.has(id));
    const round = nextRound(open, trials, pairs);
    if (round.length === 0) break;
    step.update(`round ${number}: ${round.length} trials, ${red.size} of ${options.requirements.length} requirements seen red`, red.size / options.requirements.length);
    const wanted = new Set(open);
    for (const { trial, outcome } of await runRound(options, round, number)) {
      pairs.add(trialKey(trial));
      for (const id of trial.test.requirements) {
        if (!wanted.has(id) || red.has(id)) continue;
        tried.set(id, (tried.get(id) ?? 0) + 1);
        if (accuses(outcome)) red.set(id, { trial, reason: summaryOf(outcome) });
      }
    }
  }
  const text = `${red.size} of ${options.requirements.length} requirements seen red`;
  if (options.signal.aborted) step.fail(`interrupted, ${text}`);
  else step.done(text);
  return options.requirements.map((id) => ({
    requirement: id,
    red: red.get(id) ?? null,
    tests: known.tests.get(id)?.length ?? 0,
    tried: tried.get(id) ?? 0,
    possible: trials.get(id)?.length ?? 0,
  }));
}

/** Runs each test of a round once, with its own bug on. */
async function runRound<T>(options: DerivedOptions<T>, round: readonly Trial[], number: number): Promise<{ trial: Trial; outcome: Outcome }[]> {
  const name = `round-${number}`;
  const file = join(options.home, `${name}.json`);
  await writeJson(file, Object.fromEntries(round.map(({ test, bug }) => [test.id, bug.place])));
  const observed = await runAll(options, round.map(({ test }) => test), name, { BUSLAB_BUGS: file });
  const byTest = new Map(round.map((trial) => [trial.test.id, trial]));
  return observed.flatMap(({ test, outcome }) => {
    const trial = byTest.get(test.id);
    return trial === undefined ? [] : [{ trial, outcome }];
  });
}

/** Which places each test reaches, and which tests do not pass although no bug is on; kept, as the whole suite is run for it. */
async function reachOf<T>(options: DerivedOptions<T>): Promise<{ reach: Reach; failed: ReadonlySet<string> }> {
  const path = join(cacheDir(), "mutants", `reach-${short(options.reachKey)}.json`);
  const kept = options.fresh ? undefined : await readJson(path, reachSchema).catch(() => undefined);
  if (kept !== undefined) return { reach: new Map(Object.entries(kept.reach)), failed: new Set(kept.failed) };
  const file = join(options.home, "reach.jsonl");
  await rm(file, { force: true });
  const observed = await runAll(options, options.tests, "reach", { BUSLAB_REACH: file });
  const reach = await readReach(file);
  const failed = new Set(observed.filter(({ outcome }) => outcome.kind !== "passed").map(({ test }) => test.id));
  // a runner or machine that died told less than there is
  const whole = observed.every(({ outcome }) => outcome.kind !== "not-run" && outcome.kind !== "infra-error");
  if (whole && !options.signal.aborted) await writeJson(path, { schema: "buslab.derived-reach/1", reach: Object.fromEntries(reach), failed: [...failed] });
  return { reach, failed };
}

async function runAll<T>(options: DerivedOptions<T>, tests: readonly PlannedTest[], name: string, env: Readonly<Record<string, string>>): Promise<Observed[]> {
  const step = options.progress.step(name);
  const subject = { ...options.subject, env: { ...options.subject.env, ...env } };
  const observed = await runTests({ ...options, subject, tests, stopAtFirst: false, dir: join(options.home, name), step });
  const text = `${tests.length} tests, ${observed.filter(({ outcome }) => accuses(outcome)).length} red`;
  if (options.signal.aborted) step.fail(`interrupted, ${text}`);
  else step.done(text);
  return observed;
}
