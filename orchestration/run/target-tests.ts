import { asSuiteError } from "../base/errors.ts";
import type { Progress } from "../base/progress.ts";
import { plannedFor, plannedOn, type Plan, type PlannedTest } from "../plan/plan.ts";
import type { RecordWriter } from "../record/jsonl.ts";
import type { KernelEvent } from "../record/v1.ts";
import { Follower } from "./follow.ts";
import { RunProgress } from "./progress.ts";
import type { RunFolder } from "./run-folder.ts";
import type { GenerationFinding, PoolOptions, Ready, RunningPool } from "./run.ts";
import { runRunner, type RunnerOptions } from "./runner.ts";

export interface TargetTests<T> {
  readonly plan: Plan;
  readonly folder: RunFolder;
  readonly target: string;
  readonly up: Ready<T>;
  readonly slots: number;
  /** Names what this target has of its own beside others of the run; empty where it is the only one. */
  readonly name: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  readonly writer: RecordWriter;
  readonly startPool: (options: PoolOptions<T>) => Promise<RunningPool>;
  readonly keep?: number;
  readonly onTargetEvents: (target: string, events: readonly KernelEvent[]) => void;
  readonly runnerArgv?: RunnerOptions["argv"];
}

/** Longest silence of the runner on hardware before it counts as dead; several times the limit of one test. */
const SILENCE_MS = 60_000;
/** A runner that dies is replaced for the tests that have not begun, and so often. */
const RUNNER_STARTS = 4;

/** Everything between the start of a target's pool and its end; errors become records. */
export async function runTargetTests<T>(run: TargetTests<T>): Promise<void> {
  const { plan, folder, target, up, writer } = run;
  const tests = testsFor(plan, target, up.generation);
  const step = run.progress.step(run.name === "" ? "run" : `run ${target}`);
  const progress = new RunProgress(step, tests.length);
  const follower = new Follower(folder.records, (record) => {
    if (!("target" in record) || record.target === target) progress.take(record);
  });
  try {
    await using pool = await run.startPool({
      name: run.name,
      templates: new Map([[target, up.template]]),
      ...(up.parallel === undefined ? {} : { parallel: new Map([[target, up.parallel]]) }),
      facts: new Map([[target, { ...up.facts, generation: plan.generation === "auto" ? up.generation.detected : plan.generation }]]),
      slots: run.slots,
      folder,
      slowdown: up.slowdown,
      ...(run.keep === undefined ? {} : { keep: run.keep }),
      appendRecord: (fields) => writer.append(fields),
      onTargetEvents: run.onTargetEvents,
    });
    for (let starts = 1, left: readonly PlannedTest[] = tests, begunBefore = 0; ; starts += 1) {
      follower.start();
      const end = await runRunner({
        folder,
        name: run.name,
        tests: new Map([[target, left]]),
        poolSocket: pool.socketPath,
        slots: run.slots,
        slowdown: up.slowdown,
        seed: plan.seed,
        env: up.env,
        silenceMs: Math.min(SILENCE_MS * Math.max(1, up.slowdown), 600_000),
        lastSign: () => progress.lastSign,
        signal: run.signal,
        ...(run.runnerArgv === undefined ? {} : { argv: run.runnerArgv }),
      });
      await follower.stop();
      const because = run.signal.aborted ? null : abnormal(end, progress.done);
      if (because === null) break;
      // What ran is not run again: its result is lost, and that is what the records say. The rest gets a new runner.
      left = left.filter((test) => !progress.hasBegun(target, test.id));
      const again = left.length > 0 && starts < RUNNER_STARTS && progress.begun > begunBefore;
      begunBefore = progress.begun;
      writer.append({ type: "run-error", target, code: "RUNNER_FAILED", message: `${because}${again ? `; ${left.length} tests go on with a new one` : ""}\n${end.tail}` });
      if (!again) break;
      step.update(`${because}; ${left.length} tests go on with a new one`);
    }
    step.done(progress.summary());
  } catch (thrown) {
    await follower.stop();
    const error = asSuiteError(thrown);
    writer.append({ type: "run-error", target, code: error.code, message: [error.message, error.details ?? ""].join("\n").trim() });
    step.fail(error.message);
  }
}

/** Tests of the plan for this target and a subject of the generation found, or named by the caller. */
export function testsFor(plan: Plan, target: string, found: GenerationFinding): PlannedTest[] {
  const generation = plan.generation === "auto" && found.detected !== "unknown" ? found.detected : plan.generation;
  return plan.tests.filter((test) => plannedFor(test, generation) && plannedOn(test, target));
}

/** 0 and 1 are the runner's codes for all passed and some failed; anything else is its own trouble. */
function abnormal(end: Awaited<ReturnType<typeof runRunner>>, done: number): string | null {
  if (end.silent) return "the test runner was ended because nothing was recorded for too long";
  if (end.signal !== null) return `the test runner was ended by ${end.signal}`;
  if (end.exitCode !== 0 && end.exitCode !== 1) return `the test runner ended with exit code ${end.exitCode}`;
  return done === 0 ? "the test runner ran no test" : null;
}
