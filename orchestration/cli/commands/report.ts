import { Command } from "commander";
import { findRun } from "../../run/run-folder.ts";
import { ingestRun, listRuns, openStore, renderReport, verdictOfRun } from "../../store/index.ts";
import { print, printJson } from "../output.ts";

/** What the results database keeps of a run, or which runs it keeps. */
export const report = new Command("report")
  .description("a run's verdict from the results database; without a run: the runs that are kept")
  .argument("[run]", "a run id, its last part, or latest")
  .option("--json", "one JSON document")
  .action(async (run: string | undefined, options: { json?: boolean }) => {
    if (run === undefined) return list(options.json === true);
    const folder = await findRun(run);
    await ingestRun(folder.dir);
    await using store = await openStore();
    const verdict = await verdictOfRun(store.db, folder.run);
    if (options.json === true) printJson(verdict);
    else print(renderReport(verdict));
  });

async function list(json: boolean): Promise<void> {
  await using store = await openStore();
  const { rows: runs } = await listRuns(store.db);
  if (json) printJson({ schema: "buslab.runs/1", runs });
  else if (runs.length === 0) print("no runs are kept; ./buslab run makes one");
  else for (const row of runs) print(`${row.run}  ${(row.verdict ?? "not judged").padEnd(10)}  ${row.targets.map(({ target }) => target).join(" ")}  ${row.selection ?? ""}`);
}
