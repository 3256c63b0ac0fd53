import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { SuiteError } from "../../orchestration/base/errors.ts";

/** `6.1.192` of a source tree's Makefile. @throws KERNEL_SPEC_INVALID where that is no clean Linux source tree */
export function sourceVersion(dir: string, shown: string = dir): string {
  const makefile = readOrNothing(join(dir, "Makefile"));
  const part = (name: string): string | undefined => new RegExp(`^${name}\\s*=\\s*(\\d*)\\s*$`, "m").exec(makefile)?.[1];
  const [version, patchLevel, sublevel] = [part("VERSION"), part("PATCHLEVEL"), part("SUBLEVEL")];
  const isKernel = version !== undefined && patchLevel !== undefined && readOrNothing(join(dir, "Kconfig")) !== "" && readOrNothing(join(dir, "Kbuild")) !== "";
  if (!isKernel) {
    throw new SuiteError("KERNEL_SPEC_INVALID", `--kernel ${shown} is no Linux source tree: a Makefile with VERSION and PATCHLEVEL, Kconfig and Kbuild must be in it`);
  }
  if (readOrNothing(join(dir, ".config")) !== "" || statSync(join(dir, "include/config"), { throwIfNoEntry: false }) !== undefined) {
    throw new SuiteError("KERNEL_SPEC_INVALID", `--kernel ${shown} was configured or built in place; run \`make mrproper\` there, the build needs a clean source tree`);
  }
  return `${version}.${patchLevel}.${sublevel === undefined || sublevel === "" ? "0" : sublevel}`;
}

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
