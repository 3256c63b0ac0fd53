import { Command } from "commander";
import { buildBench } from "../../../vm-images/index.ts";
import { Limits } from "../../base/deadline.ts";
import { absences, bootFigures, cellsOf, compareTransports, figuresOf, measure, renderFigures, renderTransports, type BenchDocument } from "../../bench/index.ts";
import { findAccel } from "../../vm/accel.ts";
import { print, printJson } from "../output.ts";
import { connectAgent } from "../stages/agent.ts";
import { bootTemplate } from "../stages/boot.ts";
import { REFERENCE_MODULE } from "../stages/build.ts";
import { onOneBuilt, onOneTarget } from "../stages/one-target.ts";
import { benchMachine } from "./bench-machine.ts";
import { benchStore } from "./bench-store.ts";

interface Options {
  readonly kernel?: string;
  readonly module: string;
  readonly json?: boolean;
}

/** The bus beside other ways to talk between processes, in the guest. */
const bus = withOptions(new Command("bus").description("kdbus beside sockets, message queues, D-Bus and binder: exact by counted instructions, and by the wall clock"))
  .option("--only <transports>", "only these, separated by commas, e.g. 'kdbus,AF_UNIX stream'")
  .option("--no-wall", "leave out the wall clock")
  .action(async (pattern: string | undefined, options: Options & { only?: string; wall: boolean }) => {
    await onOneBuilt(pattern, options, async ({ built, runId, dir, progress, signal }) => {
      const accel = await findAccel(built.target.arch, { progress, signal });
      const template = options.wall ? (await bootTemplate(built, { runId, logDir: dir, progress, signal })).template : null;
      const program = await buildBench(built.target.arch, { progress, logDir: dir, signal });
      const guest = { target: built.target, kernel: built.kernel.image, root: program.root, moduleKo: built.module.ko };
      const ctx = { runId, dir, limits: new Limits(accel.slowdown), progress, signal, ...(options.only === undefined ? {} : { only: options.only }) };
      const lines = await compareTransports(guest, program.binary, template, ctx);
      progress.close();
      const cells = cellsOf(lines.steady, lines.wall);
      const absent = absences([...lines.steady[0], ...lines.wall]);
      const document: BenchDocument = { schema: "buslab.bench/1", target: built.target.id, accel: { kind: accel.kind, why: accel.why }, figures: figuresOf(cells), absent };
      if (options.json === true) printJson(document);
      else print(renderTransports(cells, absent));
    });
  });

/** Performance of the bus and of buslab itself. Nothing is judged: a figure is a number, its ratio what can be compared. */
export const bench = withOptions(new Command("bench").description("performance of the bus and of buslab itself, in one machine of the target"))
  .option("--boot", "measure a cold boot as well")
  .enablePositionalOptions()
  .addCommand(bus)
  .addCommand(benchMachine)
  .addCommand(benchStore)
  .action(async (pattern: string | undefined, options: Options & { boot?: boolean }) => {
    await onOneTarget(pattern, options, async ({ built, template, accel, runId, dir, progress, signal }) => {
      const limits = new Limits(accel.slowdown);
      const ctx = { runId, dir, limits, progress, signal };
      const figures = await measure(template, ctx);
      if (options.boot === true) figures.push(...(await bootFigures({ target: built.target, kernel: built.kernel, image: built.image, module: null, accel, limits }, null, 1, { ...ctx, connectAgent })));
      progress.close();
      const document: BenchDocument = { schema: "buslab.bench/1", target: built.target.id, accel: { kind: accel.kind, why: accel.why }, figures };
      if (options.json === true) printJson(document);
      else print(renderFigures(figures));
    });
  });

function withOptions(command: Command): Command {
  return command
    .argument("[target]", "a target id or pattern that names one target")
    .option("--kernel <spec>", "a kernel of buslab.config.ts, or the folder of a Linux source tree")
    .option("--module <dir>", "folder of the bus module", REFERENCE_MODULE)
    .option("--json", "one JSON document");
}
