import { dirname, join } from "node:path";
import { asSuiteError } from "../base/errors.ts";
import { exec } from "../base/exec.ts";
import { ROOT } from "../base/paths.ts";
import { syncFolder } from "../../vm-images/module/sync.ts";
import type { Mutant } from "./mutant.ts";

export const REFERENCE_DIR = join(ROOT, "fixtures/module");
/** Hidden files and what a build leaves: no part of a source. */
const NO_SOURCE = /(^|\/)(\.[^/]*|[^/]*\.(ko|o|a|mod|mod\.c|cmd|symvers|order|gcno|gcda))$/;

/** Makes `dir` hold the reference with the mutant's patch applied, its context matched exactly. @returns why it does not apply, or null */
export async function plant(mutant: Pick<Mutant, "patch">, dir: string, signal?: AbortSignal): Promise<string | null> {
  await syncFolder(REFERENCE_DIR, dir, NO_SOURCE);
  return applyPatch(mutant, dir, [], signal);
}

/** Tries the patch on the reference without changing anything. @returns why it does not apply, or null */
export function tryPatch(mutant: Pick<Mutant, "patch">): Promise<string | null> {
  return applyPatch(mutant, REFERENCE_DIR, ["--check"]);
}

async function applyPatch(mutant: Pick<Mutant, "patch">, dir: string, flags: readonly string[], signal?: AbortSignal): Promise<string | null> {
  // Outside of any repository, so that paths count from `dir`; without fuzz, git's only way.
  const env = { GIT_CEILING_DIRECTORIES: dirname(dir), LC_ALL: "C" };
  try {
    await exec(["git", "apply", "-p3", "--whitespace=nowarn", ...flags, "-"], { cwd: dir, env, stdin: mutant.patch, ...(signal === undefined ? {} : { signal }) });
    return null;
  } catch (error) {
    const named = asSuiteError(error);
    if (named.code !== "COMMAND_FAILED" || signal?.aborted === true) throw named;
    return (named.details ?? named.message).split("\n").find((line) => line.startsWith("error:"))?.slice("error: ".length) ?? named.message;
  }
}
