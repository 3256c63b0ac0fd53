import { readFile } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import { ROOT } from "../../orchestration/base/paths.ts";
import type { Check } from "./check.ts";
import { sourceFiles } from "./source-files.ts";

/** The order of the house, lowest first. A file imports only from its own row or rows above it in this list. */
const LAYERS: readonly (readonly string[])[] = [
  ["orchestration/base/"],
  ["orchestration/target/"],
  ["fixtures/"],
  ["conformance/catalogue/"],
  ["orchestration/record/"],
  ["orchestration/plan/"],
  ["buslab.config.ts", "vm-images/"],
  ["orchestration/vm/"],
  ["orchestration/guest/"],
  ["conformance/support/"],
  ["conformance/tests/", "conformance/playwright.config.ts"],
  ["orchestration/run/"],
  ["orchestration/store/"],
  ["ci/policy/"],
  ["orchestration/api/"],
  ["orchestration/bench/", "orchestration/coverage/", "orchestration/fuzz/", "orchestration/mutants/"],
  ["orchestration/cli/"],
  ["ci/"],
];

/** Specs may import this and node's own modules, nothing else. */
const SPEC_MAY_IMPORT = "conformance/support/";

export const layers: Check = {
  name: "layers",
  run: async () => {
    const problems: string[] = [];
    let imports = 0;
    for (const file of sourceFiles(/\.ts$/)) {
      const from = layerOf(file);
      if (from < 0) problems.push(`${file} is in no layer; add its folder to ci/checks/layers.ts`);
      const text = await readFile(join(ROOT, file), "utf8");
      for (const match of text.matchAll(/(?:from\s+|import\s*\(\s*|import\s+)["'](\.{1,2}\/[^"']+)["']/g)) {
        imports += 1;
        const target = normalize(join(dirname(file), match[1] ?? ""));
        const to = layerOf(target);
        if (to > from) problems.push(`${file} climbs: it imports ${target}, which is above it`);
        if (/^conformance\/tests\/.*\.spec\.ts$/.test(file) && !target.startsWith(SPEC_MAY_IMPORT) && dirname(target) !== dirname(file)) {
          problems.push(`${file} imports ${target}; a spec imports ${SPEC_MAY_IMPORT} only`);
        }
      }
    }
    return { examined: imports, problems };
  },
};

function layerOf(file: string): number {
  let best = -1;
  let length = -1;
  LAYERS.forEach((prefixes, index) => {
    for (const prefix of prefixes) {
      if (file.startsWith(prefix) && prefix.length > length) {
        best = index;
        length = prefix.length;
      }
    }
  });
  return best;
}
