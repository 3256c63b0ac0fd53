import { mkdir, readFile, rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { race } from "../base/deadline.ts";
import { reseed, startClone, type Clone, type CloneOptions } from "./clone.ts";
import { scanConsole } from "./console/scan.ts";
import { diedEarly, takeTaint } from "./guest-steps.ts";
import type { Hardware } from "./qemu/argv.ts";
import { QemuMachine } from "./qemu/machine.ts";
import type { TemplateFiles } from "./template-cache.ts";

/** What a source and each of its clones need beside a name and a folder. */
export type SourceOptions = Pick<CloneOptions, "socketDir" | "limits" | "connectAgent">;

/** The guest handles that its client is gone; nothing tells when it has. */
const SETTLE_MS = 50;

/**
 * Many clones of one template. One of them, the parent, is stopped as soon as it is ready, and the others are forked from
 * its process: neither the frozen state nor the guest code that was translated so far is made again for each of them.
 * Where no parent can be had (no launcher, KVM, a kernel that reports something by itself), clones are restored from the
 * template's files one by one, as {@link startClone} does.
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
   * @param own name and folder of the parent; the name is to be as long as any clone's
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
    const parent = await (this.#parent ??= this.#prepare(own.signal));
    if (parent !== undefined) {
      try {
        return await startClone(this.#files, this.#hardware, options, parent);
      } catch (error) {
        if (own.signal?.aborted === true || this.#closed) throw error;
        await parent.kill();
        this.#parent = Promise.resolve(undefined);
      }
    }
    return startClone(this.#files, this.#hardware, options);
  }

  /** Ends the parent; what was forked from it goes on. */
  async close(): Promise<void> {
    this.#closed = true;
    const parent = await this.#parent;
    await parent?.kill();
    await rm(this.#dir, { recursive: true, force: true });
  }

  /** Undefined where clones are better made without one. */
  async #prepare(signal: AbortSignal | undefined): Promise<QemuMachine | undefined> {
    if (this.#hardware.accel === "kvm") return undefined;
    await mkdir(this.#dir, { recursive: true });
    const { machine } = await startClone(this.#files, this.#hardware, { ...this.#options, name: this.#name, dir: this.#dir, ...(signal === undefined ? {} : { signal }) });
    try {
      if (machine.forks && (await this.#rehearse(machine))) return machine;
    } catch (error) {
      if (signal?.aborted === true) throw error;
    }
    await machine.kill();
    return undefined;
  }

  /**
   * Has the guest do what each clone does before and after its test, so that this is translated once; then stops it.
   * @returns false where the kernel was not as it is in the template afterwards
   */
  async #rehearse(machine: QemuMachine): Promise<boolean> {
    const { limits, connectAgent } = this.#options;
    const limitMs = limits.ms(3_000);
    const taint = await race(
      (async (): Promise<number> => {
        const agent = await connectAgent(machine.agentSocket, { timeoutMs: limitMs });
        await reseed(agent, limitMs);
        await agent.mark("buslab: rehearsal", { timeoutMs: limitMs });
        const mask = await takeTaint(agent, limits);
        await agent.close();
        await delay(SETTLE_MS);
        await machine.monitor.send("stop");
        return mask;
      })(),
      { deadlineMs: limitMs, code: "GUEST_TIMEOUT", what: `rehearsal of ${this.#name}`, death: diedEarly(machine, "while it rehearsed") },
    );
    if (taint !== this.#files.facts.taint) return false;
    return scanConsole(await readFile(machine.consoleLog)).length === 0;
  }
}
