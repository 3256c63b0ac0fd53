/** The door of the folder: everything that is built before a machine starts. */
export type { Artifact, BuildContext } from "./cache.ts";
export { buildKernel, type KernelArtifact } from "./kernel/build.ts";
export { kernelSpecOf, parseKernelSpec, type KernelSpec, type NamedKernel } from "./kernel/spec.ts";
export { buildModule, type ModuleArtifact } from "./module/build.ts";
export { readBuiltIn } from "./module/built-in.ts";
export { parseModuleSpec } from "./module/spec.ts";
export { buildAgent, type AgentArtifact } from "./agent/build.ts";
export { buildFuzzer, type FuzzerArtifact } from "./fuzzer/build.ts";
export { buildBench, type BenchArtifact } from "./bench/build.ts";
export { BENCH_PATH } from "./bench/guest-root.ts";
export { openBuilder } from "./containers/builder.ts";
export { buildDebianInitrd, requireDebianInitrd } from "./initrd/debian.ts";
export { cpio } from "./initrd/cpio.ts";
export { buildImage, type ImageArtifact } from "./rootfs/build.ts";
export { manifestSchema, type Manifest } from "./manifest.ts";
