import { SuiteError } from "../base/errors.ts";
import { ARCHES, type ArchRow } from "./arches.ts";

export const LSMS = ["none", "selinux", "apparmor", "smack", "tomoyo"] as const;
export type Lsm = (typeof LSMS)[number];

export const BUILDS = ["plain", "debug", "cov"] as const;
export type Build = (typeof BUILDS)[number];

interface BuildRow {
  /** The kernel that it runs on; the module alone is built differently for `cov`. */
  readonly kernel: Build;
  /** How much slower a guest is than with a plain kernel: every time limit is multiplied by it. Measured, see docs/debug-and-coverage.md. */
  readonly slowdown: number;
  readonly memoryMb: number;
}

/** What a build kind means for the parts of a target. */
export const BUILD_ROWS: Readonly<Record<Build, BuildRow>> = {
  plain: { kernel: "plain", slowdown: 1, memoryMb: 512 },
  debug: { kernel: "debug", slowdown: 6, memoryMb: 1024 },
  cov: { kernel: "plain", slowdown: 1.5, memoryMb: 512 },
};

/** `<arch>/<kernel>/<lsm>/<build>`, e.g. `x86_64/debian-6.1/none/plain`. */
export type TargetId = `${string}/${string}/${string}/${string}`;

export interface Target {
  readonly id: TargetId;
  readonly arch: ArchRow;
  /** A key of `buslab.config.ts`, or a name derived from --kernel. */
  readonly kernel: string;
  readonly lsm: Lsm;
  readonly build: Build;
}

export interface TargetSpace {
  readonly arches: readonly ArchRow["id"][];
  readonly kernels: readonly string[];
  readonly lsms: readonly Lsm[];
  readonly builds: readonly Build[];
}

export function makeTarget(arch: ArchRow["id"], kernel: string, lsm: Lsm, build: Build): Target {
  return { id: `${arch}/${kernel}/${lsm}/${build}`, arch: ARCHES[arch], kernel, lsm, build };
}

/** The target as its kernel sees it: `cov` is `plain` there, and everything built for that serves both. */
export function kernelTarget(target: Target): Target {
  return makeTarget(target.arch.id, target.kernel, target.lsm, BUILD_ROWS[target.build].kernel);
}

/** All targets of the space, in the order of its lists. */
export function allTargets(space: TargetSpace): Target[] {
  return space.arches.flatMap((arch) =>
    space.kernels.flatMap((kernel) => space.lsms.flatMap((lsm) => space.builds.map((build) => makeTarget(arch, kernel, lsm, build)))),
  );
}

/**
 * Targets that a pattern names. Missing or `*` parts are wildcards: `arm64`, `x86_64/debian-6.1`, any arch with `selinux`.
 * @throws TARGET_UNKNOWN naming the part that fits nothing and what would fit
 */
export function selectTargets(pattern: string, space: TargetSpace): Target[] {
  const parts = pattern.split("/");
  const names = ["architecture", "kernel", "security module", "build"] as const;
  const choices: readonly (readonly string[])[] = [space.arches, space.kernels, space.lsms, space.builds];
  if (parts.length > 4) throw new SuiteError("TARGET_UNKNOWN", `"${pattern}" has ${parts.length} parts; a target is <arch>/<kernel>/<lsm>/<build>`);
  parts.forEach((part, index) => {
    const known = choices[index] ?? [];
    if (part !== "" && part !== "*" && !known.includes(part)) {
      throw new SuiteError("TARGET_UNKNOWN", `"${part}" in "${pattern}" is no ${names[index] ?? "part"} that can be built here; known: ${known.join(", ")}`);
    }
  });
  return allTargets(space).filter((target) =>
    target.id.split("/").every((value, index) => {
      const wanted = parts[index] ?? "*";
      return wanted === "" || wanted === "*" || wanted === value;
    }),
  );
}
