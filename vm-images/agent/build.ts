import { copyFile, cp, mkdir, rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { digestFile, digestTree } from "../../orchestration/base/digest.ts";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { ROOT } from "../../orchestration/base/paths.ts";
import type { ArchRow } from "../../orchestration/target/arches.ts";
import { type Artifact, type Build, type BuildContext, obtain } from "../cache.ts";
import { HOST_TOOLCHAIN } from "../toolchain.ts";
import { complaints, crossPrefix } from "../tools.ts";

export interface AgentArtifact extends Artifact {
  /** Static program for the guest. */
  readonly binary: string;
}

const RECIPE = 2;
const SOURCE = "vm-images/agent";
const HEADER = "fixtures/abi/kdbus.h";
/** What a build by hand leaves there (the program and its folder of objects), and this file. */
const NO_INPUT = /(\.(ts|o|d)|(^|\/)agent)$/;

/** Builds the guest agent with its own Makefile. @throws COMMAND_FAILED with the compiler's lines in the details */
export async function buildAgent(arch: ArchRow, ctx: BuildContext): Promise<AgentArtifact> {
  return make(`${crossPrefix(arch)}gcc`, arch.id, ctx);
}

/** The agent as a 32-bit program for a 64-bit architecture, for peers that are such programs; undefined where there is no such thing. */
export async function buildNarrowAgent(arch: ArchRow, ctx: BuildContext): Promise<AgentArtifact | undefined> {
  return arch.narrow === undefined ? undefined : make(`${arch.narrow.crossPrefix}gcc`, `${arch.id}-32`, ctx);
}

async function make(cc: string, subject: string, ctx: BuildContext): Promise<AgentArtifact> {
  const toolchain = ctx.toolchain ?? HOST_TOOLCHAIN;
  const inputs: Record<string, string> = { ...toolchain.inputs, [HEADER]: await digestFile(join(ROOT, HEADER)) };
  for (const [path, digest] of await digestTree(join(ROOT, SOURCE), (path) => NO_INPUT.test(path))) inputs[`${SOURCE}/${path}`] = digest;
  const tools = { gcc: await toolchain.versionOf(cc, "gcc") };
  const options = { title: `agent ${subject}`, needsBytes: 16 * 1024 * 1024 };
  const artifact = await obtain("agent", { subject, recipe: RECIPE, inputs, tools }, (dir) => compile(cc, dir, ctx), options, ctx);
  return { ...artifact, binary: join(artifact.dir, "agent") };
}

/**
 * Compiles a copy laid out like the repository, so that two architectures and a build by hand never meet in one folder. Debug
 * information names files as the repository does: equal sources give equal programs, wherever the copy lies.
 */
async function compile(cc: string, dir: string, ctx: BuildContext): Promise<Build> {
  const work = join(dir, "work");
  await cp(join(ROOT, SOURCE), join(work, SOURCE), { recursive: true, filter: (path) => !/\.(ts|o|d)$/.test(path) });
  await mkdir(join(work, "fixtures/abi"), { recursive: true });
  await copyFile(join(ROOT, HEADER), join(work, HEADER));
  const result = await (ctx.toolchain ?? HOST_TOOLCHAIN).run(["make", "-C", join(work, SOURCE), `-j${availableParallelism() + 1}`, `CC=${cc}`, `OUT=${join(work, "agent")}`, `CFLAGS_EXTRA=-ffile-prefix-map=${work}/=`], {
    okCodes: [0, 1, 2],
    env: { LC_ALL: "C", MAKEFLAGS: "" },
    logFile: join(ctx.logDir, "agent.log"),
    ...(ctx.signal === undefined ? {} : { signal: ctx.signal }),
  });
  if (result.exitCode !== 0) {
    const lines = complaints(`${result.stderr}\n${result.stdout}`).map((line) => line.replaceAll(`${work}/`, ""));
    throw new SuiteError("COMMAND_FAILED", `the guest agent does not build: ${lines[0] ?? "make failed"}`, { details: lines.join("\n") });
  }
  await copyFile(join(work, "agent"), join(dir, "agent"));
  await rm(work, { recursive: true });
  return { outputs: ["agent"] };
}
