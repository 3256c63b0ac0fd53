import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ERROR_TABLE, type Blame } from "../../orchestration/base/errors.ts";
import { EXIT, exitCodeFor } from "../../orchestration/base/exit-codes.ts";
import { ROOT } from "../../orchestration/base/paths.ts";
import type { Check } from "./check.ts";

const FILE = join(ROOT, "docs/errors.md");

/** docs/errors.md says what the error table says; `node ci/checks/errors-doc.ts --write` makes it again. */
export const errorsDoc: Check = {
  name: "errors-doc",
  run: async () => {
    const found = await readFile(FILE, "utf8").catch(() => "");
    const rows = Object.keys(ERROR_TABLE).length;
    return { examined: rows, problems: found === render() ? [] : ["docs/errors.md differs from orchestration/base/errors.ts; run node ci/checks/errors-doc.ts --write"] };
  },
};

function render(): string {
  const sections: readonly (readonly [Blame, string])[] = [
    ["subject", "The kernel or module under test is at fault; the verdict is violated."],
    ["infrastructure", "Nothing was learnt about the subject; the verdict is undecided."],
    ["caller", "The command was given something it cannot use."],
  ];
  const parts = sections.map(([blame, meaning]) => {
    const rows = Object.entries(ERROR_TABLE).filter(([, row]) => row.blame === blame);
    const table = rows.map(([code, row]) => `| \`${code}\` | ${row.hint} |`).join("\n");
    return `## ${blame}: exit code ${exitCodeFor(blame)}\n\n${meaning}\n\n| Code | What to do |\n|---|---|\n${table}\n`;
  });
  return `# Errors\n\nEvery error names a code of this table. Exit code ${EXIT.conformant} means conformant, ${EXIT.interrupted} interrupted.\nThis page is made from \`orchestration/base/errors.ts\`.\n\n${parts.join("\n")}`;
}

if (process.argv[1] === import.meta.filename && process.argv.includes("--write")) await writeFile(FILE, render());
