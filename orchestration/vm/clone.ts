import { getRandomValues } from "node:crypto";
import { race, type Limits } from "../base/deadline.ts";
import { SuiteError } from "../base/errors.ts";
import type { ConnectAgent, GuestAgent } from "./guest-agent.ts";
import { diedEarly } from "./guest-steps.ts";
import type { Hardware } from "./qemu/argv.ts";
import { QemuMachine } from "./qemu/machine.ts";
import type { TemplateFiles } from "./template-cache.ts";
import type { Machine } from "./machine.ts";

export interface Clone<M extends Machine = Machine> {
  readonly machine: M;
  /** QEMU start to the agent's first answer. */
  readonly answerMs: number;
  /** The same to a guest with its own entropy and the right time. */
  readonly readyMs: number;
  /** /proc/sys/kernel/tainted when it was handed out, where that is not its template's. */
  readonly taint?: number;
}

export interface CloneOptions {
  /** `buslab-<run>-<label>` */
  readonly name: string;
  readonly dir: string;
  readonly socketDir: string;
  readonly limits: Limits;
  readonly connectAgent: ConnectAgent;
  /** The agent's processes of before go on; otherwise its new client finds none. */
  readonly keepPeers?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * A private copy of a template: RAM copy-on-write, disk writes thrown away, own entropy and the time of day.
 * @param parent a clone of the same template whose guest is stopped: forked instead of reading the template's files
 * @throws VM_START_FAILED | VM_DIED | GUEST_TIMEOUT | GUEST_LOST; nothing is left running then
 */
export async function startClone(files: Pick<TemplateFiles, "ram" | "disk" | "stateFile">, hardware: Hardware, options: CloneOptions, parent?: QemuMachine): Promise<Clone<QemuMachine>> {
  if (options.signal?.aborted === true) throw new SuiteError("INTERRUPTED", `${options.name} was not started: interrupted`);
  const started = performance.now();
  const limitMs = options.limits.ms(3_000);
  const machine = await QemuMachine.start({
    name: options.name,
    dir: options.dir,
    socketDir: options.socketDir,
    hardware,
    ram: { path: files.ram, shared: false },
    disk: { path: files.disk, snapshot: true },
    ...(parent === undefined ? { restoreFrom: files.stateFile } : { forkOf: parent }),
    startLimitMs: limitMs,
  });
  const abort = (): void => void machine.kill();
  options.signal?.addEventListener("abort", abort, { once: true });
  try {
    const death = diedEarly(machine, "after it was cloned");
    // Connected before the guest runs: it finds its host side open and need not be told so.
    const connecting = options.connectAgent(machine.agentSocket, { timeoutMs: limitMs, ...(options.keepPeers === undefined ? {} : { keepPeers: options.keepPeers }) });
    connecting.catch(() => undefined);
    await machine.resume();
    const agent = await race(connecting, { deadlineMs: limitMs, code: "GUEST_TIMEOUT", what: `first answer of the clone ${options.name}`, death });
    const answerMs = performance.now() - started;
    await race(reseed(agent, limitMs), { deadlineMs: limitMs, code: "GUEST_TIMEOUT", what: `new seed and time for ${options.name}`, death });
    const readyMs = performance.now() - started;
    await agent.close();
    return { machine, answerMs, readyMs };
  } catch (error) {
    await machine.kill();
    throw error;
  } finally {
    options.signal?.removeEventListener("abort", abort);
  }
}

/** Without this, clones of one template give equal random numbers, and their clock stands where it was frozen. */
export function reseed(agent: GuestAgent, timeoutMs: number): Promise<void> {
  return agent.restored({ seed: getRandomValues(new Uint8Array(64)), unixMs: Date.now(), timeoutMs });
}
