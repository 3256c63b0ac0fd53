import { dirname, join } from "node:path";
import { asSuiteError } from "../base/errors.ts";
import { exec } from "../base/exec.ts";
import { ROOT } from "../base/paths.ts";
import { syncFolder } from "../../vm-images/module/sync.ts";
import { MUTANTS_DIR, type Mutant } from "./mutant.ts";

export const REFERENCE_DIR = join(ROOT, "fixtures/module");
/** Hidden files and what a build leaves: no part of a source. */
export const NO_SOURCE = /(^|\/)(\.[^/]*|[^/]*\.(ko|o|a|mod|mod\.c|cmd|symvers|order|gcno|gcda))$/;

/** Makes `dir` hold the reference with patches applied one after the other, their context matched exactly. @returns the first that does not apply and why, or null */
export async function plant(patches: readonly Pick<Mutant, "name" | "patch">[], dir: string, signal?: AbortSignal): Promise<string | null> {
  await syncFolder(REFERENCE_DIR, dir, NO_SOURCE);
  for (const { name, patch } of patches) {
    try {
      await exec(["git", "apply", "-p3", "--whitespace=nowarn", "-"], { cwd: dir, env: outside(dir), stdin: patch, ...(signal === undefined ? {} : { signal }) });
    } catch (error) {
      const named = asSuiteError(error);
      if (named.code !== "COMMAND_FAILED" || signal?.aborted === true) throw named;
      const why = (named.details ?? named.message).split("\n").find((line) => line.startsWith("error:"))?.slice("error: ".length) ?? named.message;
      return `${name} does not apply: ${why}`;
    }
  }
  return null;
}

/**
 * Tries patches on the reference without changing anything, all in one child: a process for each would take a minute.
 * @returns why a mutant's patch does not apply, by name; those that apply are left out
 */
export async function misfits(mutants: readonly Pick<Mutant, "name">[]): Promise<Map<string, string>> {
  const loop = 'for name; do why=$(git apply --check -p3 "$MUTANTS/$name.patch" 2>&1) || echo "$name" $why; done';
  const { stdout } = await exec(["sh", "-c", loop, "sh", ...mutants.map(({ name }) => name)], { cwd: REFERENCE_DIR, env: { ...outside(REFERENCE_DIR), MUTANTS: MUTANTS_DIR } });
  return new Map(stdout.split("\n").filter(Boolean).map((line) => [line.split(" ", 1)[0] ?? "", line.replace(/^\S+ (error: )?/, "")]));
}

/** For git: outside of any repository, so that paths count from the folder it works in. */
function outside(dir: string): Record<string, string> {
  return { GIT_CEILING_DIRECTORIES: dirname(dir), LC_ALL: "C" };
}

