import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { cacheDir, ROOT } from "../../orchestration/base/paths.ts";
import type { Check } from "./check.ts";
import { sourceFiles } from "./source-files.ts";

const run = promisify(execFile);

/** Rules that do not fit a part, the narrowest folder first; every other rule holds everywhere. */
const ALLOWED: readonly (readonly [prefix: string, ignore: readonly string[]])[] = [
  // an out-of-tree module meets several kernels, and this is the one file that tells them apart
  ["fixtures/module/compat.h", ["LINUX_VERSION_CODE", "CONSTANT_COMPARISON"]],
  // compares a configuration constant with a constant
  ["fixtures/module/generation.", ["CONSTANT_COMPARISON"]],
  // its purpose is to crash, spin and print broken lines
  ["fixtures/trouble/", ["AVOID_BUG", "USLEEP_RANGE", "LOGGING_CONTINUATION", "PREFER_PR_LEVEL"]],
  // read by user space, which has neither macro
  ["fixtures/abi/", ["PREFER_DEFINED_ATTRIBUTE_MACRO", "BIT_MACRO"]],
  // a table of fields: the macro that takes sizeof and offsetof of one names it twice
  ["vm-images/agent/abi_dump.c", ["MACRO_ARG_REUSE", "PREFER_KERNEL_TYPES"]],
  // programs of user space, which has no strscpy either
  ["vm-images/bench/", ["PREFER_KERNEL_TYPES", "PREFER_DEFINED_ATTRIBUTE_MACRO", "AVOID_EXTERNS", "BIT_MACRO", "MACRO_ARG_REUSE"]],
  ["vm-images/agent/", ["PREFER_KERNEL_TYPES", "PREFER_DEFINED_ATTRIBUTE_MACRO", "AVOID_EXTERNS", "STRCPY"]],
  // programs of user space, which has neither the attribute macros of the kernel nor its strscpy
  ["vm-images/initrd/", ["PREFER_DEFINED_ATTRIBUTE_MACRO"]],
  ["orchestration/vm/qemu/", ["PREFER_DEFINED_ATTRIBUTE_MACRO", "STRCPY", "STRNCPY"]],
  // a program too; what picks from a table names it twice
  ["vm-images/fuzzer/", ["MACRO_ARG_REUSE", "PREFER_KERNEL_TYPES", "PREFER_DEFINED_ATTRIBUTE_MACRO", "AVOID_EXTERNS", "STRCPY"]],
  ["", []],
];

/** checkpatch --strict over every C file, kernel-doc over the module: with the scripts of the kernel source that images are built from. */
export const cStyle: Check = {
  name: "c-style",
  run: async () => {
    const files = sourceFiles(/\.(c|h)$/);
    const checkpatch = await findScript("checkpatch.pl");
    if (checkpatch === undefined) return { examined: files.length, problems: plainRules(files) };
    const problems: string[] = [];
    await Promise.all(
      ALLOWED.map(async ([folder, ignore], index) => {
        const own = (file: string): boolean => ALLOWED.findIndex(([prefix]) => file.startsWith(prefix)) === index;
        const chosen = files.filter(own).map((file) => join(ROOT, file));
        if (chosen.length === 0) return;
        const width = folder.startsWith("vm-images/") ? 120 : 100; // programs of user space keep the width of the rest of the user-space code
        const argv = ["--strict", "--no-tree", "--terse", "--no-summary", `--max-line-length=${width}`, `--ignore=${["FILE_PATH_CHANGES", ...ignore].join(",")}`, "-f", ...chosen];
        const { stdout } = await run("perl", [checkpatch, ...argv], { maxBuffer: 1 << 26 }).catch((error: unknown) => ({ stdout: String((error as { stdout?: string }).stdout ?? `${folder}: ${String(error)}`) }));
        problems.push(...stdout.split("\n").filter(Boolean).map((line) => line.replace(`${ROOT}/`, "")));
      }),
    );
    problems.push(...(await kernelDoc(files.filter((file) => file.startsWith("fixtures/module/")))));
    return { examined: files.length, problems };
  },
};

/** What the comments of the module say about parameters and members that are not there, or do not say about those that are. */
async function kernelDoc(files: readonly string[]): Promise<string[]> {
  const script = await findScript("kernel-doc");
  if (script === undefined || files.length === 0) return [];
  const argv = [script, "-none", "-Werror", ...files.map((file) => join(ROOT, file))];
  const failure = await run("perl", argv, { maxBuffer: 1 << 26 }).then(
    () => undefined,
    (error: unknown) => error as { readonly stderr?: string },
  );
  if (failure === undefined) return [];
  const lines = (failure.stderr ?? "").split("\n").filter(Boolean);
  return lines.length > 0 ? lines.map((line) => `kernel-doc: ${line.replace(`${ROOT}/`, "")}`) : [`kernel-doc: ${String(failure)}`];
}

/** That of the newest kernel source there is: its rules are a superset of the older ones'. */
async function findScript(name: string): Promise<string | undefined> {
  const sources = join(cacheDir(), "sources");
  const folders = existsSync(sources) ? (await readdir(sources)).sort((a, b) => b.localeCompare(a, "en", { numeric: true })) : [];
  const candidates = folders.map((folder) => join(sources, folder, "src/scripts", name));
  return candidates.find((candidate) => existsSync(candidate));
}

/** Before any kernel source was fetched: the rules that need no tool. */
function plainRules(files: readonly string[]): string[] {
  const problems: string[] = [];
  for (const file of files) {
    const lines = readFileSync(join(ROOT, file), "utf8").split("\n");
    lines.forEach((line, index) => {
      if (/[ \t]+$/.test(line)) problems.push(`${file}:${index + 1} trailing white space`);
      if (/^ {8}/.test(line)) problems.push(`${file}:${index + 1} eight spaces where a tab belongs`);
    });
    if (!lines[0]?.includes("SPDX-License-Identifier")) problems.push(`${file}:1 no SPDX line`);
  }
  return problems;
}
