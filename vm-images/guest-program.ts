import { copyFile, cp, mkdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { digestFile, digestTree } from "../orchestration/base/digest.ts";
import { SuiteError } from "../orchestration/base/errors.ts";
import { ROOT } from "../orchestration/base/paths.ts";
import type { BuildContext } from "./cache.ts";
import { toolchainOf } from "./toolchain.ts";
import { complaints } from "./tools.ts";

const HEADER = "fixtures/abi/kdbus.h";

/** A C program of this repository for guests: a folder with a Makefile that reads the bus's header and knows CC, OUT and CFLAGS_EXTRA. */
export interface GuestProgram {
  /** Of the file that is made, and of its folder in `vm-images`. */
  readonly name: "agent" | "bench" | "fuzzer";
  /** For messages: `the guest agent`. */
  readonly title: string;
}

/** Digests of what it is compiled from, by path in the repository. */
export async function programInputs(program: GuestProgram): Promise<Record<string, string>> {
  const source = folderOf(program);
  const inputs: Record<string, string> = { [HEADER]: await digestFile(join(ROOT, HEADER)) };
  for (const [path, digest] of await digestTree(join(ROOT, source), noInput(program))) inputs[`${source}/${path}`] = digest;
  return inputs;
}

/**
 * Compiles it in `work`, a copy laid out like the repository, so that two architectures and a build by hand never meet in one
 * folder. Debug information names files as the repository does: equal sources give equal programs, wherever the copy lies.
 * @param variables further words of its make, `NAME=VALUE`
 * @returns path of the program, in `work`
 * @throws COMMAND_FAILED with the compiler's lines in the details
 */
export async function compileProgram(program: GuestProgram, cc: string, work: string, ctx: BuildContext, variables: readonly string[] = []): Promise<string> {
  const source = folderOf(program);
  const isLeft = noInput(program);
  const from = join(ROOT, source);
  await cp(from, join(work, source), { recursive: true, filter: (path) => path === from || !isLeft(path) });
  await mkdir(join(work, "fixtures/abi"), { recursive: true });
  await copyFile(join(ROOT, HEADER), join(work, HEADER));
  const binary = join(work, program.name);
  const words = [`CC=${cc}`, `OUT=${binary}`, `CFLAGS_EXTRA=-ffile-prefix-map=${work}/=`, ...variables];
  const result = await toolchainOf(ctx).run(["make", "-C", join(work, source), `-j${availableParallelism() + 1}`, ...words], {
    okCodes: [0, 1, 2],
    env: { LC_ALL: "C", MAKEFLAGS: "" },
    logFile: join(ctx.logDir, `${program.name}.log`),
    ...(ctx.signal === undefined ? {} : { signal: ctx.signal }),
  });
  if (result.exitCode === 0) return binary;
  const lines = complaints(`${result.stderr}\n${result.stdout}`).map((line) => line.replaceAll(`${work}/`, ""));
  throw new SuiteError("COMMAND_FAILED", `${program.title} does not build: ${lines[0] ?? "make failed"}`, { details: lines.join("\n") });
}

function folderOf(program: GuestProgram): string {
  return `vm-images/${program.name}`;
}

/** What a build by hand leaves in the folder (the program and its objects), and our own files. */
function noInput(program: GuestProgram): (path: string) => boolean {
  const pattern = new RegExp(`(\\.(ts|o|d)|(^|/)${program.name})$`);
  return (path) => pattern.test(path);
}
