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

/** The part of spawn options that puts a process under a security module's rules. */
export interface Confined {
  readonly labels: readonly { readonly file: string; readonly value: string; readonly afterIds: boolean }[];
  readonly label: string;
}

/** What a peer's spawn options take to be confined by an AppArmor profile. */
export function inProfile(profile: string): Confined {
  return { labels: [{ file: "current", value: `changeprofile ${profile}`, afterIds: true }], label: profile };
}

/** SELinux is in force; its types are part of the guest's policy (fixtures/lsm/buslab.cil). */
export async function needsSelinux(agent: AgentClient): Promise<void> {
  await needs(agent, "selinux");
  await keepAllRecords(agent);
}

/** The context of one of the suite's own domains, `all` for `buslab_all_t`. */
export function context(domain: string, role = "system_r"): string {
  return `system_u:${role}:buslab_${domain}_t:s0`;
}

/** What a peer's spawn options take to be in one of the suite's SELinux domains. */
export function inDomain(domain: string): Confined {
  return { labels: [{ file: "current", value: context(domain), afterIds: true }], label: domain };
}

/** Smack is in force, and a peer may be given any label. */
export async function needsSmack(agent: AgentClient): Promise<void> {
  await needs(agent, "smack");
  await keepAllRecords(agent);
}

/** Spawn options of a process that has a Smack label and no capability to pass over the rules. */
export function withSmackLabel(label: string): Confined & { readonly uid: number; readonly gid: number } {
  return { uid: 1000, gid: 1000, labels: [{ file: "current", value: label, afterIds: false }], label };
}

/** Sets what a subject may do with an object: letters of `rwxatl`, `-` for nothing. */
export function smackRule(agent: AgentClient, subject: string, object: string, access: string): Promise<void> {
  return agent.writeFile("/sys/fs/smackfs/load2", `${subject} ${object} ${access}`, { control: true });
}

/** Adds lines to TOMOYO's profiles or domains, through the one program that is allowed to. */
export async function loadTomoyo(agent: AgentClient, what: "profile" | "domain", lines: readonly string[]): Promise<void> {
  await run(agent, [`/usr/sbin/tomoyo-loadpolicy`, what === "profile" ? "-p" : "-d"], `${lines.join("\n")}\n`);
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

async function run(agent: AgentClient, argv: readonly string[], stdin?: string): Promise<void> {
  const { exitCode, stderr } = await agent.exec(argv, { timeoutMs: LOAD_MS, ...(stdin === undefined ? {} : { stdin }) });
  if (exitCode !== 0) throw new Error(`${argv.join(" ")} ended with ${exitCode}: ${stderr.trim()}`);
}
