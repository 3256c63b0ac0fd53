import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { digestFile } from "../../orchestration/base/digest.ts";
import { SuiteError } from "../../orchestration/base/errors.ts";
import type { ExecOptions } from "../../orchestration/base/exec.ts";
import { cacheDir, ROOT } from "../../orchestration/base/paths.ts";
import type { Step } from "../../orchestration/base/progress.ts";
import { BUILD_ROWS, type Target } from "../../orchestration/target/target-id.ts";
import { type Artifact, type Build, type BuildContext, manifests, obtain } from "../cache.ts";
import { plantBuiltIn, type BuiltIn } from "../module/built-in.ts";
import { type Toolchain, toolchainOf } from "../toolchain.ts";
import { complaints, cpuSecondsOf, crossPrefix, metered, requireCommands } from "../tools.ts";
import { copyBuildTree } from "./build-tree.ts";
import { fragmentsOf, readFragments, requireWishes } from "./config.ts";
import { findSource, type KernelSource } from "./sources.ts";
import { prebuiltKernel } from "./prebuilt.ts";
import type { KernelSpec, SourceSpec } from "./spec.ts";

export interface KernelArtifact extends Artifact {
  /** What QEMU boots. */
  readonly image: string;
  /** Initial RAM disk, for a kernel whose drivers are modules. */
  readonly initrd?: string;
  /** Self-contained folder for `make -C buildTree M=...`. */
  readonly buildTree: string;
  /** The resolved configuration. */
  readonly config: string;
  /** `uname -r` of a guest that runs it. */
  readonly release: string;
}

const RECIPE = 3;
const MIB = 1024 * 1024;
/** Programs that Kconfig looks for on the host and writes down; without these words equal inputs would give different kernels. */
const NOT_ASKED = ["PAHOLE=no-pahole", "RUSTC=no-rustc"];
/** Kbuild's look at every object for exported symbols that are static: a check of the source's authors that changes nothing, a tenth of the compile time. */
const UNCHECKED = ["cmd_check_local_export=:"];
/** Lines make prints for the base configuration; only the percentage depends on it, and only at the first build. */
const EXPECTED_STEPS = 2036;

/** The kernel of a target: compiled here, or made bootable when somebody else compiled it. @throws what {@link compiledKernel} and {@link prebuiltKernel} throw */
export async function buildKernel(target: Target, spec: KernelSpec, ctx: BuildContext, builtIn?: BuiltIn): Promise<KernelArtifact> {
  if (spec.kind !== "deb" && spec.kind !== "image") return compiledKernel(target, spec, ctx, builtIn);
  if (builtIn === undefined) return prebuiltKernel(target, spec, ctx);
  throw new SuiteError("KERNEL_SPEC_INVALID", `${spec.kind}: is a kernel that is already compiled, ${builtIn.title} cannot be linked into it; give a kernel of source, or --module with the folder alone`);
}

/**
 * Builds the kernel of a target from source, our fragments and the caller's, or finds it in the cache.
 * @param builtIn module to be linked in, from a copy of the source tree
 * @throws KERNEL_BUILD_FAILED with the compiler's lines, or the configuration lines that did not stick, in the details; what {@link requireWishes} throws
 */
async function compiledKernel(target: Target, spec: SourceSpec, ctx: BuildContext, builtIn: BuiltIn | undefined): Promise<KernelArtifact> {
  const cross = crossPrefix(target.arch);
  const toolchain = toolchainOf(ctx);
  const source = await findSource(spec, ctx);
  const ownFragments = spec.config ?? [];
  const fragments = [...fragmentsOf(target), ...ownFragments];
  const inputs: Record<string, string> = { ...toolchain.inputs, ...source.inputs, ...builtIn?.sources.inputs };
  for (const path of fragments) inputs[path] = await digestFile(resolve(ROOT, path));
  const tools = { gcc: await toolchain.versionOf(`${cross}gcc`, "gcc"), ld: await toolchain.versionOf(`${cross}ld`, "binutils") };
  await toolchain.versionOf("ccache", "ccache");

  const subject = [target.arch.id, target.kernel, BUILD_ROWS[target.build].kernel, ...(builtIn === undefined ? [] : [builtIn.title])].join("/");
  const job: Job = { target, source, fragments, ownFragments, cross, subject, ctx, toolchain, ...(builtIn === undefined ? {} : { builtIn }) };
  const options = { title: `kernel ${subject}`, needsBytes: 1200 * MIB };
  const artifact = await obtain("kernel", { subject, recipe: RECIPE, inputs, tools }, (dir, step) => compile(job, dir, step), options, ctx);
  return {
    ...artifact,
    image: join(artifact.dir, target.arch.kernelTarget),
    buildTree: join(artifact.dir, "build"),
    config: join(artifact.dir, "config"),
    release: String(artifact.manifest.facts["release"]),
  };
}

