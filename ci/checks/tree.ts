import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ROOT } from "../../orchestration/base/paths.ts";
import type { Check } from "./check.ts";
import { sourceFiles } from "./source-files.ts";

const FORBIDDEN: readonly (readonly [RegExp, string])[] = [
  [/\b(TODO|FIXME|XXX|HACK)\b/, "a note to oneself"],
  [/https?:\/\/(registry\.|deb\.|security\.|archive\.|ftp\.)[\w.-]*(npmjs|debian)/, "the host name of a package registry"],
  [/"resolved":/, "a download address in a lock file"],
];

/** Things that must not stand in any file: open notes, host names of registries, download addresses. */
export const tree: Check = {
  name: "tree",
  run: async () => {
    const problems: string[] = [];
    const files = sourceFiles(/\.(ts|js|json|md|sh|c|h|yml|yaml|txt|config|service|mount)$/, /^buslab$/, /^\.ci\//);
    for (const file of files) {
      if (file === "ci/checks/tree.ts") continue;
      const text = await readFile(join(ROOT, file), "utf8");
      for (const [pattern, what] of FORBIDDEN) {
        const line = text.split("\n").findIndex((candidate) => pattern.test(candidate));
        if (line >= 0) problems.push(`${file}:${line + 1} ${what}`);
      }
    }
    return { examined: files.length, problems };
  },
};
