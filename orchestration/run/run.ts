import { nowMs } from "../base/deadline.ts";
import { asSuiteError, SuiteError } from "../base/errors.ts";
import { writeJson } from "../base/json-file.ts";
import type { Progress } from "../base/progress.ts";
import { planDigest, plannedOn, type Plan } from "../plan/plan.ts";
import { createRecords, RecordWriter } from "../record/jsonl.ts";
import type { KernelEvent, RecordFields, RecordOf } from "../record/v1.ts";
import { Lanes } from "./lanes.ts";
import type { RunFolder } from "./run-folder.ts";
import type { RunnerOptions } from "./runner.ts";
import { runTargetTests } from "./target-tests.ts";

/** The signs of spec/00-overview.md section 4, and what they come to. */
export interface GenerationFinding {
  readonly detected: "2015-03" | "2015-08" | "unknown";
  readonly signs: Readonly<Record<string, string>>;
  /** What the kernel reported while it was asked. */
  readonly events?: readonly KernelEvent[];
}

/** A target's machines with several processors, for the tests that ask for them. */
export interface Parallel<T> {
  readonly template: T;
  /** What is different in the facts of these machines. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/** A target that is ready to be tested. `T` is whatever the pool needs of it. */
export interface Ready<T> {
  readonly template: T;
  readonly parallel?: Parallel<T>;
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
  /** The most processors that a planned test needs of its machine. */
  readonly cpus: number;
  /** Time spent so far, told also when bringing up fails. */
  readonly spent: { build: number; boot: number };
}

/** The machine pool, as far as a run needs it. */
export interface RunningPool extends AsyncDisposable {
  readonly socketPath: string;
}

export interface PoolOptions<T> {
  /** Tells it from other pools of the run; none or empty for the only one. */
  readonly name?: string;
  readonly templates: ReadonlyMap<string, T>;
  readonly parallel?: ReadonlyMap<string, Parallel<T>>;
  readonly facts: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
  readonly slots: number;
  readonly folder: RunFolder;
  readonly slowdown: number;
  /** Machines of failed tests that are kept, for each target; default: none. */
  readonly keep?: number;
  readonly appendRecord: (fields: RecordFields) => void;
  /** Takes what a machine's kernel said before any test had it. */
  readonly onTargetEvents: (target: string, events: readonly KernelEvent[]) => void;
}

export interface RunOptions<T> {
  readonly plan: Plan;
  readonly folder: RunFolder;
  readonly slots: number;
  /** Machines of failed tests that are kept, for each target; default: none. */
  readonly keep?: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Builds what one target needs, before any is booted. @throws SuiteError whose blame decides what it means */
  readonly build?: (target: string, ctx: BringUpContext) => Promise<void>;
  /** Boots one target. @throws as build */
  readonly bringUp: (target: string, ctx: BringUpContext) => Promise<Ready<T>>;
  readonly startPool: (options: PoolOptions<T>) => Promise<RunningPool>;
  /** Another command in the runner's place; for tests. */
  readonly runnerArgv?: RunnerOptions["argv"];
}

/**
 * Builds the targets, boots them and runs their planned tests side by side, and records everything. It judges nothing and throws only before the first
 * record: whatever happens later is in records.jsonl, and the file always ends with a `run-end` unless this process is killed.
 */
export async function runAll<T>(options: RunOptions<T>): Promise<{ readonly interrupted: boolean }> {
  const { plan, folder, signal } = options;
  await writeJson(folder.plan, plan);
  createRecords(folder.records);
  using writer = new RecordWriter({ path: folder.records, run: folder.run, writer: `run-${process.pid}` });
  writer.append({ type: "run-begin", planDigest: planDigest(plan), seed: plan.seed });

  const events = new TargetEvents();
  const works = plan.targets.map((target): TargetWork => ({ target, startedMs: nowMs(), spent: { build: 0, boot: 0 }, over: false }));
  const end = ({ target, startedMs, spent }: TargetWork, ended: "complete" | "failed" | "interrupted", error: RecordOf<"target-end">["error"] = null, run = 0): void =>
    writer.append({ type: "target-end", target, ended, error, events: events.of(target), durationsMs: { ...spent, run, total: Math.round(nowMs() - startedMs) } });
  const contextOf = ({ target, spent }: TargetWork): BringUpContext => ({ folder, progress: options.progress, signal, spent, cpus: cpusFor(plan, target) });
  /** Records what went wrong with a target, and lets the others go on. */
  const guarded = async (work: TargetWork, act: () => Promise<void>): Promise<void> => {
    if (work.over) return;
    try {
      if (!signal.aborted) return await act();
      end(work, "interrupted");
    } catch (thrown) {
      if (signal.aborted) end(work, "interrupted");
      else end(work, "failed", errorRecord(asSuiteError(thrown)));
    }
    work.over = true;
  };

  // Built one after the other: each build takes every core, and what targets share is then there for the next.
  for (const work of works) {
    work.startedMs = nowMs();
    await guarded(work, async () => options.build?.(work.target, contextOf(work)));
  }
  const lanes = new Lanes(options.slots);
  await Promise.all(
    works.map((work) =>
      guarded(work, async () => {
        const up = await inLane(lanes, async () => (signal.aborted ? null : options.bringUp(work.target, contextOf(work))));
        if (up === null) return end(work, "interrupted");
        const { detected, signs, events: whileAsked = [] } = up.generation;
        events.add(work.target, [...up.events, ...whileAsked]);
        writer.append({ type: "target-begin", target: work.target, accel: up.accel, artifacts: up.artifacts });
        for (const [name, value] of Object.entries({ ...up.facts, generation: { detected, signs } })) writer.append({ type: "fact", target: work.target, name, value });
        if (detected === "unknown" && plan.generation === "auto") throw generationUnknown(up.generation);
        const slots = await lanes.share(() => works.filter((other) => other !== work && !other.over && other.tested !== true).length);
        work.tested = true;
        const runStartedMs = nowMs();
        try {
          const name = works.length === 1 ? "" : `t${works.indexOf(work) + 1}`;
          if (!signal.aborted) await runTargetTests({ ...options, target: work.target, up, slots, name, writer, onTargetEvents: (target, found) => events.add(target, found) });
        } finally {
          lanes.give(slots);
        }
        work.over = true;
        end(work, signal.aborted ? "interrupted" : "complete", null, Math.round(nowMs() - runStartedMs));
      }),
    ),
  );
  if (writer.failure !== undefined) writer.append({ type: "run-error", target: null, code: writer.failure.code, message: writer.failure.message });
  writer.append({ type: "run-end", ended: signal.aborted ? "interrupted" : "complete" });
  return { interrupted: signal.aborted };
}

function cpusFor(plan: Plan, target: string): number {
  return Math.max(1, ...plan.tests.filter((test) => plannedOn(test, target)).map(({ cpus }) => cpus ?? 1));
}

/** One target on its way through the run. */
interface TargetWork {
  readonly target: string;
  startedMs: number;
  readonly spent: BringUpContext["spent"];
  /** Its end is recorded. */
  over: boolean;
  /** Its tests have begun. */
  tested?: boolean;
}

async function inLane<T>(lanes: Lanes, act: () => Promise<T>): Promise<T> {
  const own = await lanes.one();
  try {
    return await act();
  } finally {
    lanes.give(own);
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

function generationUnknown(found: GenerationFinding): SuiteError {
  const signs = Object.entries(found.signs).map(([name, sign]) => `sign ${name}: ${sign}`);
  return new SuiteError("GENERATION_UNKNOWN", `the generation of the subject cannot be told (${signs.join("; ")})`);
}

function errorRecord(error: SuiteError): NonNullable<RecordOf<"target-end">["error"]> {
  return { code: error.code, blame: error.blame, message: error.message, details: error.details ?? "" };
}
