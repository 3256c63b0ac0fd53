import { Command } from "commander";
import { SuiteError } from "../../base/errors.ts";
import type { Verdict } from "../../record/verdict.ts";
import { findRun } from "../../run/run-folder.ts";
import { describePruned, failureRates, findTests, prunedOf, renderReport, testHistory, verdictOfRun } from "../../store/index.ts";
import { print, printJson } from "../output.ts";
import { fromResults, listStored, openResults, runForCentre } from "../stages/results.ts";
import { storedRun } from "../stages/stored-run.ts";
import { renderRun } from "./runs.ts";

const HISTORY = 10;

/** What the results database keeps of a run, of a test over runs, or which runs it keeps. */
export const report = new Command("report")
  .description("a run's verdict from the results database; without a run: the runs that are kept")
  .argument("[run]", "a run id, its begin or end, latest or previous")
  .option("--test <name>", "instead: how often this test fails, over all runs; a part of its name is enough")
  .option("--target <id>", "with --test: on this target only")
  .option("--json", "one JSON document")
  .action(async (run: string | undefined, options: { test?: string; target?: string; json?: boolean }) => {
    if (options.target !== undefined && options.test === undefined) throw new SuiteError("USAGE", `--target ${options.target} goes with --test only`);
    if (run !== undefined && options.test !== undefined) throw new SuiteError("USAGE", "--test looks at all runs; leave out the run");
    if (options.test !== undefined) return history(options.test, options.target, options.json === true);
    if (run === undefined) return list(options.json === true);
    const verdict = await verdictOf(run);
    if (options.json === true) return printJson(verdict);
    const folder = await findRun(verdict.run).catch(() => null);
    const pruned = folder === null ? null : await prunedOf(folder.dir);
    print(`${renderReport(verdict)}${pruned === null ? "" : `\n${describePruned(pruned)}; the paths above name what is gone`}`);
  });

async function verdictOf(run: string): Promise<Verdict> {
  const path = `/runs/${encodeURIComponent(await runForCentre(run))}/verdict`;
  return fromResults({ path }, async (db) => verdictOfRun(db, await storedRun(db, run)));
}

async function list(json: boolean): Promise<void> {
  const { rows: runs } = await listStored();
  if (json) printJson({ schema: "buslab.runs/1", runs });
  else print(runs.length === 0 ? "no runs are kept; ./buslab run makes one" : runs.map(renderRun).join("\n"));
}

async function history(text: string, target: string | undefined, json: boolean): Promise<void> {
  await using store = await openResults("ask how often a test fails");
  const [test, ...others] = await findTests(store.db, { text });
  if (test === undefined) throw new SuiteError("SELECTION_EMPTY", `no test in the results database has "${text}" in its name`);
  if (others.length > 0) throw new SuiteError("USAGE", `"${text}" fits ${others.length + 1} tests; name one of them`, { details: [test, ...others].join("\n") });
  const where = { test, ...(target === undefined ? {} : { target }) };
  const rates = await failureRates(store.db, where);
  const { rows } = await testHistory(store.db, { ...where, limit: json ? 1_000 : HISTORY });
  if (json) return printJson({ schema: "buslab.test-history/1", test, rates, history: rows });
  print(
    [
      test,
      ...rates.map((rate) => `  ${rate.target}, module ${(rate.module ?? "unknown").slice(0, 19)}: ${rate.sentence}${rate.flaky ? "; FLAKY" : ""}${rate.blank > 0 ? ` (${rate.blank} more learnt nothing)` : ""}`),
      "",
      ...rows.map((row) => `  ${row.run}  ${row.outcome}${row.waived ? " (waived)" : ""}  ${row.target}${row.outcome === "passed" ? "" : `  ${(row.message ?? "").slice(0, 120)}`}`),
    ].join("\n"),
  );
}
