import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { judgeRun } from "../../../ci/policy/index.ts";
import { asSuiteError } from "../../base/errors.ts";
import { newRunId } from "../../base/ids.ts";
import { SuiteError } from "../../base/errors.ts";
import { discover } from "../../plan/discover.ts";
import { plan as makePlan } from "../../plan/index.ts";
import { readPlan, type Plan } from "../../plan/plan.ts";
import { makeRunFolder } from "../../run/run-folder.ts";
import { runAll } from "../../run/run.ts";
import { ingestRun } from "../../store/index.ts";
import { renderReport } from "../../store/report.ts";
import { sweepLeftovers } from "../../vm/leftovers.ts";
import { onInterrupt } from "../interrupt.ts";
import { print, printJson } from "../output.ts";
import { ConsoleProgress } from "../progress.ts";
import { bringUp } from "../stages/boot.ts";
import { REFERENCE_MODULE } from "../stages/build.ts";
import { openPool } from "../stages/pool.ts";
import { wantedOf, withSelection, type SelectionOptions } from "../stages/selection.ts";

/** The main job: plan, build, boot, run, record, judge. */
export const run = withSelection(new Command("run"))
  .description("build, boot, test, record and judge")
  .option("--module <dir>", "folder of the bus module; make variables may follow, e.g. DIR,NAME=VALUE", REFERENCE_MODULE)
  .addOption(new Option("--peers <bits>", "width of the tests' processes: the kernel's own, or 32-bit programs on a 64-bit kernel").choices(["native", "32"]).default("native"))
  .option("--plan <file>", "a plan.json made before; it names targets and tests")
  .option("--slots <number>", "machines that run side by side; default: one more than cores")
  .option("--waivers <file>", "list of waivers")
  .option("--json", "the verdict as one JSON document on stdout")
  .action(async (patterns: string[], options: SelectionOptions & { module: string; peers: "native" | "32"; plan?: string; slots?: string; waivers?: string; json?: boolean }) => {
    const given = options.plan === undefined ? undefined : await givenPlan(options.plan, patterns, options);
    const wanted = wantedOf(given?.targets ?? patterns, options);
    const slots = slotsOf(options.slots);
    const waivers = options.waivers === undefined ? {} : { waiversFile: resolve(options.waivers) };
    const progress = new ConsoleProgress();
    const { signal } = onInterrupt();
    const runId = newRunId();
    try {
      const step = progress.step("plan");
      const plan =
        given !== undefined
          ? { ...given, run: runId }
          : await makePlan({ ...wanted, targets: wanted.targets.map((target) => target.id), run: runId, ...waivers, signal }).catch((error: unknown) => {
              step.fail(asSuiteError(error).message);
              throw error;
            });
      step.done(`${plan.tests.length} tests on ${plan.targets.length} ${plan.targets.length === 1 ? "target" : "targets"}`);
      const folder = await makeRunFolder(runId);
      progress.say(`run ${runId} in ${folder.dir}`);
      await runAll({
        plan,
        folder,
        slots,
        progress,
        signal,
        bringUp: (id, ctx) => {
          const target = wanted.targets.find((candidate) => candidate.id === id);
          if (target === undefined) throw new SuiteError("INTERNAL", `${id} is not among the targets wanted`);
          return bringUp(target, { kernels: wanted.kernels, moduleDir: resolve(options.module), peers: options.peers }, ctx);
        },
        startPool: openPool,
      });
      const verdict = await judgeRun(folder.dir, waivers);
      const ingest = progress.step("record");
      await ingestRun(folder.dir).then(
        () => ingest.done("in the results database"),
        // records.jsonl is the truth; a database that is locked or full changes no verdict
        (error: unknown) => ingest.fail(asSuiteError(error).message),
      );
      progress.close();
      if (options.json === true) printJson(verdict);
      else print(renderReport(verdict));
      process.exitCode = verdict.exitCode;
    } finally {
      progress.close();
      await sweepLeftovers(runId);
    }
  });

/** @throws USAGE when the call narrows a plan that is already made, FILE_INVALID when the suite is no longer the plan's */
async function givenPlan(file: string, patterns: readonly string[], options: SelectionOptions): Promise<Plan> {
  if (patterns.length > 0 || [options.grep, options.area, options.requirement, options.shard].some((option) => option !== undefined)) {
    throw new SuiteError("USAGE", `--plan ${file} already names targets and tests; give either the plan or a selection`);
  }
  const plan = await readPlan(resolve(file));
  const { suite } = await discover();
  if (suite !== plan.suite.digest) throw new SuiteError("FILE_INVALID", `${file} was made for another state of the suite (${plan.suite.digest.slice(0, 19)}, now ${suite.slice(0, 19)}); make it again with ./buslab plan`);
  return plan;
}

function slotsOf(text: string | undefined): number {
  // one more than cores: while one machine starts or waits, another has work
  const slots = text === undefined ? availableParallelism() + 1 : Number(text);
  if (!Number.isInteger(slots) || slots < 1 || slots > 256) throw new SuiteError("USAGE", `--slots "${text ?? ""}" is no whole number from 1 to 256`);
  return slots;
}