interface Job {
  readonly target: Target;
  readonly source: KernelSource;
  readonly fragments: readonly string[];
  /** Those of them that the caller gave. */
  readonly ownFragments: readonly string[];
  readonly cross: string;
  readonly subject: string;
  readonly ctx: BuildContext;
  readonly toolchain: Toolchain;
  readonly builtIn?: BuiltIn;
}

/** Where one build works: the tree lies beside the output, at the same relative place in every build, which is what ccache goes by. */
interface Place {
  readonly dir: string;
  readonly tree: string;
  readonly output: string;
}

async function compile(job: Job, dir: string, step: Step): Promise<Build> {
  const { source, builtIn, ctx } = job;
  await mkdir(source.workDir, { recursive: true });
  await removeOrphans(source.workDir);
  const own = join(source.workDir, `out-${slug(job.subject)}-${process.pid}`);
  await rm(own, { recursive: true, force: true });
  await mkdir(own);
  try {
    if (builtIn === undefined) return await compileTree(job, { dir: source.workDir, tree: source.dir, output: own }, dir, step);
    step.update(`a copy of the source tree with ${builtIn.sources.label} in it`, 0);
    const tree = join(own, "src");
    await plantBuiltIn(source.dir, tree, builtIn, ctx.signal);
    await mkdir(join(own, "out"));
    return await compileTree(job, { dir: own, tree, output: join(own, "out") }, dir, step);
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}

async function compileTree(job: Job, place: Place, dir: string, step: Step): Promise<Build> {
  const { target, source, cross, builtIn } = job;
  const { tree, output } = place;

  // 1. configuration: everything the fragments do not name stays off, and what they name must have stuck
  step.update("configure", 0);
  const wishes = join(output, "wishes.config");
  await writeFile(wishes, `${await readFragments(job.fragments)}\n${builtIn === undefined ? "" : `${builtIn.symbol}=y\n`}`);
  await make(job, place, ["-s", `KCONFIG_ALLCONFIG=${wishes}`, "allnoconfig"]);
  const dropped = requireWishes(await readFile(wishes, "utf8"), await readFile(join(output, ".config"), "utf8"), job.ownFragments);

  // 2. compile, counting make's lines
  const { steps, cpuSeconds } = await compileCounting(job, place, step);

  // 3. keep what later stages read
  step.update("copy the build tree for modules", 0.99);
  await copyFile(join(output, target.arch.kernelImage), join(dir, target.arch.kernelTarget));
  await copyFile(join(output, "System.map"), join(dir, "System.map"));
  await copyFile(join(output, ".config"), join(dir, "config"));
  const srcArch = target.arch.kernelImage.split("/")[1] ?? target.arch.kernelArch;
  await copyBuildTree(tree, output, srcArch, join(dir, "build"));
  const release = (await readFile(join(output, "include/config/kernel.release"), "utf8")).trim();
  return {
    outputs: [target.arch.kernelTarget, "System.map", "config", "build"],
    facts: { release, steps, cpuSeconds, compiler: `${cross}gcc`, dropped, source: source.dir, ...(builtIn === undefined ? {} : { builtIn: builtIn.name }) },
  };
}

/** A subject as part of a file name. */
function slug(subject: string): string {
  return subject.replaceAll(/[^\w.]+/g, "-");
}

/** Removes the folders of builds whose process is gone: 400 MB each, left by a kill or a power cut. */
async function removeOrphans(workDir: string): Promise<void> {
  for (const name of await readdir(workDir)) {
    const pid = /^out-.*-(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) await rm(join(workDir, name), { recursive: true, force: true });
  }
}

/** Runs the long part of the build; returns the number of lines make printed, the measure of the next build's progress, and its CPU time. */
async function compileCounting(job: Job, place: Place, step: Step): Promise<{ steps: number; cpuSeconds: number }> {
  const shelf = join(cacheDir(), "artifacts", "kernel");
  const earlier = (await manifests(shelf)).find((manifest) => manifest.subject === job.subject)?.facts["steps"];
  const expected = typeof earlier === "number" ? earlier : EXPECTED_STEPS;
  let done = 0;
  let last = "";
  const show = (): void => step.update(`${done} of about ${expected} objects, ${last}`, Math.min(0.98, done / expected));
  const onLine = (line: string): void => {
    const named = /^ {2}([A-Z0-9]+(?: \[M\])?) +(\S+)/.exec(line);
    if (named === null) return;
    done += 1;
    last = (named[2] ?? "").replace(`${place.output}/`, "");
    show();
  };
  const clock = setInterval(show, 1000); // linking prints nothing for a long time
  try {
    const cpuSeconds = await make(job, place, [`-j${jobs()}`, job.target.arch.kernelTarget, "modules", "vmlinux"], onLine);
    return { steps: done, cpuSeconds };
  } finally {
    clearInterval(clock);
  }
}

function jobs(): number {
  return availableParallelism() + 1;
}

async function make(job: Job, place: Place, words: readonly string[], onLine?: (line: string) => void): Promise<number> {
  const { target, cross, ctx } = job;
  const variables = Object.entries(job.builtIn?.spec.variables ?? {}).map(([name, value]) => `${name}=${value}`);
  const argv = ["make", "-C", place.tree, `O=${place.output}`, `ARCH=${target.arch.kernelArch}`, `CROSS_COMPILE=${cross}`, `CC=ccache ${cross}gcc`, ...NOT_ASKED, ...UNCHECKED, ...variables, ...words] as [string, ...string[]];
  const options: ExecOptions = {
    cwd: place.dir,
    env: compileEnvironment(place.dir, job.toolchain.ccacheDir),
    timeoutMs: 4 * 60 * 60 * 1000,
    logFile: join(ctx.logDir, `kernel-${slug(job.subject)}.log`),
    code: "KERNEL_BUILD_FAILED",
    ...(onLine === undefined ? {} : { onLine }),
    ...(ctx.signal === undefined ? {} : { signal: ctx.signal }),
  };
  const result = await job.toolchain.run(metered(argv), { ...options, okCodes: [0, 1, 2] });
  if (result.exitCode === 0) return cpuSecondsOf(result);
  const lines = complaints(`${result.stderr}\n${result.stdout}`);
  if (/No space left on device/.test(result.stderr)) throw new SuiteError("HOST_DISK_FULL", `no space left while compiling in ${place.output}`);
  const first = lines[0] ?? `make ended with exit code ${result.exitCode}`;
  requireCommands(result, `the build of the kernel ${job.subject}`);
  throw new SuiteError("KERNEL_BUILD_FAILED", `the kernel of ${job.subject} does not build: ${first}`, {
    details: lines.length > 0 ? lines.join("\n") : result.stderr.split("\n").slice(-40).join("\n"),
  });
}

/** Fixed names and times make two builds of the same inputs equal; the ccache settings let a tree at another path hit. */
function compileEnvironment(baseDir: string, ccacheDir: string): Record<string, string> {
  return {
    CCACHE_DIR: ccacheDir,
    CCACHE_BASEDIR: baseDir,
    CCACHE_NOHASHDIR: "1",
    // Looks entries up by the headers that the compiler names itself; else each miss is preprocessed once more, a quarter of the compile time.
    // The compiler gets the paths as Kbuild wrote them, so __FILE__ is `lib/idr.c`, wherever the tree lies.
    CCACHE_DEPEND: "1",
    CCACHE_SLOPPINESS: "locale,time_macros",
    KBUILD_BUILD_TIMESTAMP: "@0",
    KBUILD_BUILD_USER: "buslab",
    KBUILD_BUILD_HOST: "buslab",
    LC_ALL: "C",
    // Words of the caller's shell that would change what is compiled.
    MAKEFLAGS: "",
    KCFLAGS: "",
    LOCALVERSION: "",
  };
}
