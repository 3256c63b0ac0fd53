import { mkdir, readFile, rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { race } from "../base/deadline.ts";
import { asSuiteError } from "../base/errors.ts";
import { reseed, startClone, type Clone, type CloneOptions } from "./clone.ts";
import { scanConsole } from "./console/scan.ts";
import { diedEarly, takeTaint } from "./guest-steps.ts";
import type { Hardware } from "./qemu/argv.ts";
import { QemuMachine } from "./qemu/machine.ts";
import type { TemplateFiles } from "./template-cache.ts";

/** What a source and each of its clones need beside a name and a folder. */
export interface SourceOptions extends Pick<CloneOptions, "socketDir" | "limits" | "connectAgent"> {
  /** Told once, with the reason, when clones are no longer forked. */
  readonly onRestoring?: (reason: string) => void;
}

/** The guest handles that its client is gone; nothing tells when it has. */
const SETTLE_MS = 50;

/**
 * Many clones of one template. One of them, the parent, is stopped as soon as it is ready, and the others are forked from
 * its process: neither the frozen state nor the guest code that was translated so far is made again for each of them.
 * Where no parent can be had (no launcher, KVM, a kernel that reports something by itself), clones are restored from the
 * template's files one by one, as {@link startClone} does: slower, and otherwise the same.
 */
export class CloneSource {
  readonly #files: TemplateFiles;
  readonly #hardware: Hardware;
  readonly #options: SourceOptions;
  readonly #dir: string;
  readonly #name: string;
  #parent: Promise<QemuMachine | undefined> | undefined;
  #closed = false;

  /**
   * @param own name and folder of the parent; the name has to be as long as any clone's
   */
  constructor(files: TemplateFiles, hardware: Hardware, own: { readonly name: string; readonly dir: string }, options: SourceOptions) {
    this.#files = files;
    this.#hardware = hardware;
    this.#options = options;
    this.#name = own.name;
    this.#dir = own.dir;
  }

  /** As {@link startClone}. */
  async clone(own: Pick<CloneOptions, "name" | "dir" | "signal">): Promise<Clone> {
    const options = { ...this.#options, ...own };
    const parent = await (this.#parent ??= this.#prepare(own.signal)).catch((error: unknown) => {
      this.#parent = undefined; // the next clone tries anew
      throw error;
    });
    if (parent !== undefined) {
      try {
        return await startClone(this.#files, this.#hardware, options, parent);
      } catch (error) {
        if (own.signal?.aborted === true || this.#closed) throw error;
        await this.#giveUp(parent, asSuiteError(error).message);
      }
    }
    return startClone(this.#files, this.#hardware, options);
  }

  /** Ends the parent; what was forked from it goes on. */
  async close(): Promise<void> {
    this.#closed = true;
    const parent = await this.#parent?.catch(() => undefined);
    await parent?.kill();
    await rm(this.#dir, { recursive: true, force: true });
  }

  /** Undefined where clones are better made without one. @throws what restoring a clone throws */
  async #prepare(signal: AbortSignal | undefined): Promise<QemuMachine | undefined> {
    if (this.#hardware.accel === "kvm") return undefined; // what the kernel keeps of a guest cannot be forked
    await mkdir(this.#dir, { recursive: true });
    const { machine } = await startClone(this.#files, this.#hardware, { ...this.#options, name: this.#name, dir: this.#dir, ...(signal === undefined ? {} : { signal }) });
    let reason = "this host's QEMU is not started from a launcher";
    try {
      if (machine.forks) {
        const strange = await this.#rehearse(machine);
        if (strange === undefined) return machine;
        reason = strange;
      }
    } catch (error) {
      if (signal?.aborted === true) throw error;
      reason = asSuiteError(error).message;
    }
    await this.#giveUp(machine, reason);
    return undefined;
  }

  async #giveUp(parent: QemuMachine, reason: string): Promise<void> {
    this.#parent = Promise.resolve(undefined);
    if (parent.endedByUs) return; // by another clone that met the same
    await parent.kill();
    this.#options.onRestoring?.(reason);
  }

  /**
   * Has the guest do what each clone does before and after its test, so that this is translated once; then stops it.
   * @returns in what the kernel was not as it is in the template afterwards
   */
  async #rehearse(machine: QemuMachine): Promise<string | undefined> {
    const { limits, connectAgent } = this.#options;
    const limitMs = limits.ms(3_000);
    const taint = await race(
      (async (): Promise<number> => {
        const agent = await connectAgent(machine.agentSocket, { timeoutMs: limitMs });
        await reseed(agent, limitMs);
        await agent.rehearse?.({ timeoutMs: limitMs });
        await agent.mark("buslab: rehearsal", { timeoutMs: limitMs });
        const mask = await takeTaint(agent, limits);
        await agent.close();
        while (!(await machine.isAlone())) await delay(2);
        await delay(SETTLE_MS);
        await machine.monitor.send("stop");
        return mask;
      })(),
      { deadlineMs: limitMs, code: "GUEST_TIMEOUT", what: `rehearsal of ${this.#name}`, death: diedEarly(machine, "while it rehearsed") },
    );
    const [event] = scanConsole(await readFile(machine.consoleLog));
    if (event !== undefined) return `its kernel reported by itself: ${event.title}`;
    return taint === this.#files.facts.taint ? undefined : `its kernel's taint went from ${this.#files.facts.taint} to ${taint} by itself`;
  }
}
