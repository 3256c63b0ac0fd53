import { readFile } from "node:fs/promises";
import { race, type Limits } from "../base/deadline.ts";
import { asSuiteError, SuiteError } from "../base/errors.ts";
import type { Step } from "../base/progress.ts";
import type { MachineDeath } from "../record/v1.ts";
import type { ConnectAgent, GuestAgent } from "./guest-agent.ts";
import { scanConsole } from "./console/scan.ts";
import type { Machine } from "./machine.ts";

interface StepContext {
  readonly limits: Limits;
  readonly connectAgent: ConnectAgent;
  readonly step: Step;
  readonly signal?: AbortSignal;
}

/** Share of a host with acceleration; a guest needs 1 s there, and 8 to 9 s under emulation on an idle host. */
const BOOT_BASE_MS = 15_000;
const USER_SPACE = /Run \S+ as init process|systemd\[1\]: /;

/**
 * Waits until the agent answers and systemd has settled.
 * @throws KERNEL_BOOT_FAILED when the kernel never reached user space; VM_BOOT_TIMEOUT or VM_START_FAILED when user space did not settle; VM_DIED
 */
export async function bootToSettled(machine: Machine, ctx: StepContext): Promise<GuestAgent> {
  const started = performance.now();
  const limitMs = ctx.limits.ms(BOOT_BASE_MS);
  const ticker = setInterval(() => {
    const seconds = (performance.now() - started) / 1000;
    ctx.step.update(`booting, ${seconds.toFixed(0)} s`, Math.min(0.95, (seconds * 1000) / ctx.limits.ms(1_200)));
  }, 500);
  try {
    const agent = await answer(machine, ctx, limitMs, async (death) => bootDeath(machine, death), async () => silence(machine, limitMs));
    ctx.step.update("waiting for systemd to settle", 0.9);
    await settle(machine, agent, ctx.limits, limitMs - (performance.now() - started) + 5_000);
    await agent.exec(["sync"], { timeoutMs: ctx.limits.ms(5_000) });
    return agent;
  } finally {
    clearInterval(ticker);
  }
}

/**
 * Waits until systemd has nothing left to start.
 * @throws VM_BOOT_TIMEOUT naming what it still waits for; VM_START_FAILED naming the units that failed
 */
export async function settle(machine: Pick<Machine, "dead" | "endedByUs" | "consoleLog">, agent: Pick<GuestAgent, "exec">, limits: Limits, leftMs: number): Promise<void> {
  const timeoutMs = Math.round(leftMs);
  const settled = await race(agent.exec(["systemctl", "is-system-running", "--wait"], { timeoutMs }), {
    deadlineMs: timeoutMs + 2_000,
    code: "VM_BOOT_TIMEOUT",
    what: "systemd of the guest settling",
    death: machine.dead.then(async (death): Promise<never> => {
      throw await bootDeath(machine, death);
    }),
  });
  const state = settled.stdout.trim();
  if (state === "running") return;
  const ask = async (...words: string[]): Promise<string> => (await agent.exec(["systemctl", "--no-pager", "--no-legend", ...words], { timeoutMs: limits.ms(5_000) })).stdout.trim();
  if (settled.timedOut) {
    const jobs = await ask("list-jobs").catch((error: unknown) => `systemctl list-jobs did not answer either: ${asSuiteError(error).message}`);
    const count = jobs === "" ? "no job is left in its queue" : `${jobs.split("\n").length} jobs are left in its queue`;
    throw new SuiteError("VM_BOOT_TIMEOUT", `the guest's systemd did not settle: systemctl is-system-running --wait was ended after ${timeoutMs} ms, and ${count}`, { details: jobs });
  }
  const failed = await ask("--failed", "--plain");
  throw new SuiteError("VM_START_FAILED", `the guest's systemd settled as "${state || settled.stderr.trim()}" instead of "running"`, { details: failed || settled.stderr });
}

/** The bus as a target has it. */
export interface BusModule {
  /** null where it is part of the kernel. */
  readonly ko: string | null;
  readonly name: string;
}

/** A parameter that was set, and what it said before. */
export interface ModuleParameter {
  readonly was: string;
  readonly now: string;
}

