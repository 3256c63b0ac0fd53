import { Command } from "commander";
import { renderReport } from "../../store/report.ts";
import { print, printJson } from "../output.ts";
import { wantedOf } from "../stages/selection.ts";
import { givenPlan, wholeRun, withWholeRun, type WholeRunOptions } from "../stages/whole-run.ts";

/** The main job: plan, build, boot, run, record, judge. */
export const run = withWholeRun(new Command("run"))
  .description("build, boot, test, record and judge")
  .option("--plan <file>", "a plan.json made before; it names targets and tests")
  .option("--json", "the verdict as one JSON document on stdout")
  .action(async (patterns: string[], options: WholeRunOptions & { plan?: string; json?: boolean }) => {
    const given = options.plan === undefined ? undefined : await givenPlan(options.plan, patterns, options);
    const { verdict } = await wholeRun(wantedOf(given?.targets ?? patterns, options), options, given);
    if (options.json === true) printJson(verdict);
    else print(renderReport(verdict));
    process.exitCode = verdict.exitCode;
  });
