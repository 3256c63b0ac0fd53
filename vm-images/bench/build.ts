import { copyFile, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { exec } from "../../orchestration/base/exec.ts";
import type { ArchRow } from "../../orchestration/target/arches.ts";
import { type Artifact, type Build, type BuildContext, obtain } from "../cache.ts";
import { compileProgram, type GuestProgram, programInputs } from "../guest-program.ts";
import { installPackages, missingPackages } from "../host-packages.ts";
import { buildRootfs, type RootfsArtifact } from "../rootfs/bootstrap.ts";
import { toolchainOf } from "../toolchain.ts";
import { crossPrefix } from "../tools.ts";
import { guestRoot } from "./guest-root.ts";

export interface BenchArtifact extends Artifact {
  /** Program for the guest, linked with the guest's own libsystemd. */
  readonly binary: string;
  /** Root of a machine without disks, for the kernel to unpack: see {@link guestRoot}. */
  readonly root: string;
}

const RECIPE = 3;
const BENCH: GuestProgram = { name: "bench", title: "the benchmark program" };

/**
 * Builds the program that compares transports in the guest. Headers of sd-bus come from this host, the library from the archive
 * that the guest's image is made of, so that another architecture needs no second copy of either.
 * @throws COMMAND_FAILED with the compiler's lines in the details; what {@link buildRootfs} and {@link installPackages} throw
 */
export async function buildBench(arch: ArchRow, ctx: BuildContext): Promise<BenchArtifact> {
  await installPackages(await missingPackages(["bench"]), ctx.progress);
  const rootfs = await buildRootfs(arch, ctx);
  const toolchain = toolchainOf(ctx);
  const inputs = { ...toolchain.inputs, ...(await programInputs(BENCH)), "root file system": rootfs.manifest.key };
  const tools = { gcc: await toolchain.versionOf(`${crossPrefix(arch)}gcc`, "gcc") };
  const options = { title: `benchmark program ${arch.id}`, needsBytes: 256 * 1024 * 1024 };
  const artifact = await obtain("bench", { subject: arch.id, recipe: RECIPE, inputs, tools }, (dir) => compile(arch, rootfs, dir, ctx), options, ctx);
  return { ...artifact, binary: join(artifact.dir, "bench"), root: join(artifact.dir, "root.cpio") };
}

async function compile(arch: ArchRow, rootfs: RootfsArtifact, dir: string, ctx: BuildContext): Promise<Build> {
  const work = join(dir, "work");
  const library = await extractLibrary(rootfs, join(work, "guest"));
  const binary = await compileProgram(BENCH, `${crossPrefix(arch)}gcc`, work, ctx, [`LIBSYSTEMD=${library}`]);
  await copyFile(binary, join(dir, "bench"));
  await writeFile(join(dir, "root.cpio"), await guestRoot(arch, rootfs.tar, binary, join(work, "root")));
  await rm(work, { recursive: true });
  return { outputs: ["bench", "root.cpio"] };
}

/** The guest's libsystemd: the file behind its links. */
async function extractLibrary(rootfs: RootfsArtifact, to: string): Promise<string> {
  await mkdir(to, { recursive: true });
  await exec(["tar", "-C", to, "-xf", rootfs.tar, "--wildcards", "./usr/lib/*/libsystemd.so.0.*"]);
  const found = (await readdir(to, { recursive: true })).find((path) => /libsystemd\.so\.0\.[\d.]+$/.test(path));
  if (found === undefined) throw new SuiteError("IMAGE_BUILD_FAILED", `the root file system ${rootfs.tar} has no libsystemd.so.0`);
  return join(to, found);
}