/**
 * Parameters that a run sets before anything else if the module has them. 2015-03 withholds most metadata until its mask is
 * opened (10-abi, section 9): only tests of the mask itself may find it otherwise.
 */
const PARAMETERS: Readonly<Record<string, string>> = { attach_flags_mask: "16383" };

/**
 * Brings the module into a restored guest, loads it, sets its parameters and mounts the bus. A module that is part of the
 * kernel is there already.
 * @throws MODULE_LOAD_FAILED when it is refused, crashes or hangs the kernel, or its file system cannot be mounted; VM_DIED when QEMU died by itself
 */
export async function loadModule(machine: Machine, module: BusModule, ctx: StepContext): Promise<{ readonly agent: GuestAgent; readonly parameters: Record<string, ModuleParameter> }> {
  const limitMs = ctx.limits.ms(5_000);
  const agent = await ctx.connectAgent(machine.agentSocket, { timeoutMs: limitMs });
  await agent.restored({ seed: crypto.getRandomValues(new Uint8Array(64)), unixMs: Date.now(), timeoutMs: limitMs });
  try {
    if (module.ko !== null) {
      const path = `/run/buslab/${module.name}.ko`;
      await agent.writeFile(path, await readFile(module.ko), { timeoutMs: limitMs });
      await subjectStep(machine, agent.insmod(path, { timeoutMs: limitMs }), limitMs, `loading ${module.name}.ko`, ctx.limits);
    }
    const parameters = await subjectStep(machine, setParameters(agent, module.name, limitMs), limitMs, `setting parameters of ${module.name}`, ctx.limits);
    ctx.step.update("mounting the bus");
    const mounted = await subjectStep(machine, agent.exec(["systemctl", "start", "sys-fs-kdbus.mount"], { timeoutMs: limitMs }), limitMs, "mounting kdbusfs", ctx.limits);
    // systemd calls a start done whose condition did not hold: only the mount table tells
    const mounts = Buffer.from(await agent.readFile("/proc/mounts", { timeoutMs: limitMs })).toString();
    if (mounted.exitCode !== 0 || !/ \/sys\/fs\/kdbus /.test(mounts)) {
      const status = await agent.exec(["systemctl", "status", "--no-pager", "--lines=20", "sys-fs-kdbus.mount"], { timeoutMs: limitMs });
      throw new SuiteError("MODULE_LOAD_FAILED", `${module.ko === null ? `the kernel has ${module.name}` : `${module.name}.ko loads`}, but its file system cannot be mounted on /sys/fs/kdbus`, { details: `${mounted.stderr}${status.stdout}\n${await lastLines(machine)}` });
    }
    await agent.exec(["sync"], { timeoutMs: limitMs });
    return { agent, parameters };
  } catch (error) {
    await agent.close();
    throw error;
  }
}

async function setParameters(agent: GuestAgent, module: string, timeoutMs: number): Promise<Record<string, ModuleParameter>> {
  const set: Record<string, ModuleParameter> = {};
  for (const [name, value] of Object.entries(PARAMETERS)) {
    const path = `/sys/module/${module}/parameters/${name}`;
    const read = async (): Promise<string> => Buffer.from(await agent.readFile(path, { timeoutMs })).toString().trim();
    if ((await agent.exec(["test", "-e", path], { timeoutMs })).exitCode !== 0) continue;
    const was = await read();
    const { exitCode, stderr } = await agent.exec(["sh", "-c", `echo ${value} > ${path}`], { timeoutMs });
    const now = exitCode === 0 ? await read() : was;
    if (now !== value) throw new SuiteError("MODULE_LOAD_FAILED", `the parameter ${name} of ${module} does not take ${value}: it says ${now}`, { details: stderr });
    set[name] = { was, now };
  }
  return set;
}

export async function takeTaint(agent: GuestAgent, limits: Limits): Promise<number> {
  const bytes = await agent.readFile("/proc/sys/kernel/tainted", { timeoutMs: limits.ms(2_000) });
  return Number.parseInt(Buffer.from(bytes).toString(), 10) || 0;
}

/** Rejects when the machine ends by itself. */
export function diedEarly(machine: Machine, when: string): Promise<never> {
  const death = machine.dead.then((end): never => {
    throw new SuiteError("VM_DIED", `${machine.name} ended ${when}: ${end.detail}`);
  });
  death.catch(() => undefined); // it ends one day; only who waits now wants to hear of it
  return death;
}

