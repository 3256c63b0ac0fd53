import { readFileSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { KERNELS } from "../../buslab.config.ts";
import { digestOf, short } from "../../orchestration/base/digest.ts";
import { SuiteError } from "../../orchestration/base/errors.ts";

/** Where a kernel comes from: Debian's source package of that version, or a source tree of the caller's. */
export type KernelSpec = { readonly kind: "debian"; readonly version: string } | { readonly kind: "source"; readonly dir: string };

export interface NamedKernel {
  /** Second part of a target id. */
  readonly name: string;
  readonly spec: KernelSpec;
}

/**
 * Understands the argument of `--kernel`: a key of `buslab.config.ts`, or the folder of a Linux source tree.
 * @throws KERNEL_SPEC_INVALID saying what was found there instead
 */
export function parseKernelSpec(text: string): NamedKernel {
  if (Object.hasOwn(KERNELS, text)) return { name: text, spec: KERNELS[text as keyof typeof KERNELS] };
  const known = Object.keys(KERNELS).join(", ");
  const dir = resolve(text);
  const info = statSync(dir, { throwIfNoEntry: false });
  if (info === undefined) {
    throw new SuiteError("KERNEL_SPEC_INVALID", `--kernel ${text}: neither a known kernel (${known}) nor a folder that exists`);
  }
  if (!info.isDirectory()) throw new SuiteError("KERNEL_SPEC_INVALID", `--kernel ${text} is a file; expected the folder of a Linux source tree`);
  const version = sourceVersion(dir, text);
  return { name: `${nameFrom(basename(dir))}-${version}-${short(digestOf(dir)).slice(0, 4)}`, spec: { kind: "source", dir } };
}

/** The spec of a kernel named in a target id. @throws KERNEL_SPEC_INVALID for a name that buslab.config.ts does not have */
export function kernelSpecOf(name: string): KernelSpec {
  if (Object.hasOwn(KERNELS, name)) return KERNELS[name as keyof typeof KERNELS];
  throw new SuiteError("KERNEL_SPEC_INVALID", `"${name}" is no kernel of buslab.config.ts; known: ${Object.keys(KERNELS).join(", ")}`);
}

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

function nameFrom(folder: string): string {
  const cleaned = folder.toLowerCase().replaceAll(/[^a-z0-9.]+/g, "-").replaceAll(/^-+|-+$/g, "");
  return cleaned === "" ? "source" : cleaned.slice(0, 24);
}

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
