import { SuiteError } from "../orchestration/base/errors.ts";
import { exec } from "../orchestration/base/exec.ts";
import { type ArchRow, isNative } from "../orchestration/target/arches.ts";
import { aptLine, findProgram } from "./host-packages.ts";

/** Prefix of the compiler's name: none where the host is of that architecture. */
export function crossPrefix(arch: ArchRow): string {
  return isNative(arch) ? "" : arch.crossPrefix;
}

/** First line a program prints for `--version`. @throws HOST_TOOL_MISSING naming the package to install */
export async function versionOf(program: string, debianPackage: string): Promise<string> {
  const path = await requireProgram(program, debianPackage);
  const answer = await exec([path, "--version"], { okCodes: [0, 1] });
  return (answer.stdout === "" ? answer.stderr : answer.stdout).split("\n")[0]?.trim() ?? "";
}

/** Full path of a program. @throws HOST_TOOL_MISSING naming the package to install */
export async function requireProgram(program: string, debianPackage: string): Promise<string> {
  const path = await findProgram(program);
  if (path !== undefined) return path;
  throw new SuiteError("HOST_TOOL_MISSING", `the program ${program} is not installed; type: ${aptLine([debianPackage])}`);
}

/** Lines of a compiler's, linker's or make's output that say what is wrong, at most 40. */
export function complaints(output: string): string[] {
  const lines = output.split("\n").filter((line) => /(?:^|\s)(?:fatal )?error:|undefined reference|undefined!|\*\*\* |No such file|multiple definition/i.test(line) && !/\*\*\* Deleting file/.test(line));
  // make only passes on that something below it failed
  const real = lines.filter((line) => !/\*\*\* (?:Waiting for unfinished jobs|\[.*\] Error \d+)/.test(line));
  return (real.length > 0 ? real : lines).slice(0, 40);
}

/**
 * A make that failed because a shell of it found no such program says nothing about what was to be compiled.
 * @throws HOST_TOOL_MISSING naming the program
 */
export function requireCommands(output: { readonly stdout: string; readonly stderr: string }, what: string): void {
  const said = `${output.stderr}\n${output.stdout}`;
  const found = /^(?:\/bin\/)?(?:sh|bash|dash): (?:line )?(?:\d+: )?(\S+): (?:command )?not found$/m.exec(said) ?? /^make(?:\[\d+\])?: ([\w.+-]+): No such file or directory$/m.exec(said);
  const program = found?.[1];
  if (program !== undefined) throw new SuiteError("HOST_TOOL_MISSING", `${what} needs the program ${program}, which is not installed; install it, or build on a host that has it`);
}

/** The command in a shell that says at the end what CPU time it and everything it waited for took. */
export function metered(argv: readonly [string, ...string[]]): [string, ...string[]] {
  return ["sh", "-c", '"$@"; code=$?; times >&2; exit $code', "sh", ...argv];
}

/** CPU seconds, user and system, of a {@link metered} command. */
export function cpuSecondsOf({ stderr }: { readonly stderr: string }): number {
  const last = stderr.trimEnd().split("\n").at(-1) ?? "";
  const sum = [...last.matchAll(/(\d+)m([\d.]+)s/g)].reduce((total, [, minutes, seconds]) => total + 60 * Number(minutes) + Number(seconds), 0);
  return Math.round(sum * 10) / 10;
}
