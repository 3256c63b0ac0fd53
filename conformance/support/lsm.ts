import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ROOT } from "../../orchestration/base/paths.ts";
import type { AgentClient } from "../../orchestration/guest/agent-client.ts";
import { unsupported } from "./unsupported.ts";

export type LabellingModule = "selinux" | "apparmor" | "smack" | "tomoyo";
const PROPER = { selinux: "SELinux", apparmor: "AppArmor", smack: "Smack", tomoyo: "TOMOYO" } as const;
/** Parsing policy under emulation takes long. */
const LOAD_MS = 240_000;

/** The major security module in force, if there is one. */
export async function securityModule(agent: AgentClient): Promise<LabellingModule | undefined> {
  const active = (await agent.readText("/sys/kernel/security/lsm")).trim().split(",");
  return (Object.keys(PROPER) as LabellingModule[]).find((name) => active.includes(name));
}

/** The test is unsupported unless this module is in force. */
export async function needs(agent: AgentClient, module: LabellingModule): Promise<void> {
  if ((await securityModule(agent)) !== module) unsupported(`${PROPER[module]} in force`);
}

/** A file of fixtures/lsm. */
export function policy(name: string): Promise<string> {
  return readFile(join(ROOT, "fixtures", "lsm", name), "utf8");
}

/** Loads the suite's AppArmor profiles. */
export async function loadAppArmor(agent: AgentClient): Promise<void> {
  await needs(agent, "apparmor");
  await keepAllRecords(agent);
  await agent.writeFile("/run/buslab.profiles", await policy("apparmor.profiles"));
  await run(agent, ["apparmor_parser", "--replace", "--skip-cache", "/run/buslab.profiles"]);
}

/** What a peer's spawn options take to be confined by an AppArmor profile. */
export function inProfile(profile: string): { readonly labels: readonly { readonly file: string; readonly value: string; readonly afterIds: boolean }[]; readonly label: string } {
  return { labels: [{ file: "current", value: `changeprofile ${profile}`, afterIds: true }], label: profile };
}

/** Lets every audit record through to the kernel's log, where {@link auditRecords} looks; by itself it takes few in a row. */
export function keepAllRecords(agent: AgentClient): Promise<void> {
  return agent.writeFile("/proc/sys/kernel/printk_ratelimit", "0", { control: true });
}

/** Records of the kernel's log from a cursor on, those of the audit subsystem included. Waits until one fits. */
export async function auditRecords(agent: AgentClient, cursor: bigint, wanted: RegExp): Promise<string[]> {
  for (let looks = 0; looks < 100; looks++) {
    const fitting = (await agent.kernelLogSince(cursor)).records.map((record) => record.text).filter((text) => wanted.test(text));
    if (fitting.length > 0) return fitting;
  }
  return [];
}

async function run(agent: AgentClient, argv: readonly string[]): Promise<void> {
  const { exitCode, stderr } = await agent.exec(argv, { timeoutMs: LOAD_MS });
  if (exitCode !== 0) throw new Error(`${argv.join(" ")} ended with ${exitCode}: ${stderr.trim()}`);
}
