import type { TargetSpace } from "./orchestration/target/target-id.ts";

/** Kernels that can be named in a target id, and where their source comes from: Debian's own source packages. */
export const KERNELS = {
  "debian-6.1": { kind: "debian", version: "6.1" },
  "debian-6.12": { kind: "debian", version: "6.12" },
} as const;

/** Every target that can be built here; `./buslab targets` prints it. */
export const TARGET_SPACE: TargetSpace = {
  arches: ["x86_64", "arm64"],
  kernels: Object.keys(KERNELS),
  lsms: ["none", "selinux", "apparmor", "smack", "tomoyo"],
  builds: ["plain", "debug", "cov"],
};

/**
 * Architectures of which not every series and build was ever made: no wildcard takes them, only their own name or a kernel of theirs.
 * arm: debian-6.1 plain is conformant under every security module; debian-6.12, debug and cov are untried.
 */
export const EXPERIMENTAL_ARCHES: TargetSpace["arches"] = ["arm"];

/** What `./buslab run` without a target takes. */
export const DEFAULT_TARGET = "x86_64/debian-6.1/none/plain";
