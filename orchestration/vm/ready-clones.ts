import { join } from "node:path";
import { rm } from "node:fs/promises";
import { asSuiteError, SuiteError } from "../base/errors.ts";
import type { Clone } from "./clone.ts";
import type { CloneSource } from "./clone-source.ts";
import type { Template } from "./template.ts";
import { runPrefix } from "./run-name.ts";

export interface ReadyClone extends Clone {
  readonly dir: string;
}

/** What clones are made of; one without a source, such as a machine that is not ours to copy, is asked for each. */
export type ClonedTemplate = Pick<Template, "clone" | "target"> & Partial<Pick<Template, "source">>;

/** Keeps clones of one template running ahead of need, so that a test does not wait for one. */
export class ReadyClones {
  readonly #template: ClonedTemplate;
  readonly #dir: string;
  readonly #runId: string;
  readonly #ahead: number;
  readonly #nextLabel: () => string;
  readonly #signal: AbortSignal;
  readonly #waiting: Promise<ReadyClone>[] = [];
  #source: Pick<CloneSource, "clone" | "close"> | undefined;

  constructor(options: { template: ClonedTemplate; dir: string; runId: string; ahead: number; nextLabel: () => string; signal: AbortSignal }) {
    this.#template = options.template;
    this.#dir = options.dir;
    this.#runId = options.runId;
    this.#ahead = options.ahead;
    this.#nextLabel = options.nextLabel;
    this.#signal = options.signal;
  }

  /** Starts clones until enough are ready or on their way. */
  fill(): void {
    while (!this.#signal.aborted && this.#waiting.length < this.#ahead) this.#waiting.push(handled(this.#start()));
  }

  /**
   * A clone that is alive. One that did not start, or died while it waited, is replaced once; a second failure is reported.
   * @throws VM_START_FAILED | VM_DIED | HOST_DISK_FULL | VM_POOL_CLOSED
   */
  async take(): Promise<ReadyClone> {
    let failure: SuiteError | undefined;
    for (let tries = 0; tries < 2; ) {
      if (this.#signal.aborted) throw new SuiteError("VM_POOL_CLOSED", "the machine pool is closed");
      const next = this.#waiting.shift() ?? handled(this.#start());
      try {
        const clone = await next;
        const death = await Promise.race([clone.machine.dead, Promise.resolve(undefined)]);
        if (death === undefined) {
          this.fill();
          return clone;
        }
        failure = new SuiteError("VM_DIED", `a clone of ${this.#template.target.id} died before a test got it: ${death.detail}`);
      } catch (error) {
        failure = asSuiteError(error);
      }
      tries += 1;
    }
    throw failure ?? new SuiteError("INTERNAL", "no clone and no reason");
  }

  /** Ends all that wait; call after the signal was aborted. */
  async drain(): Promise<void> {
    await Promise.all(
      this.#waiting.splice(0).map(async (starting) => {
        const clone = await starting.catch(() => undefined);
        await clone?.machine.kill();
        if (clone !== undefined) await rm(clone.dir, { recursive: true, force: true });
      }),
    );
    await this.#source?.close();
  }

  async #start(): Promise<ReadyClone> {
    const label = this.#nextLabel();
    const dir = join(this.#dir, label);
    try {
      const clone = await this.#from().clone({ name: `${runPrefix(this.#runId)}${label}`, dir, signal: this.#signal });
      return { ...clone, dir };
    } catch (error) {
      // qemu.log of a clone that did not start stays for whoever looks into it
      if (this.#signal.aborted) await rm(dir, { recursive: true, force: true });
      throw error;
    }
  }

  #from(): Pick<CloneSource, "clone"> {
    if (this.#template.source === undefined) return this.#template;
    if (this.#source === undefined) {
      const label = `${this.#nextLabel()}parent`;
      this.#source = this.#template.source({ name: `${runPrefix(this.#runId)}${label}`, dir: join(this.#dir, label) });
    }
    return this.#source;
  }
}

/** A clone started ahead may fail before anybody waits for it. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
