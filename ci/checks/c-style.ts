import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { cacheDir, ROOT } from "../../orchestration/base/paths.ts";
import type { Check } from "./check.ts";
import { sourceFiles } from "./source-files.ts";

/** checkpatch --strict over every C file, with the checkpatch of the kernel source that images are built from. */
export const cStyle: Check = {
  name: "c-style",
  run: async () => {
    const files = sourceFiles(/\.(c|h)$/);
    const checkpatch = await findCheckpatch();
    if (checkpatch === undefined) return { examined: files.length, problems: plainRules(files) };
    const problems: string[] = [];
    for (const file of files) {
      const ignore = file.startsWith("vm-images/agent") ? "PREFER_KERNEL_TYPES,PREFER_DEFINED_ATTRIBUTE_MACRO,AVOID_EXTERNS,FILE_PATH_CHANGES" : "FILE_PATH_CHANGES";
      try {
        execFileSync("perl", [checkpatch, "--strict", "--no-tree", "--terse", "--no-summary", "--max-line-length=120", `--ignore=${ignore}`, "-f", join(ROOT, file)], { encoding: "utf8" });
      } catch (error) {
        const out = String((error as { stdout?: string }).stdout ?? error);
        problems.push(...out.split("\n").filter(Boolean).map((line) => line.replace(`${ROOT}/`, "")));
      }
    }
    return { examined: files.length, problems };
  },
};

async function findCheckpatch(): Promise<string | undefined> {
  const sources = join(cacheDir(), "sources");
  const folders = existsSync(sources) ? await readdir(sources) : [];
  const candidates = folders.map((folder) => join(sources, folder, "scripts/checkpatch.pl"));
  return candidates.find((candidate) => existsSync(candidate));
}

/** Before any kernel source was fetched: the rules that need no tool. */
function plainRules(files: readonly string[]): string[] {
  const problems: string[] = [];
  for (const file of files) {
    const lines = execFileSync("cat", [join(ROOT, file)], { encoding: "utf8" }).split("\n");
    lines.forEach((line, index) => {
      if (/[ \t]+$/.test(line)) problems.push(`${file}:${index + 1} trailing white space`);
      if (/^ {8}/.test(line)) problems.push(`${file}:${index + 1} eight spaces where a tab belongs`);
    });
    if (!lines[0]?.includes("SPDX-License-Identifier")) problems.push(`${file}:1 no SPDX line`);
  }
  return problems;
}
