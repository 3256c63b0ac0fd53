import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { judgeRun } from "../../../ci/policy/index.ts";
import { SuiteError } from "../../base/errors.ts";
import { RUN_ID } from "../../base/ids.ts";
import { runsDir } from "../../base/paths.ts";
import { renderReport } from "../../store/report.ts";
import { print, printJson } from "../output.ts";

/** The judge stage alone: reads plan and records of a run, writes its verdict. */
export const judge = new Command("judge")
  .description("judge a run again from its plan and records; runs nothing")
  .argument("<run>", "a run id, or the folder of a run")
  .option("--waivers <file>", "list of waivers")
  .option("--json", "one JSON document")
  .action(async (run: string, options: { waivers?: string; json?: boolean }) => {
    const verdict = await judgeRun(runFolder(run), options.waivers === undefined ? {} : { waiversFile: resolve(options.waivers) });
    if (options.json === true) printJson(verdict);
    else print(renderReport(verdict));
    process.exitCode = verdict.exitCode;
  });

/** @throws RUN_UNKNOWN when neither an id nor a folder names a run */
export function runFolder(run: string): string {
  const folder = RUN_ID.test(run) ? join(runsDir(), run) : resolve(run);
  if (!existsSync(join(folder, "plan.json"))) throw new SuiteError("RUN_UNKNOWN", `"${run}" is no run that is kept here: there is no ${join(folder, "plan.json")}`);
  return folder;
}
