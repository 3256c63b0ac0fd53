import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { ROOT } from "../../orchestration/base/paths.ts";
import { BUILD_ROWS, type Target } from "../../orchestration/target/target-id.ts";

/** Wishes that some kernel version or architecture is known not to have, each with the reason. */
const MAY_VANISH: Readonly<Record<string, string>> = {
  CONFIG_DMIID: "arm64 without EFI has no DMI",
  CONFIG_TIME_NS: "32-bit ARM has no time namespaces",
  CONFIG_BASE_FULL: "always so since 6.10",
  CONFIG_AUTOFS4_FS: "an old name of AUTOFS_FS, gone in 6.6",
  CONFIG_SECURITY_SELINUX_CHECKREQPROT_VALUE: "gone in 6.4, fixed at 0",
  CONFIG_UBSAN_SANITIZE_ALL: "gone in 6.9, always so since; a canary shows that modules are watched",
  CONFIG_DEBUG_CREDENTIALS: "gone in 6.7",
  CONFIG_MICROCODE: "always on since 6.6",
};

/** Repository paths of the config fragments of a target, in the order in which they are put together. */
export function fragmentsOf(target: Target): string[] {
  const names = ["base.config", target.arch.configFragment, ...(BUILD_ROWS[target.build].kernel === "debug" ? ["debug.config"] : [])];
  return names.map((name) => `vm-images/kernel/config/${name}`);
}

/** Contents of fragments, ours by their path in the repository, the caller's by a full path. */
export async function readFragments(paths: readonly string[]): Promise<string> {
  return (await Promise.all(paths.map((path) => readFile(resolve(ROOT, path), "utf8")))).join("\n");
}

/** `CONFIG_X` to its value; `n` for `# CONFIG_X is not set`. The last line of a symbol counts, as for Kconfig. */
export function parseConfig(text: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split("\n")) {
    const set = /^(CONFIG_\w+)=(.*)$/.exec(line.trim());
    const unset = /^# (CONFIG_\w+) is not set$/.exec(line.trim());
    if (set?.[1] !== undefined) values.set(set[1], set[2] ?? "");
    else if (unset?.[1] !== undefined) values.set(unset[1], "n");
  }
  return values;
}

export interface Dropped {
  readonly symbol: string;
  readonly wanted: string;
  /** What the resolved configuration says instead; `absent` where this kernel does not offer it. */
  readonly got: string;
}

/** Wishes of the fragments that the resolved configuration does not have. */
export function droppedWishes(fragments: string, resolved: string): Dropped[] {
  const got = parseConfig(resolved);
  return [...parseConfig(fragments)].flatMap(([symbol, wanted]) => {
    const value = got.get(symbol);
    if (value === wanted || (wanted === "n" && value === undefined)) return [];
    return [{ symbol, wanted, got: value ?? "absent" }];
  });
}

/**
 * Compares the wishes with what Kconfig made of them.
 * @param own the caller's fragments among them. With such, nobody can tell whether the kernel lacks a line or a fragment took it
 *   away or made it up, so the kernel is not accused.
 * @returns the lines that are known to vanish, for the manifest
 * @throws KERNEL_BUILD_FAILED, or KERNEL_SPEC_INVALID with fragments of the caller's, naming each other line that did not stick: a
 *   kernel without what was asked for would judge the wrong thing
 */
export function requireWishes(fragments: string, resolved: string, own: readonly string[] = []): string[] {
  const dropped = droppedWishes(fragments, resolved);
  const unknown = dropped.filter((entry) => !Object.hasOwn(MAY_VANISH, entry.symbol));
  if (unknown.length === 0) return dropped.map((entry) => `${entry.symbol}: ${MAY_VANISH[entry.symbol] ?? ""}`);
  const names = unknown.map((entry) => entry.symbol).join(", ").slice(0, 400);
  const details = unknown.map((entry) => `${entry.symbol}: wanted ${entry.wanted}, got ${entry.got}`).join("\n");
  if (own.length === 0) throw new SuiteError("KERNEL_BUILD_FAILED", `this kernel does not take ${unknown.length} line(s) of our configuration: ${names}`, { details });
  const message = `with --config ${own.join(", ")} this kernel does not take ${unknown.length} line(s) of the configuration: ${names}; such an option does not exist, or one that it depends on is off`;
  throw new SuiteError("KERNEL_SPEC_INVALID", message, { details });
}
