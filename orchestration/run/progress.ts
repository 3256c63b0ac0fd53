import { nowMs } from "../base/deadline.ts";
import type { Step } from "../base/progress.ts";
import type { RunRecord } from "../record/v1.ts";

/** Counts the tests of a running run and tells how far it is and how long it will take. */
export class RunProgress {
  private readonly step: Step;
  private readonly planned: number;
  private readonly startedMs = nowMs();
  private readonly seen = new Set<string>();
  private readonly begunTests = new Set<string>();
  private passed = 0;
  private failed = 0;
  private lastRecordMs = nowMs();

  constructor(step: Step, planned: number) {
    this.step = step;
    this.planned = planned;
  }

  /** Monotonic time of the newest record. */
  get lastSign(): number {
    return this.lastRecordMs;
  }

  get done(): number {
    return this.seen.size;
  }

  /** Tests that began, ended or not. */
  get begun(): number {
    return this.begunTests.size;
  }

  hasBegun(target: string, test: string): boolean {
    return this.begunTests.has(`${target}\0${test}`);
  }

  take(record: RunRecord): void {
    this.lastRecordMs = nowMs();
    if (record.type === "test-begin") this.begunTests.add(`${record.target}\0${record.test}`);
    const isCanary = "test" in record && record.test.startsWith("canary/");
    // A canary loses its result on purpose; it is over when its machine is back.
    if (record.type !== "test-end" && !(record.type === "lease" && isCanary)) return;
    this.seen.add(`${record.target}\0${record.test}`);
    if (record.type === "lease" || isCanary) return this.show(); // a canary fails on purpose; its number would frighten
    if (record.runner === "passed") this.passed += 1;
    else if (record.runner === "failed" || record.runner === "timedOut") this.failed += 1;
    this.show();
  }

  summary(): string {
    return `${this.seen.size} of ${this.planned} tests, ${this.passed} passed, ${this.failed} failed`;
  }

  private show(): void {
    const elapsedMs = nowMs() - this.startedMs;
    const leftMs = this.seen.size === 0 ? 0 : (elapsedMs / this.seen.size) * (this.planned - this.seen.size);
    this.step.update(`${this.summary()}, ${clock(elapsedMs)} gone, about ${clock(leftMs)} to go`, this.planned === 0 ? 1 : this.seen.size / this.planned);
  }
}

function clock(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
}
