import { nowMs } from "../base/deadline.ts";
import { asSuiteError, SuiteError } from "../base/errors.ts";
import { writeJson } from "../base/json-file.ts";
import type { Progress } from "../base/progress.ts";
import { planDigest, plannedFor, plannedOn, type Plan, type PlannedTest } from "../plan/plan.ts";
import { createRecords, RecordWriter } from "../record/jsonl.ts";
import type { KernelEvent, RecordFields, RecordOf } from "../record/v1.ts";
import { Follower } from "./follow.ts";
import { RunProgress } from "./progress.ts";
import type { RunFolder } from "./run-folder.ts";
import { runRunner, type RunnerOptions } from "./runner.ts";

/** The signs of spec/00-overview.md section 4, and what they come to. */
export interface GenerationFinding {
  readonly detected: "2015-03" | "2015-08" | "unknown";
  readonly signs: Readonly<Record<string, string>>;
  /** What the kernel reported while it was asked. */
  readonly events?: readonly KernelEvent[];
}

/** A target that is ready to be tested. `T` is whatever the pool needs of it. */
export interface Ready<T> {
  readonly template: T;
  readonly accel: RecordOf<"target-begin">["accel"];
  readonly artifacts: RecordOf<"target-begin">["artifacts"];
  /** Given to the tests, and recorded one by one. */
  readonly facts: Readonly<Record<string, unknown>>;
  readonly generation: GenerationFinding;
  /** Kernel reports outside of any test: at boot, while loading, while finding the generation. */
  readonly events: readonly KernelEvent[];
  readonly slowdown: number;
  readonly env: Readonly<Record<string, string>>;
  readonly durationsMs: { readonly build: number; readonly boot: number };
}

export interface BringUpContext {
  readonly folder: RunFolder;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Time spent so far, told also when bringing up fails. */
  readonly spent: { build: number; boot: number };
}

/** The machine pool, as far as a run needs it. */
export interface RunningPool extends AsyncDisposable {
  readonly socketPath: string;
}

export interface PoolOptions<T> {
  readonly templates: ReadonlyMap<string, T>;
  readonly facts: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
  readonly slots: number;
  readonly folder: RunFolder;
  readonly slowdown: number;
  readonly appendRecord: (fields: RecordFields) => void;
  /** Takes what a machine's kernel said before any test had it. */
  readonly onTargetEvents: (target: string, events: readonly KernelEvent[]) => void;
}

export interface RunOptions<T> {
  readonly plan: Plan;
  readonly folder: RunFolder;
  readonly slots: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Builds and boots one target. @throws SuiteError whose blame decides what it means */
  readonly bringUp: (target: string, ctx: BringUpContext) => Promise<Ready<T>>;
  readonly startPool: (options: PoolOptions<T>) => Promise<RunningPool>;
  /** Another command in the runner's place; for tests. */
  readonly runnerArgv?: RunnerOptions["argv"];
}

/** Longest silence of the runner on hardware before it counts as dead; several times the limit of one test. */
const SILENCE_MS = 60_000;
/** A runner that dies is replaced for the tests that have not begun, and so often. */
const RUNNER_STARTS = 4;

/**
 * Boots the targets, runs the planned tests and records everything. It judges nothing and throws only before the first
 * record: whatever happens later is in records.jsonl, and the file always ends with a `run-end` unless this process is killed.
 */
export async function runAll<T>(options: RunOptions<T>): Promise<{ readonly interrupted: boolean }> {
  const { plan, folder, signal } = options;
  await writeJson(folder.plan, plan);
  createRecords(folder.records);
  using writer = new RecordWriter({ path: folder.records, run: folder.run, writer: `run-${process.pid}` });
  writer.append({ type: "run-begin", planDigest: planDigest(plan), seed: plan.seed });

  const startedMs = new Map<string, number>();
  const ready = new Map<string, Ready<T>>();
  const events = new TargetEvents();
  for (const target of plan.targets) {
    startedMs.set(target, nowMs());
    const spent = { build: 0, boot: 0 };
    const end = (ended: "failed" | "interrupted", error: RecordOf<"target-end">["error"]): void =>
      writer.append({ type: "target-end", target, ended, error, events: events.of(target), durationsMs: { ...spent, run: 0, total: elapsed(startedMs, target) } });
    if (signal.aborted) {
      end("interrupted", null);
      continue;
    }
    try {
      const up = await options.bringUp(target, { folder, progress: options.progress, signal, spent });
      const { detected, signs, events: whileAsked = [] } = up.generation;
      events.add(target, [...up.events, ...whileAsked]);
      writer.append({ type: "target-begin", target, accel: up.accel, artifacts: up.artifacts });
      for (const [name, value] of Object.entries({ ...up.facts, generation: { detected, signs } })) writer.append({ type: "fact", target, name, value });
      if (up.generation.detected === "unknown" && plan.generation === "auto") end("failed", errorRecord(generationUnknown(up.generation)));
      else ready.set(target, up);
    } catch (thrown) {
      if (signal.aborted) end("interrupted", null);
      else end("failed", errorRecord(asSuiteError(thrown)));
    }
  }

  if (ready.size > 0 && !signal.aborted) await runTests(options, ready, writer, events);
  for (const [target, up] of ready) {
    const total = elapsed(startedMs, target);
    const run = Math.max(0, total - up.durationsMs.build - up.durationsMs.boot);
    writer.append({ type: "target-end", target, ended: signal.aborted ? "interrupted" : "complete", error: null, events: events.of(target), durationsMs: { ...up.durationsMs, run, total } });
  }
  if (writer.failure !== undefined) writer.append({ type: "run-error", target: null, code: writer.failure.code, message: writer.failure.message });
  writer.append({ type: "run-end", ended: signal.aborted ? "interrupted" : "complete" });
  return { interrupted: signal.aborted };
}

