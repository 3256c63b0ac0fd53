import { copyFile, lstat, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { digestFile, digestOf } from "../../orchestration/base/digest.ts";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { exec } from "../../orchestration/base/exec.ts";
import { ROOT } from "../../orchestration/base/paths.ts";
import type { Step } from "../../orchestration/base/progress.ts";
import { nativeArch } from "../../orchestration/target/arches.ts";
import type { Target } from "../../orchestration/target/target-id.ts";
import { type Artifact, type Build, type BuildContext, obtain } from "../cache.ts";
import { buildInitrd, INIT_SOURCE } from "../initrd/build.ts";
import { toolchainOf } from "../toolchain.ts";
import { crossPrefix } from "../tools.ts";
import { Apt, type AptPackage } from "./apt.ts";
import type { KernelArtifact } from "./build.ts";
import type { PrebuiltSpec } from "./spec.ts";

const RECIPE = 1;
const MIB = 1024 * 1024;

/**
 * Makes a kernel that somebody else compiled bootable here: its image, an initial RAM disk with the drivers it has as modules,
 * its configuration and the folder that modules are built against.
 * @throws KERNEL_SPEC_INVALID in one sentence about what was given; HOST_NETWORK
 */
export async function prebuiltKernel(target: Target, spec: PrebuiltSpec, ctx: BuildContext): Promise<KernelArtifact> {
  const subject = `${target.arch.id}/${target.kernel}`;
  const toolchain = toolchainOf(ctx);
  const tools = { gcc: await toolchain.versionOf(`${crossPrefix(target.arch)}gcc`, "gcc") };
  const common = { ...toolchain.inputs, [INIT_SOURCE]: await digestFile(join(ROOT, INIT_SOURCE)) };
  const options = { title: `kernel ${subject}`, needsBytes: 1200 * MIB };
  const artifact =
    spec.kind === "deb" ? await fromPackages(target, spec, { subject, tools, common, options }, ctx) : await fromFiles(target, spec, { subject, tools, common, options }, ctx);
  const initrd = artifact.manifest.outputs.some((output) => output.path === "initrd") ? { initrd: join(artifact.dir, "initrd") } : {};
  return {
    ...artifact,
    ...initrd,
    image: join(artifact.dir, target.arch.kernelTarget),
    buildTree: spec.kind === "deb" ? join(artifact.dir, "build") : spec.build,
    config: join(artifact.dir, "config"),
    release: String(artifact.manifest.facts["release"]),
  };
}

interface Frame {
  readonly subject: string;
  readonly tools: Readonly<Record<string, string>>;
  readonly common: Readonly<Record<string, string>>;
  readonly options: { readonly title: string; readonly needsBytes: number };
}

async function fromPackages(target: Target, spec: PrebuiltSpec & { kind: "deb" }, frame: Frame, ctx: BuildContext): Promise<Artifact> {
  const shown = `--kernel deb:${spec.package}`;
  const apt = await Apt.of(target.arch, ctx);
  const image = await resolve(apt, spec.package, shown);
  const release = image.name.replace(/^linux-image-/, "").replace(/-unsigned$/, "");
  const headers = await must(apt, `linux-headers-${release}`, shown);
  const [common, kbuild] = [/^linux-headers-.*-common/, /^linux-kbuild-/].map((pattern) => dependency(headers, pattern));
  if (common === undefined || kbuild === undefined) {
    throw new SuiteError("KERNEL_SPEC_INVALID", `${shown}: ${headers.name} needs no linux-headers-…-common and linux-kbuild-…, so it is no header package of Debian's; use image: with the kernel's own build folder`);
  }
  // Programs that run during a module build are of this host's architecture, whatever the kernel's.
  const native = nativeArch();
  const hostApt = native === undefined || native.id === target.arch.id ? apt : await Apt.of(native, ctx);
  const ours = [image, headers, await must(apt, common, shown)];
  const hosts = [await must(hostApt, kbuild, shown)];
  const packages = [...ours, ...hosts];
  const inputs = { ...frame.common, ...Object.fromEntries(packages.map((entry) => [entry.name, entry.version])) };
  const build = async (dir: string, step: Step): Promise<Build> => {
    const deb = join(dir, "deb");
    const root = join(deb, "root");
    await mkdir(root, { recursive: true });
    await apt.download(ours, deb, (line) => step.update(line), ctx);
    await hostApt.download(hosts, deb, (line) => step.update(line), ctx);
    step.update("unpack");
    for (const file of (await readdir(deb)).filter((name) => name.endsWith(".deb"))) await unpack(join(deb, file), root, ctx);
    step.update("lay out the build folder");
    await layOut(root, release, kbuild, join(dir, "build"));
    const files = { vmlinuz: join(root, "boot", `vmlinuz-${release}`), modules: await modulesBelow(root, release), config: join(dir, "build/.config") };
    const made = await assemble(target, { ...files, release, shown }, dir, step, ctx);
    await rm(deb, { recursive: true });
    return { outputs: [...made.outputs, "build"], facts: { ...made.facts, packages: packages.map((entry) => `${entry.name} ${entry.version}`) } };
  };
  return obtain("kernel", { subject: frame.subject, recipe: RECIPE, inputs, tools: frame.tools }, build, frame.options, ctx);
}

async function fromFiles(target: Target, spec: PrebuiltSpec & { kind: "image" }, frame: Frame, ctx: BuildContext): Promise<Artifact> {
  const shown = `--kernel image:${spec.vmlinuz}`;
  const named = (await readFile(join(spec.build, "include/config/kernel.release"), "utf8").catch(() => "")).trim();
  const config = join(spec.build, ".config");
  if (named === "" || (await lstat(config).catch(() => undefined)) === undefined) {
    throw new SuiteError("KERNEL_SPEC_INVALID", `${shown}: ${spec.build} holds no ${named === "" ? "include/config/kernel.release" : ".config"}; expected the folder of a kernel that was built or its unpacked header package`);
  }
  const release = basename(spec.modules);
  if (release !== named) throw new SuiteError("KERNEL_SPEC_INVALID", `${shown}: the modules are of ${release}, the build folder is of ${named}; give two of one build`);
  const inputs = {
    ...frame.common,
    vmlinuz: await digestFile(spec.vmlinuz),
    modules: await digestTimes(spec.modules),
    build: await digestTimes(spec.build),
    "build folder": spec.build,
  };
  const build = (dir: string, step: Step): Promise<Build> => assemble(target, { ...spec, config, release, shown }, dir, step, ctx);
  return obtain("kernel", { subject: frame.subject, recipe: RECIPE, inputs, tools: frame.tools }, build, frame.options, ctx);
}

interface Files {
  readonly vmlinuz: string;
  readonly modules: string;
  readonly config: string;
  readonly release: string;
  readonly shown: string;
}

async function assemble(target: Target, files: Files, dir: string, step: Step, ctx: BuildContext): Promise<Build> {
  await copyFile(files.vmlinuz, join(dir, target.arch.kernelTarget));
  await copyFile(files.config, join(dir, "config"));
  step.update("make the initial RAM disk");
  const modules = await buildInitrd({ arch: target.arch, modules: files.modules, release: files.release, shown: files.shown }, join(dir, "initrd"), ctx);
  return { outputs: [target.arch.kernelTarget, "config", ...(modules.length === 0 ? [] : ["initrd"])], facts: { release: files.release, initrdModules: [...modules] } };
}

/** Of 400 MB of modules, most are drivers of hardware that no machine of ours has: not unpacked, not looked at. */
const LEFT_OUT = ["sound", ...["gpu", "media", "infiniband", "scsi", "usb", "staging", "iio", "hid", "input", "hwmon", "net/wireless", "net/ethernet"].map((name) => `drivers/${name}`)];

async function unpack(file: string, root: string, ctx: BuildContext): Promise<void> {
  const excludes = LEFT_OUT.map((folder) => `--exclude=*/kernel/${folder}`);
  const script = 'file=$1 root=$2; shift 2; dpkg-deb --fsys-tarfile "$file" | tar -C "$root" --no-same-owner "$@" -xf -';
  await exec(["bash", "-o", "pipefail", "-c", script, "bash", file, root, ...excludes], passSignal(ctx));
}

/** Follows a metapackage to the kernel it stands for. */
async function resolve(apt: Apt, name: string, shown: string): Promise<AptPackage> {
  let found = await must(apt, name, shown);
  for (;;) {
    const next = dependency(found, /^linux-image-/);
    if (next === undefined) return found;
    found = await must(apt, next, shown);
  }
}

async function must(apt: Apt, name: string, shown: string): Promise<AptPackage> {
  const found = await apt.show(name);
  if (found !== undefined) return found;
  throw new SuiteError("KERNEL_SPEC_INVALID", `${shown}: the package ${name} is not in the apt sources of this host; \`apt-cache search linux-image\` lists the kernels that are`);
}

function dependency(entry: AptPackage, pattern: RegExp): string | undefined {
  return entry.depends.split(",").map((word) => word.trim().split(/[ (]/)[0] ?? "").find((word) => pattern.test(word));
}

/**
 * Debian spreads a build folder over three packages that name each other by absolute path; here it becomes one that can be
 * moved: common files, above them the flavour's, and the programs.
 */
async function layOut(root: string, release: string, kbuild: string, to: string): Promise<void> {
  const src = join(root, "usr/src");
  const folders = await readdir(src);
  const common = folders.find((name) => name.startsWith("linux-headers-") && name.includes("-common"));
  if (common === undefined) throw new SuiteError("KERNEL_SPEC_INVALID", `the packages of ${release} have no /usr/src/linux-headers-…-common`);
  await mkdir(to);
  // cp(1), for these are 25,000 files; the folders' links to the programs' package would dangle, and give way to it
  const lay = async (from: string): Promise<void> => void (await exec(["cp", "-a", `${from}/.`, to]));
  await lay(join(src, common));
  await lay(join(src, `linux-headers-${release}`));
  for (const name of ["scripts", "tools", ".kernelvariables"]) await rm(join(to, name), { force: true });
  await copyFile(join(src, common, "Makefile"), join(to, "Makefile"));
  await lay(join(root, "usr/lib", kbuild));
}

async function modulesBelow(root: string, release: string): Promise<string> {
  for (const place of ["lib/modules", "usr/lib/modules"]) {
    const folder = join(root, place, release);
    const names = await readdir(folder).catch((): string[] => []);
    if (names.includes("kernel")) return folder;
  }
  throw new SuiteError("KERNEL_SPEC_INVALID", `the packages of ${release} have no /lib/modules/${release}/kernel`);
}

/** A tree by path, size and time of each file: a folder of modules is 400 MB, read at each run it would cost more than the run. */
async function digestTimes(dir: string): Promise<string> {
  const lines: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) await walk(path);
      else {
        const info = await lstat(path);
        lines.push(`${path.slice(dir.length)} ${info.size} ${Math.floor(info.mtimeMs)}`);
      }
    }
  };
  await walk(dir);
  return digestOf(lines.sort().join("\n"));
}

function passSignal(ctx: BuildContext): { signal?: AbortSignal } {
  return ctx.signal === undefined ? {} : { signal: ctx.signal };
}
