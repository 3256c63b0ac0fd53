import { Command } from "commander";
import { DEFAULT_TARGET } from "../../../buslab.config.ts";
import { SuiteError } from "../../base/errors.ts";
import { EXIT } from "../../base/exit-codes.ts";
import { coverageOf, renderCoverage } from "../../coverage/index.ts";
import { print, printJson } from "../output.ts";
import { wantedOf } from "../stages/selection.ts";
import { wholeRun, withWholeRun, type WholeRunOptions } from "../stages/whole-run.ts";
import { runFolder } from "./judge.ts";

/** Lines of the module that the suite runs, by file and by requirement area. A figure, no verdict on the module. */
export const coverage = withWholeRun(new Command("coverage"))
  .description("lines of the module that the suite runs; runs it on a cov target")
  .option("--run <run>", "count again from a run that was kept, instead of running")
  .option("--json", "one JSON document")
  .action(async (patterns: string[], options: WholeRunOptions & { run?: string; json?: boolean }) => {
    const dir = options.run === undefined ? await runOnCov(patterns, options) : await runFolder(options.run);
    const document = await coverageOf(dir);
    if (options.json === true) printJson(document);
    else print(renderCoverage(document));
  });

async function runOnCov(patterns: readonly string[], options: WholeRunOptions): Promise<string> {
  const wanted = wantedOf(patterns.length > 0 ? patterns : [DEFAULT_TARGET.replace(/[^/]+$/, "cov")], options);
  const [target, ...more] = wanted.targets;
  if (target?.build !== "cov" || more.length > 0) throw new SuiteError("TARGET_UNKNOWN", `"${patterns.join(" ")}" names ${wanted.targets.map(({ id }) => id).join(", ") || "no target"}; lines are counted on exactly one target of the cov build`);
  const { folder, verdict } = await wholeRun(wanted, options);
  process.stderr.write(`run ${folder.run} is ${verdict.verdict}\n`);
  // lines that a broken or unfinished run reached are still lines reached; the exit code says how far to trust the figure
  process.exitCode = verdict.exitCode === EXIT.violated ? EXIT.conformant : verdict.exitCode;
  return folder.dir;
}
