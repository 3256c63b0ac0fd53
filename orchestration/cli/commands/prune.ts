import { Command } from "commander";
import { SuiteError } from "../../base/errors.ts";
import { runsDir } from "../../base/paths.ts";
import { parseAge, parseSize, planPrune, pruneRun, type PrunePlan } from "../../store/index.ts";
import { print, printJson } from "../output.ts";
import { openResults } from "../stages/results.ts";

/** Removes evidence, never results: plan, records, verdict and database rows stay, and a run without its evidence says so. */
export const prune = new Command("prune")
  .description("remove evidence (consoles, saved machines) of old runs; their results stay")
  .option("--older-than <age>", "of runs older than this, e.g. 30d, 12h")
  .option("--max-size <size>", "until all evidence takes no more than this, oldest first, e.g. 20G")
  .option("--dry-run", "only tell what would be removed")
  .option("--json", "one JSON document")
  .action(async (options: { olderThan?: string; maxSize?: string; dryRun?: boolean; json?: boolean }) => {
    if (options.olderThan === undefined && options.maxSize === undefined) throw new SuiteError("USAGE", "prune needs a rule: give --older-than AGE, --max-size SIZE, or both");
    const now = new Date();
    const plan = await planPrune(runsDir(), {
      now,
      ...(options.olderThan === undefined ? {} : { olderThanMs: parseAge(options.olderThan) }),
      ...(options.maxSize === undefined ? {} : { maxBytes: parseSize(options.maxSize) }),
    });
    if (options.dryRun !== true && plan.prune.length > 0) {
      await using store = await openResults("prune runs");
      for (const candidate of plan.prune) await pruneRun(store.db, candidate, now);
    }
    if (options.json === true) printJson({ schema: "buslab.prune/1", dryRun: options.dryRun === true, ...plan });
    else print(renderPrune(plan, options.dryRun === true));
  });

function renderPrune(plan: PrunePlan, dryRun: boolean): string {
  const did = dryRun ? "would prune" : "pruned";
  return [
    ...plan.prune.map((each) => `${did} ${each.run}: ${each.files} files, ${mebibytes(each.bytes)} (${each.because})`),
    ...plan.kept.map((each) => `kept ${each.run} (${each.why})`),
    `${did} ${plan.prune.length} ${plan.prune.length === 1 ? "run" : "runs"}; evidence ${mebibytes(plan.before)} before, ${mebibytes(plan.after)} after`,
  ].join("\n");
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
