import { Command } from "commander";
import { Limits } from "../../base/deadline.ts";
import { bootFigure, measure, renderFigures, type BenchDocument } from "../../bench/index.ts";
import { print, printJson } from "../output.ts";
import { connectAgent } from "../stages/agent.ts";
import { REFERENCE_MODULE } from "../stages/build.ts";
import { onOneTarget } from "../stages/one-target.ts";
import { benchStore } from "./bench-store.ts";

/** Performance of the bus and of buslab itself. Nothing is judged: a figure is a number, its ratio what can be compared. */
export const bench = new Command("bench")
  .description("performance of the bus and of buslab itself, in one machine of the target")
  .argument("[target]", "a target id or pattern that names one target")
  .option("--kernel <spec>", "a kernel of buslab.config.ts, or the folder of a Linux source tree")
  .option("--module <dir>", "folder of the bus module", REFERENCE_MODULE)
  .option("--boot", "measure a cold boot as well")
  .option("--json", "one JSON document")
  .addCommand(benchStore)
  .action(async (pattern: string | undefined, options: { kernel?: string; module: string; boot?: boolean; json?: boolean }) => {
    await onOneTarget(pattern, options, async ({ built, template, accel, runId, dir, progress, signal }) => {
      const limits = new Limits(accel.slowdown);
      const ctx = { runId, dir, limits, progress, signal };
      const figures = await measure(template, ctx);
      if (options.boot === true) figures.push(await bootFigure({ target: built.target, kernel: built.kernel, image: built.image, module: null, accel, limits }, { ...ctx, connectAgent }));
      progress.close();
      const document: BenchDocument = { schema: "buslab.bench/1", target: built.target.id, accel: { kind: accel.kind, why: accel.why }, figures };
      if (options.json === true) printJson(document);
      else print(renderFigures(figures));
    });
  });
