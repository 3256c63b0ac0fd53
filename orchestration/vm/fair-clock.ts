import { readdir, readFile } from "node:fs/promises";

/**
 * Time in which a process could have done something: the wall clock without what its threads spent waiting for a CPU of
 * the host. A guest on a busy host is not called hung for the time that it was not run.
 * @see Linux Documentation/scheduler/sched-stats.rst, /proc/<pid>/schedstat: run, wait (nanoseconds), slices
 */
export class FairClock {
  readonly #pid: number;
  readonly #startedMs = performance.now();
  readonly #before = new Map<string, number>();
  #begun: Promise<void> | undefined;

  constructor(pid: number) {
    this.#pid = pid;
    this.#begun = this.#waits().then((waits) => waits.forEach((ms, thread) => this.#before.set(thread, ms)));
  }

  /** Since the clock was made. */
  async elapsedMs(): Promise<number> {
    await this.#begun;
    const wall = performance.now() - this.#startedMs;
    let waited = 0;
    for (const [thread, ms] of await this.#waits()) waited = Math.max(waited, ms - (this.#before.get(thread) ?? 0));
    return Math.max(0, wall - waited);
  }

  /** Wall time since the clock was made. */
  get wallMs(): number {
    return performance.now() - this.#startedMs;
  }

  async #waits(): Promise<Map<string, number>> {
    const tasks = `/proc/${this.#pid}/task`;
    const waits = new Map<string, number>();
    for (const thread of await readdir(tasks).catch(() => [])) {
      const stat = await readFile(`${tasks}/${thread}/schedstat`, "utf8").catch(() => "");
      waits.set(thread, Number(stat.split(" ")[1] ?? 0) / 1e6 || 0);
    }
    return waits;
  }
}
