import { readFileSync } from "node:fs";
import type { RequirementId } from "../catalogue/index.ts";

interface Need {
  /** Each entry is one need; several symbols in it are alternatives, any of which will do. */
  readonly options: readonly (readonly [string, ...string[]])[];
  readonly requirements: readonly RequirementId[];
}

/**
 * Options of the kernel without which there is nothing of what a requirement speaks of. Not in this table: what a test can look
 * for itself in the guest (a security module in force, a trace event).
 */
export const KERNEL_NEEDS: readonly Need[] = [
  {
    options: [["CONFIG_USER_NS"]],
    requirements: ["FS-005", "NS-003", "NS-004", "NS-005", "NS-006", "NS-008", "NS-009", "NS-011", "NS-012", "NS-013", "NS-015", "NS-016", "NS-017", "NS-018", "NS-019", "NS-020"],
  },
  { options: [["CONFIG_PID_NS"]], requirements: ["NS-007", "META-036"] },
  { options: [["CONFIG_CGROUPS"]], requirements: ["META-016"] },
  { options: [["CONFIG_AUDIT"]], requirements: ["META-019", "LSM-011", "NS-009"] },
  { options: [["CONFIG_AUDITSYSCALL"]], requirements: ["LSM-013"] },
  { options: [["CONFIG_MEMFD_CREATE"]], requirements: ["FD-020", "FD-022", "FD-023", "FD-024", "FD-025", "FD-026", "FD-028", "FD-029", "FD-030", "FD-031"] },
  { options: [["CONFIG_IA32_EMULATION", "CONFIG_COMPAT", "CONFIG_ARM", "CONFIG_X86_32"]], requirements: ["ABI-005"] },
  { options: [["CONFIG_SECURITY_SELINUX"]], requirements: ["LSM-002", "LSM-015"] },
  { options: [["CONFIG_SECURITY_SMACK"]], requirements: ["LSM-003"] },
  { options: [["CONFIG_SECURITY_TOMOYO"]], requirements: ["LSM-004"] },
];

/** What the kernel lacks of what these requirements need: `CONFIG_SECURITY_SMACK`, or alternatives with `or` between them. */
export function missingOptions(requirements: readonly string[], config: ReadonlySet<string>): string[] {
  const needed = KERNEL_NEEDS.filter((need) => need.requirements.some((id) => requirements.includes(id))).flatMap((need) => need.options);
  const missing = needed.filter((alternatives) => !alternatives.some((symbol) => config.has(symbol)));
  return [...new Set(missing.map((alternatives) => alternatives.join(" or ")))];
}

const read = new Map<string, ReadonlySet<string>>();

/** Symbols that a resolved configuration has built in or as a module. */
export function enabledOptions(path: string): ReadonlySet<string> {
  let found = read.get(path);
  if (found === undefined) {
    found = new Set([...readFileSync(path, "utf8").matchAll(/^(CONFIG_\w+)=[ym]$/gm)].map(([, symbol = ""]) => symbol));
    read.set(path, found);
  }
  return found;
}
