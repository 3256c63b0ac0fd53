import { Command } from "commander";
import { EXIT } from "../../base/exit-codes.ts";
import { compareRuns, type Comparison, type Difference } from "../../store/index.ts";
import { print, printJson } from "../output.ts";
import { fromResults, runForCentre } from "../stages/results.ts";
import { storedRun } from "../stages/stored-run.ts";

const MOST = 40;

/** What changed between two runs. It judges nothing: both verdicts stand as they are. */
export const compare = new Command("compare")
  .description("what changed from run A to run B, by tests and requirements of each target")
  .argument("<a>", "a run id, its begin or end, latest or previous")
  .argument("<b>", "the run that is held against it")
  .option("--exit-code", "end with 1 when something broke, with 3 when something was not learnt again")
  .option("--json", "one JSON document")
  .action(async (a: string, b: string, options: { exitCode?: boolean; json?: boolean }) => {
    const compared = await compareStored(a, b);
    if (options.json === true) printJson(compared);
    else print(renderComparison(compared));
    if (options.exitCode === true) process.exitCode = compared.broke.some((row) => !row.waived) ? EXIT.violated : compared.notRun.length > 0 ? EXIT.undecided : EXIT.conformant;
  });

async function compareStored(a: string, b: string): Promise<Comparison> {
  const query = { a: await runForCentre(a), b: await runForCentre(b) };
  return fromResults({ path: "/compare", query }, async (db) => compareRuns(db, { a: await storedRun(db, a), b: await storedRun(db, b) }));
}

/** For people, what matters most at the end where a terminal stops. */
function renderComparison(compared: Comparison): string {
  const { a, b, same, stillBad } = compared;
  const parts: readonly (readonly [string, readonly Difference[]])[] = [
    ["Vanished (only in A)", compared.vanished],
    ["Appeared (only in B)", compared.appeared],
    ["Changed otherwise", compared.changed],
    ["Mended", compared.mended],
    ["Not learnt again (infra error, not run, not judged in B)", compared.notRun],
    ["BROKE", compared.broke],
  ];
  return [
    `A ${a.run}  ${a.verdict ?? ""}  ${a.selection ?? ""}`,
    `B ${b.run}  ${b.verdict ?? ""}  ${b.selection ?? ""}`,
    ...parts.flatMap(([title, rows]) => (rows.length === 0 ? [] : ["", `${title}: ${rows.length}`, ...rows.slice(0, MOST).map(renderRow), ...(rows.length > MOST ? [`  ... and ${rows.length - MOST} more; --json has all`] : [])])),
    "",
    `${compared.broke.length} broke, ${compared.mended.length} mended, ${compared.notRun.length} not learnt again, ${compared.appeared.length} appeared, ${compared.vanished.length} vanished, ${compared.changed.length} changed otherwise, ${same} the same (${stillBad} of them bad in both)`,
  ].join("\n");
}

function renderRow(row: Difference): string {
  const message = (row.message ?? "").split("\n")[0] ?? "";
  const told = row.after !== null && row.after !== "passed" && row.after !== "held" && message !== "" && message !== row.after ? `: ${message.slice(0, 160)}` : "";
  return `  ${row.target}  ${row.id}  ${row.before ?? "-"} -> ${row.after ?? "-"}${row.waived ? " (waived)" : ""}${told}`;
}