async function answer(machine: Machine, ctx: StepContext, limitMs: number, dead: (death: MachineDeath) => Promise<SuiteError>, silent: () => Promise<SuiteError>): Promise<GuestAgent> {
  const deadline = performance.now() + limitMs;
  let end: SuiteError | undefined;
  const death = machine.dead.then(async (how): Promise<never> => {
    end = await dead(how);
    throw end;
  });
  death.catch(() => undefined);
  for (;;) {
    const left = deadline - performance.now();
    if (left <= 0) throw await silent();
    try {
      return await race(ctx.connectAgent(machine.agentSocket, { timeoutMs: Math.min(left, 30_000) }), { deadlineMs: left, code: "GUEST_TIMEOUT", what: "the guest agent", death });
    } catch (error) {
      if (end !== undefined || ctx.signal?.aborted === true) throw end ?? error;
      if (!["GUEST_TIMEOUT", "GUEST_LOST"].includes(asSuiteError(error).code)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50)); // a refused connection returns at once; do not spin
    }
  }
}

async function bootDeath(machine: Pick<Machine, "endedByUs" | "consoleLog">, death: MachineDeath): Promise<SuiteError> {
  const details = await lastLines(machine);
  if (machine.endedByUs) return new SuiteError("INTERRUPTED", "the boot was interrupted");
  if (death.kind === "panic" || death.kind === "reset") return new SuiteError("KERNEL_BOOT_FAILED", `the kernel ended while booting: ${death.detail}`, { details });
  return new SuiteError("VM_DIED", `QEMU ended while the guest was booting: ${death.detail}`, { details });
}

async function silence(machine: Machine, limitMs: number): Promise<SuiteError> {
  const console = await consoleText(machine);
  await machine.dumpTasks();
  const details = await lastLines(machine);
  if (!USER_SPACE.test(console)) return new SuiteError("KERNEL_BOOT_FAILED", `the kernel did not reach user space within ${limitMs} ms`, { details });
  return new SuiteError("VM_BOOT_TIMEOUT", `user space started, but the guest agent did not answer within ${limitMs} ms`, { details });
}

/** A step in which the subject's code runs: whatever goes wrong inside the kernel is the subject's. */
async function subjectStep<T>(machine: Machine, work: Promise<T>, limitMs: number, what: string, limits: Limits): Promise<T> {
  let death: MachineDeath | undefined;
  try {
    return await race(work, {
      deadlineMs: limitMs + limits.ms(500),
      code: "GUEST_TIMEOUT",
      what,
      death: machine.dead.then((how): never => {
        death = how;
        throw new SuiteError("VM_DIED", `${machine.name} ended while ${what}: ${how.detail}`);
      }),
    });
  } catch (error) {
    const named = asSuiteError(error);
    if (named.code === "GUEST_LOST") {
      // the channel closes a moment before the process is reaped
      death = await race(machine.dead, { deadlineMs: 5_000, code: "GUEST_LOST", what }).catch(() => undefined);
    }
    if (machine.endedByUs) throw named;
    if (death?.kind === "killed" || death?.kind === "qemu-failed") throw new SuiteError("VM_DIED", `QEMU ended while ${what}: ${death.detail}`, { details: await lastLines(machine) });
    if (death === undefined && named.code === "GUEST_TIMEOUT") await machine.dumpTasks();
    const console = await readFile(machine.consoleLog).catch(() => Buffer.alloc(0));
    const [event] = scanConsole(console);
    const how = death !== undefined ? `the kernel ended (${death.detail})` : named.code === "GUEST_TIMEOUT" ? "the kernel hangs" : named.message;
    throw new SuiteError("MODULE_LOAD_FAILED", `${what}: ${how}`, { cause: named, details: event?.excerpt ?? (await lastLines(machine)) });
  }
}

async function lastLines(machine: Pick<Machine, "consoleLog">): Promise<string> {
  return (await consoleText(machine)).trimEnd().split("\n").slice(-40).join("\n");
}

async function consoleText(machine: Pick<Machine, "consoleLog">): Promise<string> {
  return (await readFile(machine.consoleLog, "utf8").catch(() => "")).replaceAll("\r", "");
}
