import { copyFile, cp, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { digestFile, digestTree } from "../../orchestration/base/digest.ts";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { exec } from "../../orchestration/base/exec.ts";
import { ROOT } from "../../orchestration/base/paths.ts";
import type { ArchRow } from "../../orchestration/target/arches.ts";
import { type Artifact, type Build, type BuildContext, obtain } from "../cache.ts";
import { installPackages, missingPackages } from "../host-packages.ts";
import { buildRootfs, type RootfsArtifact } from "../rootfs/bootstrap.ts";
import { complaints, crossPrefix, versionOf } from "../tools.ts";
import { guestRoot } from "./guest-root.ts";

export interface BenchArtifact extends Artifact {
  /** Program for the guest, linked with the guest's own libsystemd. */
  readonly binary: string;
  /** Root of a machine without disks, for the kernel to unpack: see {@link guestRoot}. */
  readonly root: string;
}

const RECIPE = 2;
const SOURCE = "vm-images/bench";
const HEADER = "fixtures/abi/kdbus.h";
/** What a build by hand leaves there, and this file. */
const NO_INPUT = /(\.(ts|o|d)|(^|\/)bench)$/;

/**
 * Builds the program that compares transports in the guest. Headers of sd-bus come from this host, the library from the archive
 * that the guest's image is made of, so that another architecture needs no second copy of either.
 * @throws COMMAND_FAILED with the compiler's lines in the details; what {@link buildRootfs} and {@link installPackages} throw
 */
export async function buildBench(arch: ArchRow, ctx: BuildContext): Promise<BenchArtifact> {
  await installPackages(await missingPackages(["bench"]), ctx.progress);
  const rootfs = await buildRootfs(arch, ctx);
  const cc = `${crossPrefix(arch)}gcc`;
  const inputs: Record<string, string> = { [HEADER]: await digestFile(join(ROOT, HEADER)), "root file system": rootfs.manifest.key };
  for (const [path, digest] of await digestTree(join(ROOT, SOURCE), (path) => NO_INPUT.test(path))) inputs[`${SOURCE}/${path}`] = digest;
  const tools = { gcc: await versionOf(cc, "gcc") };
  const options = { title: `benchmark program ${arch.id}`, needsBytes: 256 * 1024 * 1024 };
  const artifact = await obtain("bench", { subject: arch.id, recipe: RECIPE, inputs, tools }, (dir) => compile(arch, rootfs, dir, ctx), options, ctx);
  return { ...artifact, binary: join(artifact.dir, "bench"), root: join(artifact.dir, "root.cpio") };
}

async function compile(arch: ArchRow, rootfs: RootfsArtifact, dir: string, ctx: BuildContext): Promise<Build> {
  const work = join(dir, "work");
  await cp(join(ROOT, SOURCE), join(work, SOURCE), { recursive: true, filter: (path) => !NO_INPUT.test(path) || path === join(ROOT, SOURCE) });
  await mkdir(join(work, "fixtures/abi"), { recursive: true });
  await copyFile(join(ROOT, HEADER), join(work, HEADER));
  const library = await extractLibrary(rootfs, join(work, "guest"));
  const result = await exec(["make", "-C", join(work, SOURCE), `-j${availableParallelism() + 1}`, `CC=${crossPrefix(arch)}gcc`, `OUT=${join(work, "bench")}`, `LIBSYSTEMD=${library}`], {
    okCodes: [0, 1, 2],
    env: { LC_ALL: "C", MAKEFLAGS: "" },
    logFile: join(ctx.logDir, "bench.log"),
    ...(ctx.signal === undefined ? {} : { signal: ctx.signal }),
  });
  if (result.exitCode !== 0) {
    const lines = complaints(`${result.stderr}\n${result.stdout}`).map((line) => line.replaceAll(`${work}/`, ""));
    throw new SuiteError("COMMAND_FAILED", `the benchmark program does not build: ${lines[0] ?? "make failed"}`, { details: lines.join("\n") });
  }
  await copyFile(join(work, "bench"), join(dir, "bench"));
  await writeFile(join(dir, "root.cpio"), await guestRoot(arch, rootfs.tar, join(work, "bench"), join(work, "root")));
  await rm(work, { recursive: true });
  return { outputs: ["bench", "root.cpio"] };
}

/** The guest's libsystemd: the file behind its links. */
async function extractLibrary(rootfs: RootfsArtifact, to: string): Promise<string> {
  await mkdir(to);
  await exec(["tar", "-C", to, "-xf", rootfs.tar, "--wildcards", "./usr/lib/*/libsystemd.so.0.*"]);
  const found = (await readdir(to, { recursive: true })).find((path) => /libsystemd\.so\.0\.[\d.]+$/.test(path));
  if (found === undefined) throw new SuiteError("IMAGE_BUILD_FAILED", `the root file system ${rootfs.tar} has no libsystemd.so.0`);
  return join(to, found);
}
