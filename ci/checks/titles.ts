import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ROOT } from "../../orchestration/base/paths.ts";
import type { Check } from "./check.ts";
import { sourceFiles } from "./source-files.ts";

/** Titles are keys in the store: each test of a spec begins with the first requirement it covers, and is unique in its file. */
export const titles: Check = {
  name: "titles",
  run: async () => {
    const problems: string[] = [];
    let tests = 0;
    for (const file of sourceFiles(/^conformance\/tests\/.*\.spec\.ts$/)) {
      const text = await readFile(join(ROOT, file), "utf8");
      const seen = new Set<string>();
      for (const match of text.matchAll(/\btest\(\s*(["'`])((?:(?!\1).)*)\1\s*,\s*(\w+)\(\s*(?:["']([A-Z]+-\d{3})["'])?/gs)) {
        tests += 1;
        const title = match[2] ?? "";
        if (match[3] === "covers" && match[4] !== undefined && !title.startsWith(`${match[4]} `)) {
          problems.push(`${file}: "${title.slice(0, 80)}" covers ${match[4]} first, so its title must begin with "${match[4]} "`);
        }
        if (seen.has(title) && !title.includes("${")) problems.push(`${file}: the title "${title.slice(0, 80)}" stands twice`);
        seen.add(title);
      }
      if (/\btest\.(only|fixme|skip)\(/.test(text)) problems.push(`${file}: a focused or parked test; remove it, or use unsupported() with the missing thing`);
    }
    return { examined: tests, problems };
  },
};
