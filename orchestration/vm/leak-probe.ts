import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Limits } from "../base/deadline.ts";
import { SuiteError } from "../base/errors.ts";
import type { KernelEvent } from "../record/v1.ts";
import { scanConsole } from "./console/scan.ts";
import type { GuestAgent } from "./guest-agent.ts";
import type { ProbedLease, ReleaseProbe } from "./probe.ts";

const KMEMLEAK = "/sys/kernel/debug/kmemleak";
/** An object younger than this is not reported (mm/kmemleak.c, MSECS_MIN_AGE); guest time, so no slowdown applies. */
const MIN_AGE_MS = 5_000;
/** One scan on hardware, with room: it walks all memory, and a debug guest under emulation was seen to take 10 s for it. */
const SCAN_MS = 2_000;

/**
 * Memory that nothing points to any more when the test is over, by kmemleak. Two scans: the first one only takes an
 * object's checksum, and one that changed since may still be in use (mm/kmemleak.c, update_checksum).
 * @param wanted tests that are asked; a scan costs seconds, see docs/debug-and-coverage.md
 */
export function leakProbe(wanted: (target: string, test: string) => boolean, moduleName: string): ReleaseProbe {
  return {
    name: "kmemleak",
    take: (lease) => (wanted(lease.target, lease.test) ? leaksOf(lease, moduleName) : Promise.resolve([])),
  };
}

/** Makes kmemleak forget what it has to tell so far, so that a clone accuses its test of nothing older. @throws GUEST_REFUSED, GUEST_TIMEOUT */
export async function forgetLeaks(agent: GuestAgent, limits: Limits): Promise<void> {
  await scanTwice(agent, limits);
  await command(agent, limits, "clear");
}

async function leaksOf({ agent, limits, evidenceDir }: ProbedLease, moduleName: string): Promise<readonly KernelEvent[]> {
  await scanTwice(agent, limits);
  const report = Buffer.from(await agent.readFile(KMEMLEAK, { timeoutMs: limits.ms(SCAN_MS) })).toString("utf8");
  if (report.trim() === "") return [];
  await writeFile(join(evidenceDir, "kmemleak.txt"), report).catch(() => undefined);
  return readLeaks(report, moduleName);
}

async function scanTwice(agent: GuestAgent, limits: Limits): Promise<void> {
  const started = performance.now();
  await command(agent, limits, "scan");
  const waitMs = MIN_AGE_MS + 200 - (performance.now() - started);
  if (waitMs > 0) {
    const slept = await agent.exec(["sleep", (waitMs / 1000).toFixed(1)], { timeoutMs: waitMs + limits.ms(1_000) });
    if (slept.exitCode !== 0) throw new SuiteError("GUEST_REFUSED", `sleep in the guest ended with exit code ${slept.exitCode}`);
  }
  await command(agent, limits, "scan");
}

function command(agent: GuestAgent, limits: Limits, word: "scan" | "clear"): Promise<void> {
  return agent.writeFile(KMEMLEAK, Buffer.from(word), { control: true, timeoutMs: limits.ms(SCAN_MS) });
}

/** Events of a kmemleak report; equal ones once. Exported for its test. */
export function readLeaks(report: string, moduleName: string): KernelEvent[] {
  // the console's rules read it as the lines of a console without priorities
  const lines = report.split("\n").map((line) => `[    0.000000] ${line}`);
  const events = scanConsole(lines.join("\n")).map((event): KernelEvent => {
    const owned = event.excerpt.includes(`[${moduleName}]`);
    return { ...event, consoleOffset: -1, title: `${event.title.replace(/:$/, "")}, ${owned ? `allocated in ${moduleName}` : `allocated outside of ${moduleName}`}` };
  });
  const unlike = new Map<string, KernelEvent>();
  for (const event of events) if (!unlike.has(event.fingerprint)) unlike.set(event.fingerprint, event);
  // the module's own first: the first event names the crash
  return [...unlike.values()].sort((a, b) => Number(b.title.endsWith(` in ${moduleName}`)) - Number(a.title.endsWith(` in ${moduleName}`)));
}
