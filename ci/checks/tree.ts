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

const TOP: ReadonlySet<string> = new Set([".ci", ".gitignore", ".npmrc", "README.md", "buslab", "buslab.config.ts", "ci", "conformance", "docs", "fixtures", "orchestration", "package-lock.json", "package.json", "tsconfig.json", "vm-images"]);
/** A flat folder: what lies deeper was left there. */
const FLAT = /^fixtures\/module\/[^/]+\//;

/** Things that must not stand in any file (open notes, host names of registries, download addresses), and files where none belong. */
export const tree: Check = {
  name: "tree",
  run: async () => {
    const problems = sourceFiles(/./).flatMap((file) => (!TOP.has(file.split("/", 1)[0] ?? "") ? [`${file} lies in no folder of the project`] : FLAT.test(file) ? [`${file} lies in a folder that has no folders`] : []));
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
