import { copyFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { exec } from "../../orchestration/base/exec.ts";
import type { ArchRow } from "../../orchestration/target/arches.ts";
import { type Artifact, type BuildContext, obtain } from "../cache.ts";
import { compileProgram, type GuestProgram, programInputs } from "../guest-program.ts";
import { toolchainOf } from "../toolchain.ts";
import { crossPrefix } from "../tools.ts";

export interface FuzzerArtifact extends Artifact {
  /** Static program for the guest. */
  readonly binary: string;
}

const RECIPE = 2;
const FUZZER: GuestProgram = { name: "fuzzer", title: "the fuzzer" };

/** Builds the guest's half of the fuzzer with its own Makefile. @throws COMMAND_FAILED with the compiler's lines in the details */
export async function buildFuzzer(arch: ArchRow, ctx: BuildContext): Promise<FuzzerArtifact> {
  const cc = `${crossPrefix(arch)}gcc`;
  const toolchain = toolchainOf(ctx);
  const inputs = { ...toolchain.inputs, ...(await programInputs(FUZZER)) };
  const tools = { gcc: await toolchain.versionOf(cc, "gcc") };
  const options = { title: `fuzzer ${arch.id}`, needsBytes: 16 * 1024 * 1024 };
  const artifact = await obtain(
    "fuzzer",
    { subject: arch.id, recipe: RECIPE, inputs, tools },
    async (dir) => {
      const work = join(dir, "work");
      await copyFile(await compileProgram(FUZZER, cc, work, ctx), join(dir, "fuzzer"));
      await rm(work, { recursive: true });
      await exec(["strip", "--strip-debug", join(dir, "fuzzer")], { okCodes: [0, 1] }); // a foreign architecture stays as it is
      return { outputs: ["fuzzer"] };
    },
    options,
    ctx,
  );
  return { ...artifact, binary: join(artifact.dir, "fuzzer") };
}
