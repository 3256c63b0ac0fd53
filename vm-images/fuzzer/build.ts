import { copyFile, cp, mkdir, rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { digestFile, digestTree } from "../../orchestration/base/digest.ts";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { exec } from "../../orchestration/base/exec.ts";
import { ROOT } from "../../orchestration/base/paths.ts";
import type { ArchRow } from "../../orchestration/target/arches.ts";
import { type Artifact, type Build, type BuildContext, obtain } from "../cache.ts";
import { complaints, crossPrefix, versionOf } from "../tools.ts";

export interface FuzzerArtifact extends Artifact {
  /** Static program for the guest. */
  readonly binary: string;
}

const RECIPE = 1;
const SOURCE = "vm-images/fuzzer";
const HEADER = "fixtures/abi/kdbus.h";
/** What a build by hand leaves there, and this file. */
const NO_INPUT = /(\.(ts|o|d)|(^|\/)fuzzer)$/;

/** Builds the guest's half of the fuzzer with its own Makefile. @throws COMMAND_FAILED with the compiler's lines in the details */
export async function buildFuzzer(arch: ArchRow, ctx: BuildContext): Promise<FuzzerArtifact> {
  const cc = `${crossPrefix(arch)}gcc`;
  const inputs: Record<string, string> = { [HEADER]: await digestFile(join(ROOT, HEADER)) };
  for (const [path, digest] of await digestTree(join(ROOT, SOURCE), (path) => NO_INPUT.test(path))) inputs[`${SOURCE}/${path}`] = digest;
  const tools = { gcc: await versionOf(cc, "gcc") };
  const options = { title: `fuzzer ${arch.id}`, needsBytes: 16 * 1024 * 1024 };
  const artifact = await obtain("fuzzer", { subject: arch.id, recipe: RECIPE, inputs, tools }, (dir) => compile(cc, dir, ctx), options, ctx);
  return { ...artifact, binary: join(artifact.dir, "fuzzer") };
}

async function compile(cc: string, dir: string, ctx: BuildContext): Promise<Build> {
  const work = join(dir, "work");
  await cp(join(ROOT, SOURCE), join(work, SOURCE), { recursive: true, filter: (path) => !/\.(ts|o|d)$/.test(path) });
  await mkdir(join(work, "fixtures/abi"), { recursive: true });
  await copyFile(join(ROOT, HEADER), join(work, HEADER));
  const result = await exec(["make", "-C", join(work, SOURCE), `-j${availableParallelism() + 1}`, `CC=${cc}`, `OUT=${join(dir, "fuzzer")}`, `OBJDIR=${join(work, "o")}`], {
    okCodes: [0, 1, 2],
    env: { LC_ALL: "C", MAKEFLAGS: "" },
    logFile: join(ctx.logDir, "fuzzer.log"),
    ...(ctx.signal === undefined ? {} : { signal: ctx.signal }),
  });
  if (result.exitCode !== 0) {
    const lines = complaints(`${result.stderr}\n${result.stdout}`).map((line) => line.replaceAll(`${work}/`, ""));
    throw new SuiteError("COMMAND_FAILED", `the fuzzer does not build: ${lines[0] ?? "make failed"}`, { details: lines.join("\n") });
  }
  await exec(["strip", "--strip-debug", join(dir, "fuzzer")], { okCodes: [0, 1] }); // a foreign architecture stays as it is
  await rm(work, { recursive: true });
  return { outputs: ["fuzzer"] };
}
