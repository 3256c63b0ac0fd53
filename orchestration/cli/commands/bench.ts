import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { Limits } from "../../base/deadline.ts";
import { SuiteError } from "../../base/errors.ts";
import { newRunId } from "../../base/ids.ts";
import { bootFigure, measure, renderFigures, type BenchDocument } from "../../bench/index.ts";
import { sweepLeftovers } from "../../vm/leftovers.ts";
import { onInterrupt } from "../interrupt.ts";
import { print, printJson } from "../output.ts";
import { ConsoleProgress } from "../progress.ts";
import { connectAgent } from "../stages/agent.ts";
import { bootTemplate } from "../stages/boot.ts";
import { buildAll, REFERENCE_MODULE } from "../stages/build.ts";
import { targetsOf } from "../stages/selection.ts";

/** Performance of the bus and of buslab itself. Nothing is judged: a figure is a number, its ratio what can be compared. */
export const bench = new Command("bench")
  .description("performance of the bus and of buslab itself, in one machine of the target")
  .argument("[target]", "a target id or pattern that names one target")
  .option("--kernel <spec>", "a kernel of buslab.config.ts, or the folder of a Linux source tree")
  .option("--module <dir>", "folder of the bus module", REFERENCE_MODULE)
  .option("--boot", "measure a cold boot as well")
  .option("--json", "one JSON document")
  .action(async (pattern: string | undefined, options: { kernel?: string; module: string; boot?: boolean; json?: boolean }) => {
    const { targets, kernels } = targetsOf(pattern === undefined ? [] : [pattern], options.kernel);
    const [target, ...more] = targets;
    if (target === undefined || more.length > 0) throw new SuiteError("TARGET_UNKNOWN", `"${pattern ?? ""}" names ${targets.length} targets; a benchmark needs exactly one`);
    const runId = newRunId();
    const dir = await mkdtemp(join(tmpdir(), "buslab-bench-"));
    const progress = new ConsoleProgress();
    const { signal } = onInterrupt();
    try {
      const built = (await buildAll({ targets, kernels, moduleDir: resolve(options.module), dir, progress, signal })).get(target.id);
      if (built === undefined || built instanceof SuiteError) throw built ?? new SuiteError("INTERNAL", `${target.id} was not built`);
      const { template, accel } = await bootTemplate(built, { runId, logDir: dir, progress, signal });
      const limits = new Limits(accel.slowdown);
      const ctx = { runId, dir, limits, progress, signal };
      const figures = await measure(template, ctx);
      if (options.boot === true) figures.push(await bootFigure({ target, kernel: built.kernel, image: built.image, module: null, accel, limits }, { ...ctx, connectAgent }));
      progress.close();
      const document: BenchDocument = { schema: "buslab.bench/1", target: target.id, accel: { kind: accel.kind, why: accel.why }, figures };
      if (options.json === true) printJson(document);
      else print(renderFigures(figures));
    } finally {
      progress.close();
      await sweepLeftovers(runId);
      await rm(dir, { recursive: true, force: true });
    }
  });
