import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { judgeRun } from "../../../ci/policy/index.ts";
import { findRun } from "../../run/run-folder.ts";
import { renderReport } from "../../store/report.ts";
import { print, printJson } from "../output.ts";

/** The judge stage alone: reads plan and records of a run, writes its verdict. */
export const judge = new Command("judge")
  .description("judge a run again from its plan and records; runs nothing")
  .argument("<run>", "a run id, or the folder of a run")
  .option("--waivers <file>", "list of waivers")
  .option("--json", "one JSON document")
  .action(async (run: string, options: { waivers?: string; json?: boolean }) => {
    const verdict = await judgeRun(await runFolder(run), options.waivers === undefined ? {} : { waiversFile: resolve(options.waivers) });
    if (options.json === true) printJson(verdict);
    else print(renderReport(verdict));
    process.exitCode = verdict.exitCode;
  });

/** The folder that a path, a run id, the end of one, or `latest` names. @throws RUN_UNKNOWN */
export async function runFolder(run: string): Promise<string> {
  return existsSync(join(resolve(run), "plan.json")) ? resolve(run) : (await findRun(run)).dir;
}
