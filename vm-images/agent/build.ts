import { copyFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { ArchRow } from "../../orchestration/target/arches.ts";
import { type Artifact, type BuildContext, obtain } from "../cache.ts";
import { compileProgram, type GuestProgram, programInputs } from "../guest-program.ts";
import { toolchainOf } from "../toolchain.ts";
import { crossPrefix } from "../tools.ts";

export interface AgentArtifact extends Artifact {
  /** Static program for the guest. */
  readonly binary: string;
}

const RECIPE = 2;
const AGENT: GuestProgram = { name: "agent", title: "the guest agent" };

/** Builds the guest agent with its own Makefile. @throws COMMAND_FAILED with the compiler's lines in the details */
export async function buildAgent(arch: ArchRow, ctx: BuildContext): Promise<AgentArtifact> {
  return make(`${crossPrefix(arch)}gcc`, arch.id, ctx);
}

/** The agent as a 32-bit program for a 64-bit architecture, for peers that are such programs; undefined where there is no such thing. */
export async function buildNarrowAgent(arch: ArchRow, ctx: BuildContext): Promise<AgentArtifact | undefined> {
  return arch.narrow === undefined ? undefined : make(`${arch.narrow.crossPrefix}gcc`, `${arch.id}-32`, ctx);
}

async function make(cc: string, subject: string, ctx: BuildContext): Promise<AgentArtifact> {
  const toolchain = toolchainOf(ctx);
  const inputs = { ...toolchain.inputs, ...(await programInputs(AGENT)) };
  const tools = { gcc: await toolchain.versionOf(cc, "gcc") };
  const options = { title: `agent ${subject}`, needsBytes: 16 * 1024 * 1024 };
  const artifact = await obtain(
    "agent",
    { subject, recipe: RECIPE, inputs, tools },
    async (dir) => {
      const work = join(dir, "work");
      await copyFile(await compileProgram(AGENT, cc, work, ctx), join(dir, "agent"));
      await rm(work, { recursive: true });
      return { outputs: ["agent"] };
    },
    options,
    ctx,
  );
  return { ...artifact, binary: join(artifact.dir, "agent") };
}
