import { rm } from "node:fs/promises";
import { join } from "node:path";
import { writeJson } from "../base/json-file.ts";
import type { Step } from "../base/progress.ts";
import { planDigest, type Plan, type PlannedTest } from "../plan/plan.ts";
import { createRecords, readRecords, RecordWriter } from "../record/jsonl.ts";
import { outcomeOf } from "../record/outcome.ts";
import { Follower } from "../run/follow.ts";
import { RunProgress } from "../run/progress.ts";
import { makeRunFolder } from "../run/run-folder.ts";
import type { PoolOptions, RunningPool } from "../run/run.ts";
import { runRunner } from "../run/runner.ts";
import type { Observed } from "./verdict.ts";

/** A booted subject, and all that its tests are told about it. `T` is whatever the pool needs of it. */
export interface Subject<T> {
  readonly template: T;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly slowdown: number;
  readonly env: Readonly<Record<string, string>>;
}

export interface TestRun<T> {
  readonly subject: Subject<T>;
  readonly plan: Plan;
  readonly tests: readonly PlannedTest[];
  readonly stopAtFirst: boolean;
  readonly slots: number;
  /** Emptied, then records and evidence are written to it. */
  readonly dir: string;
  readonly runId: string;
  readonly step: Step;
  readonly signal: AbortSignal;
  readonly startPool: (options: PoolOptions<T>) => Promise<RunningPool>;
}

/** Longest silence of the runner on hardware before it counts as dead. */
const SILENCE_MS = 60_000;

/** Runs tests on one subject in the order given and calls each outcome by its name; a runner that dies leaves `not-run`. @throws what the pool throws */
export async function runTests<T>(run: TestRun<T>): Promise<Observed[]> {
  const [target = ""] = run.plan.targets;
  await rm(run.dir, { recursive: true, force: true });
  const folder = await makeRunFolder(run.runId, run.dir);
  await writeJson(folder.plan, run.plan);
  createRecords(folder.records);
  using writer = new RecordWriter({ path: folder.records, run: folder.run, writer: `mutants-${process.pid}` });
  writer.append({ type: "run-begin", planDigest: planDigest(run.plan), seed: run.plan.seed });

  const progress = new RunProgress(run.step, run.tests.length);
  const follower = new Follower(folder.records, (record) => progress.take(record));
  {
    await using pool = await run.startPool({
      templates: new Map([[target, run.subject.template]]),
      facts: new Map([[target, run.subject.facts]]),
      slots: run.slots,
      folder,
      slowdown: run.subject.slowdown,
      appendRecord: (fields) => writer.append(fields),
      onTargetEvents: () => undefined, // what a kernel said before a test had it is the template's
    });
    follower.start();
    try {
      await runRunner({
        folder,
        tests: new Map([[target, run.tests]]),
        poolSocket: pool.socketPath,
        slots: run.slots,
        slowdown: run.subject.slowdown,
        seed: run.plan.seed,
        env: run.subject.env,
        silenceMs: Math.min(SILENCE_MS * Math.max(1, run.subject.slowdown), 600_000),
        lastSign: () => progress.lastSign,
        signal: run.signal,
        stopAtFirst: run.stopAtFirst,
      });
    } finally {
      await follower.stop();
    }
  }
  const { records } = await readRecords(folder.records);
  return run.tests.map((test) => ({ test, outcome: outcomeOf({ target, test: test.id }, records) }));
}

/** Where one mutant's waves leave their records and evidence. */
export function waveDir(home: string, name: string, wave: string): string {
  return join(home, name.replace("/", "-"), wave);
}