/** Everything between the pool's start and its end; errors become records. */
async function runTests<T>(options: RunOptions<T>, ready: ReadonlyMap<string, Ready<T>>, writer: RecordWriter, events: TargetEvents): Promise<void> {
  const { plan, folder } = options;
  const tests = new Map([...ready].map(([target, up]) => [target, testsFor(plan, target, up.generation)]));
  const planned = [...tests.values()].reduce((sum, own) => sum + own.length, 0);
  const step = options.progress.step("run");
  const progress = new RunProgress(step, planned);
  const follower = new Follower(folder.records, (record) => progress.take(record));
  const slowdown = Math.max(...[...ready.values()].map((up) => up.slowdown));
  try {
    await using pool = await options.startPool({
      templates: new Map([...ready].map(([target, up]) => [target, up.template])),
      facts: new Map([...ready].map(([target, up]) => [target, { ...up.facts, generation: plan.generation === "auto" ? up.generation.detected : plan.generation }])),
      slots: options.slots,
      folder,
      slowdown,
      appendRecord: (fields) => writer.append(fields),
      onTargetEvents: (target, found) => events.add(target, found),
    });
    for (let starts = 1, left = tests, begunBefore = 0; ; starts += 1) {
      follower.start();
      const end = await runRunner({
        folder,
        tests: left,
        poolSocket: pool.socketPath,
        slots: options.slots,
        slowdown,
        seed: plan.seed,
        env: Object.assign({}, ...[...ready.values()].map((up) => up.env)) as Record<string, string>,
        silenceMs: Math.min(SILENCE_MS * Math.max(1, slowdown), 600_000),
        lastSign: () => progress.lastSign,
        signal: options.signal,
        ...(options.runnerArgv === undefined ? {} : { argv: options.runnerArgv }),
      });
      await follower.stop();
      const because = options.signal.aborted ? null : abnormal(end, progress.done);
      if (because === null) break;
      // What ran is not run again: its result is lost, and that is what the records say. The rest gets a new runner.
      left = new Map([...left].map(([target, own]) => [target, own.filter((test) => !progress.hasBegun(target, test.id))]));
      const count = [...left.values()].reduce((sum, own) => sum + own.length, 0);
      const again = count > 0 && starts < RUNNER_STARTS && progress.begun > begunBefore;
      begunBefore = progress.begun;
      writer.append({ type: "run-error", target: null, code: "RUNNER_FAILED", message: `${because}${again ? `; ${count} tests go on with a new one` : ""}\n${end.tail}` });
      if (!again) break;
      step.update(`${because}; ${count} tests go on with a new one`);
    }
    step.done(progress.summary());
  } catch (thrown) {
    await follower.stop();
    const error = asSuiteError(thrown);
    writer.append({ type: "run-error", target: null, code: error.code, message: [error.message, error.details ?? ""].join("\n").trim() });
    step.fail(error.message);
  }
}

/** Kernel reports outside of tests, each once: every clone of a template repeats what the template said. */
class TargetEvents {
  private readonly byTarget = new Map<string, Map<string, KernelEvent>>();

  add(target: string, events: readonly KernelEvent[]): void {
    const known = this.byTarget.get(target) ?? new Map<string, KernelEvent>();
    for (const event of events) if (!known.has(event.fingerprint)) known.set(event.fingerprint, event);
    this.byTarget.set(target, known);
  }

  of(target: string): KernelEvent[] {
    return [...(this.byTarget.get(target)?.values() ?? [])];
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

function generationUnknown(found: GenerationFinding): SuiteError {
  const signs = Object.entries(found.signs).map(([name, sign]) => `sign ${name}: ${sign}`);
  return new SuiteError("GENERATION_UNKNOWN", `the generation of the subject cannot be told (${signs.join("; ")})`);
}

function errorRecord(error: SuiteError): NonNullable<RecordOf<"target-end">["error"]> {
  return { code: error.code, blame: error.blame, message: error.message, details: error.details ?? "" };
}

function elapsed(startedMs: ReadonlyMap<string, number>, target: string): number {
  return Math.round(nowMs() - (startedMs.get(target) ?? nowMs()));
}
