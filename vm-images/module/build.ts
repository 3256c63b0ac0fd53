import { existsSync } from "node:fs";
import { copyFile, mkdir, readdir, rename, rm, utimes, stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { basename, dirname, join } from "node:path";
import { digestJson, short } from "../../orchestration/base/digest.ts";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { cacheDir, ROOT } from "../../orchestration/base/paths.ts";
import type { Step } from "../../orchestration/base/progress.ts";
import type { Target } from "../../orchestration/target/target-id.ts";
import { type Artifact, type Build, type BuildContext, obtain } from "../cache.ts";
import type { KernelArtifact } from "../kernel/build.ts";
import { lockFile } from "../lock.ts";
import { type Toolchain, toolchainOf } from "../toolchain.ts";
import { complaints, crossPrefix, requireCommands } from "../tools.ts";
import { LEFTOVER, readSources } from "./sources.ts";
import { parseModuleSpec, variantOf } from "./spec.ts";
import { syncFolder } from "./sync.ts";

export interface ModuleArtifact extends Artifact {
  /** The module to load, without debug information; null where it is part of the kernel. */
  readonly ko: string | null;
  /** The same with debug information, for addr2line and gdb. */
  readonly koDebug: string | null;
  /** Its name in `/proc/modules`. */
  readonly name: string;
  /** What its file names in messages and notes begin with, `fixtures/module`. */
  readonly label: string;
  /** What gcov needs to tell lines from counters; null where lines are not counted. */
  readonly gcov: GcovNotes | null;
}

export interface GcovNotes {
  /** Folder of the *.gcno files, as they lie below the module's folder. */
  readonly notes: string;
  /** Folder of the counters in the guest, below /sys/kernel/debug/gcov: the path that the objects were compiled at. */
  readonly guestDir: string;
}

const RECIPE = 4;
/** A vendor's kernel may describe the types of its modules too, by a program that this host need not have. Nobody reads it: a module loads without. */
const NO_BTF = "CONFIG_DEBUG_INFO_BTF_MODULES=";
/** Make variables of a build kind, before those that the caller names. */
const BUILD_VARIABLES: Readonly<Record<Target["build"], Readonly<Record<string, string>>>> = { plain: {}, debug: {}, cov: { GCOV_PROFILE: "y" } };
const FORGOTTEN_MS = 24 * 60 * 60 * 1000;

/**
 * Builds the one module of a folder with a Kbuild file out of tree against a kernel, or finds it in the cache. The folder is
 * copied with `abi/kdbus.h` beside it and stays untouched; objects of the last build are kept, so that one changed file is
 * one compiled file.
 * @param spec the folder, with make variables behind it if wanted, see {@link parseModuleSpec}
 * @throws MODULE_BUILD_FAILED with the compiler's lines in the details; MODULE_DIR_INVALID
 */
export async function buildModule(target: Target, kernel: KernelArtifact, spec: string, ctx: BuildContext): Promise<ModuleArtifact> {
  const named = parseModuleSpec(spec);
  if (named.builtIn) return partOf(kernel);
  const parsed = { ...named, variables: { ...BUILD_VARIABLES[target.build], ...named.variables } };
  const { variables } = parsed;
  const { dir, label, inputs: own } = await readSources(parsed);
  const cross = crossPrefix(target.arch);
  const toolchain = toolchainOf(ctx);
  const inputs = { ...toolchain.inputs, kernel: kernel.manifest.key, ...own };
  const variant = variantOf(parsed);
  const tools = { gcc: await toolchain.versionOf(`${cross}gcc`, "gcc"), ld: await toolchain.versionOf(`${cross}ld`, "binutils") };
  const subject = `${target.arch.id}/${target.kernel}/${target.build}/${label}${variant}`;
  const job: Job = { target, kernel, dir, label, variables, cross, subject, ctx, toolchain, workKey: short(digestJson({ RECIPE, ...toolchain.inputs, dir, variables, kernel: kernel.key, tools })) };

  const options = { title: `module ${label}${variant}`, needsBytes: 64 * 1024 * 1024, keep: 16 };
  const artifact = await obtain("module", { subject, recipe: RECIPE, inputs, tools }, (out, step) => compile(job, out, step), options, ctx);
  const name = String(artifact.manifest.facts["name"]);
  const guestDir = artifact.manifest.facts["gcovDir"];
  return {
    ...artifact,
    name,
    label,
    ko: join(artifact.dir, `${name}.ko`),
    koDebug: join(artifact.dir, `${name}.ko.debug`),
    gcov: typeof guestDir === "string" ? { notes: join(artifact.dir, "gcov"), guestDir } : null,
  };
}

/** The module that a kernel was built with. */
function partOf(kernel: KernelArtifact): ModuleArtifact {
  const name = kernel.manifest.facts["builtIn"];
  if (typeof name !== "string") throw new Error(`the kernel ${kernel.key} was built without a module in it`);
  return { ...kernel, kind: "module", because: `part of the kernel, ${kernel.because}`, name, label: name, ko: null, koDebug: null, gcov: null };
}

interface Job {
  readonly target: Target;
  readonly kernel: KernelArtifact;
  readonly dir: string;
  /** What file names in the module's debug information begin with. */
  readonly label: string;
  readonly variables: Readonly<Record<string, string>>;
  readonly cross: string;
  readonly subject: string;
  readonly ctx: BuildContext;
  readonly toolchain: Toolchain;
  readonly workKey: string;
}

async function compile(job: Job, out: string, step: Step): Promise<Build> {
  const shelf = join(cacheDir(), "work", "module");
  const work = join(shelf, job.workKey);
  const module = join(work, "module");
  await using _lock = await lockFile(`${work}.lock`, () => step.update("another build uses the work folder, waiting"), job.ctx.signal);
  await removeForgotten(shelf, job.workKey);
  await syncFolder(job.dir, module, LEFTOVER);
  await syncFolder(join(ROOT, "fixtures/abi"), join(work, "abi"), /\.(?!h$)[^./]*$/);
  for (const stale of (await readdir(module)).filter((file) => file.endsWith(".ko"))) await rm(join(module, stale));

  await make(job, work, module, step);
  const built = (await readdir(module)).filter((file) => file.endsWith(".ko"));
  const [ko] = built;
  if (ko === undefined || built.length > 1) {
    throw new SuiteError("MODULE_DIR_INVALID", `${job.dir} builds ${built.length === 0 ? "no .ko" : built.join(", ")}; expected exactly one`);
  }
  const name = ko.slice(0, -".ko".length).replaceAll("-", "_");
  await job.toolchain.run([`${job.cross}strip`, "--strip-debug", "-o", join(out, `${name}.ko`), join(module, ko)]);
  await rename(join(module, ko), join(out, `${name}.ko.debug`));
  const outputs = [`${name}.ko`, `${name}.ko.debug`];
  const facts = { name, release: job.kernel.release };
  if (job.variables["GCOV_PROFILE"] !== "y") return { outputs, facts };
  await keepNotes(module, join(out, "gcov"));
  return { outputs: [...outputs, "gcov"], facts: { ...facts, gcovDir: module } };
}

async function make(job: Job, work: string, module: string, step: Step): Promise<void> {
  // Names in messages and debug information are those of the repository, wherever the copy and the kernel lie. Of maps that fit, gcc takes the last.
  const profiled = job.variables["GCOV_PROFILE"] === "y";
  const kernel = `${job.kernel.buildTree}=linux-${job.kernel.release}`;
  const maps = [kernel, `${work}/=fixtures/`, `${module}/=${job.label}/`].flatMap((map) => [
    `-fmacro-prefix-map=${map}`,
    `-fdebug-prefix-map=${map}`,
    ...(profiled && map !== kernel ? [`-fprofile-prefix-map=${map}`] : []),
  ]);
  const variables = Object.entries(job.variables).map(([name, value]) => `${name}=${value}`);
  let done = 0;
  const result = await job.toolchain.run(
    ["make", "-C", job.kernel.buildTree, `M=${module}`, `ARCH=${job.target.arch.kernelArch}`, `CROSS_COMPILE=${job.cross}`, NO_BTF, ...variables, `-j${availableParallelism() + 1}`, "modules"],
    {
      env: { KCFLAGS: ["-g", ...maps].join(" "), LC_ALL: "C", MAKEFLAGS: "", KBUILD_BUILD_TIMESTAMP: "@0" },
      okCodes: [0, 1, 2],
      logFile: join(job.ctx.logDir, `module-${basename(job.dir)}.log`),
      onLine: (line) => {
        const file = /^ {2}(?:CC|LD|MODPOST) (?:\[M\])? *(\S+)/.exec(line)?.[1];
        if (file !== undefined) step.update(`${++done} objects, ${basename(file)}`);
      },
      ...(job.ctx.signal === undefined ? {} : { signal: job.ctx.signal }),
    },
  );
  if (result.exitCode === 0) return;
  if (/No space left on device/.test(result.stderr)) throw new SuiteError("HOST_DISK_FULL", `no space left while compiling in ${work}`);
  requireCommands(result, `the build of ${job.label} against Linux ${job.kernel.release}`);
  const lines = complaints(`${result.stderr}\n${result.stdout}`).map((line) => line.replaceAll(`${module}/`, `${job.label}/`).replaceAll(`${work}/`, "fixtures/"));
  throw new SuiteError("MODULE_BUILD_FAILED", `${job.label} does not build against Linux ${job.kernel.release}: ${lines[0] ?? "make failed"}`, {
    details: lines.length > 0 ? lines.join("\n") : result.stderr.split("\n").slice(-40).join("\n"),
  });
}

/** The notes of every object that still has its source, and the sources that they speak of. */
async function keepNotes(module: string, to: string): Promise<void> {
  for (const path of await readdir(module, { recursive: true })) {
    const wanted = path.endsWith(".gcno") ? existsSync(join(module, path.replace(/gcno$/, "c"))) : /(?<!\.mod)\.[ch]$/.test(path);
    if (!wanted) continue;
    await mkdir(dirname(join(to, path)), { recursive: true });
    await copyFile(join(module, path), join(to, path));
  }
}

/** Work folders of modules nobody built for a day; a module tried once must not stay for ever. */
async function removeForgotten(shelf: string, current: string): Promise<void> {
  for (const name of await readdir(shelf)) {
    if (name.startsWith(current) || name.endsWith(".lock")) continue;
    const path = join(shelf, name);
    const info = await stat(path).catch(() => undefined);
    if (info !== undefined && Date.now() - info.mtimeMs > FORGOTTEN_MS) await rm(path, { recursive: true, force: true });
  }
  await utimes(join(shelf, current), new Date(), new Date()).catch(() => undefined); // not there at the first build
}
