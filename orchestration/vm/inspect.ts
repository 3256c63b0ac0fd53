import { statfs, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Limits } from "../base/deadline.ts";
import type { KernelEvent, MachineDeath } from "../record/v1.ts";
import { consoleSince, sizeOf } from "./console-file.ts";
import type { ConnectAgent } from "./guest-agent.ts";
import type { LeaseReport } from "./lease.ts";
import type { Machine } from "./machine.ts";
import { listenToAgent } from "./listen.ts";
import { takeProbes, type Probed, type ReleaseProbe } from "./probe.ts";
import { scanConsole } from "./console/scan.ts";
import { taintEvent } from "./taint.ts";

export interface Inspection {
  readonly machine: Machine;
  readonly target: string;
  readonly test: string;
  /** Questions to a kernel that still answers. */
  readonly probes: readonly ReleaseProbe[];
  /** Size of the console when the test got the machine; what is before it is not the test's. */
  readonly fromOffset: number;
  /** Taint of the template. */
  readonly taint: number;
  readonly mark: string;
  readonly limits: Limits;
  readonly connectAgent: ConnectAgent;
  readonly evidenceDir: string;
  /** The test failed: the kernel's log is wanted although the kernel said nothing. */
  readonly keepEvidence: boolean;
}

/** Below this the console file itself may be incomplete: QEMU does not tell when it cannot write it. */
const FULL_BYTES = 1024 * 1024;

/**
 * What happened to the kernel during a lease: reads the console to its end, tells a hanging test from a hanging kernel by
 * a ping, compares the taint, and leaves a task dump as evidence of a hang. The machine is not ended here.
 */
export async function inspectMachine(what: Inspection): Promise<LeaseReport> {
  const { machine, limits } = what;
  let death = await endedAlready(machine);
  let taint = what.taint;
  let marked = false;
  let askedAt: number | undefined;
  let probed: Probed = { events: [], failure: null };
  if (death === null) {
    const limitMs = limits.ms(1_500);
    let dying = true;
    const heard = await listenToAgent(machine, limits, what.connectAgent);
    if (heard.kind === "agent") {
      const { agent } = heard;
      try {
        const text = `buslab: end of ${what.mark}`;
        taint = await agent.mark(text, { timeoutMs: limitMs });
        marked = await stands(text, what, limitMs);
        const said = (await eventsBetween(machine, what.fromOffset)) ?? [];
        dying = said.some(({ kind }) => kind === "panic");
        if (!dying && marked) probed = await takeProbes(what.probes, { ...what, agent });
        const suspicious = what.keepEvidence || taint !== what.taint || said.length > 0 || probed.events.length > 0;
        if (suspicious) await writeIfAny(join(what.evidenceDir, "dmesg.txt"), await agent.kernelLog({ timeoutMs: limitMs }).catch(() => ""));
      } catch {
        // it died or hung just now; both are told below
      }
      await agent.close().catch(() => undefined);
    }
    // a closed connection, or a panic, comes a moment before a dying QEMU is reaped
    death = await endedAlready(machine, dying ? limits.ms(heard.kind === "silent" ? 100 : 1_000) : 0);
    if (death === null && heard.kind === "silent") {
      askedAt = await sizeOf(machine.consoleLog); // what follows answers our question and is not the test's doing
      death = (await machine.lostContact?.()) ?? null;
      if (death === null) death = await hung(what, askedAt, heard);
      else askedAt = undefined; // nothing was asked of the kernel; its serial line was read only now, and is the test's
    }
  }
  const full = await statfs(dirname(machine.consoleLog)).then(({ bavail, bsize }) => bavail * bsize < FULL_BYTES, () => true);
  const console = await consoleSince(machine.consoleLog, what.fromOffset, askedAt);
  const seen: KernelEvent[] = console === undefined ? [] : scanConsole(console, what.fromOffset);
  // kmemleak says on the console only that it has something to tell; the probe read what
  const events = probed.events.length === 0 ? seen : [...seen.filter(({ title }) => !/^kmemleak: \d+ new/.test(title)), ...probed.events];
  const newTaint = taintEvent(what.taint, taint);
  if (newTaint !== undefined && events.length === 0) events.push(newTaint);
  // A dead machine has written all it will; a living one must have shown our mark; a hung one cannot.
  const consoleRead = console !== undefined && !full && (marked || death !== null);
  const unasked = probed.failure !== null && death === null ? { unasked: probed.failure } : {};
  return { events, death, consoleRead, ...unasked };
}

/** Kernel reports so far, without touching the machine. */
export async function eventsBetween(machine: Machine, fromOffset: number): Promise<KernelEvent[] | undefined> {
  const console = await consoleSince(machine.consoleLog, fromOffset);
  return console === undefined ? undefined : scanConsole(console, fromOffset);
}

/** The death of a machine, or null while it lives. A dying QEMU needs a moment to be reaped. */
export async function endedAlready(machine: Machine, waitMs = 0): Promise<MachineDeath | null> {
  return Promise.race([machine.dead, delay(waitMs, null, { ref: false })]);
}

/** Waits until a line that went through the kernel's log stands in the file: all before it is there as well. */
async function stands(text: string, what: Inspection, limitMs: number): Promise<boolean> {
  const deadline = performance.now() + limitMs;
  do {
    const console = await consoleSince(what.machine.consoleLog, what.fromOffset);
    if (console?.includes(text) === true) return true;
    await delay(2); // the file is written by QEMU; there is nothing to wait on
  } while (performance.now() < deadline && (await endedAlready(what.machine)) === null);
  return false;
}

async function hung(what: Inspection, before: number, silence: { readonly deaf: boolean; readonly detail: string }): Promise<MachineDeath> {
  const { machine, limits } = what;
  const asked = !silence.deaf && (await machine.dumpTasks());
  if (asked) await settle(machine, limits.ms(250));
  const dumped = (await sizeOf(machine.consoleLog)) - before;
  if (dumped < 200 && (await endedAlready(machine)) === null) {
    await machine.interruptHard(); // interrupts are off: only an NMI still gets an answer
    await settle(machine, limits.ms(250));
  }
  const dump = await consoleSince(machine.consoleLog, before);
  if (dump !== undefined && dump.length > 0) await writeFile(join(what.evidenceDir, "hang.txt"), dump).catch(() => undefined);
  const said = dump?.toString("latin1") ?? "";
  const how = /sysrq: /.test(said)
    ? "its tasks are in hang.txt"
    : /NMI received/.test(said)
      ? "it spins with interrupts off and answered a non-maskable interrupt only, see hang.txt"
      : asked || silence.deaf
        ? "it answered neither break nor NMI"
        : "it could not be asked for its tasks";
  return { kind: "hung", detail: `${silence.detail}; ${how}` };
}

/** Waits until the console has not grown for a while, the machine has ended, or the limit has passed. */
async function settle(machine: Machine, limitMs: number): Promise<void> {
  const deadline = performance.now() + limitMs;
  let last = -1;
  for (let quiet = 0; quiet < 4 && performance.now() < deadline; ) {
    const size = await sizeOf(machine.consoleLog);
    quiet = size === last ? quiet + 1 : 0;
    last = size;
    if ((await endedAlready(machine, 100)) !== null) return;
  }
}

async function writeIfAny(path: string, text: string): Promise<void> {
  if (text !== "") await writeFile(path, text).catch(() => undefined); // a full disk must not hide the verdict
}
