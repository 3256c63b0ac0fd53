import { SuiteError } from "../base/errors.ts";
import type { Lsm } from "../target/target-id.ts";

/** What is read of a guest; a file that is not there throws. */
interface Guest {
  readText(path: string): Promise<string>;
}

/** Modules of which at most one is in force: two labels on one task would prove nothing about either. */
const MAJOR: readonly Lsm[] = ["selinux", "apparmor", "smack", "tomoyo"];

/** A file that only a module at work has, and what stands in it then. */
const AT_WORK: Readonly<Partial<Record<Lsm, readonly [path: string, content: RegExp]>>> = {
  selinux: ["/sys/fs/selinux/enforce", /^1/],
  apparmor: ["/sys/module/apparmor/parameters/enabled", /^Y/],
  smack: ["/sys/fs/smackfs/load2", /^/],
  tomoyo: ["/sys/kernel/security/tomoyo/profile", /PROFILE_VERSION/],
};

/**
 * Asks the guest which security modules are in force: a boot line that a kernel ignores must not be taken for one.
 * @throws LSM_NOT_IN_FORCE naming what was wanted and what is there
 */
export async function requireLsm(guest: Guest, wanted: Lsm): Promise<void> {
  const list = (await read(guest, "/sys/kernel/security/lsm")).trim();
  const major = list.split(",").filter((name) => (MAJOR as readonly string[]).includes(name));
  const named = wanted === "none" ? [] : [wanted];
  if (major.join() !== named.join()) {
    throw new SuiteError("LSM_NOT_IN_FORCE", `the target asks for security module "${wanted}", but the guest's kernel has "${list}" in force`);
  }
  const work = AT_WORK[wanted];
  if (work === undefined) return;
  const [path, content] = work;
  const found = await read(guest, path);
  if (!content.test(found)) throw new SuiteError("LSM_NOT_IN_FORCE", `${wanted} is in the guest's list of security modules, but ${path} says "${found.trim().slice(0, 60)}"`);
}

async function read(guest: Guest, path: string): Promise<string> {
  return guest.readText(path).catch((cause: unknown) => {
    throw new SuiteError("LSM_NOT_IN_FORCE", `${path} cannot be read in the guest, so which security module is in force is unknown`, { cause });
  });
}
