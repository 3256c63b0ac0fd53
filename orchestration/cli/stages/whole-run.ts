import { resolve } from "node:path";
import { Option, type Command } from "commander";
import { judgeRun } from "../../../ci/policy/index.ts";
import { centreRuns } from "../../api/local.ts";
import { asSuiteError, SuiteError } from "../../base/errors.ts";
import { newRunId } from "../../base/ids.ts";
import type { LineCollector } from "../../coverage/index.ts";
import { discover } from "../../plan/discover.ts";
import { plan as makePlan } from "../../plan/index.ts";
import { readPlan, type Plan } from "../../plan/plan.ts";
import type { Verdict } from "../../record/verdict.ts";
import { hostCapacity, slotsFor } from "../../run/capacity.ts";
import { chooseLeakTests, LEAK_SAMPLE, type LeakChoice } from "../../run/leak-choice.ts";
import { makeRunFolder, type RunFolder } from "../../run/run-folder.ts";
import { runAll, type RunOptions } from "../../run/run.ts";
import { ingestRun } from "../../store/index.ts";
import { sweepLeftovers } from "../../vm/leftovers.ts";
import type { PooledTemplate } from "../../vm/pool.ts";
import { onInterrupt } from "../interrupt.ts";
import { ConsoleProgress } from "../progress.ts";
import { bringUp, buildTarget, PEERS, type Peers } from "./boot.ts";
import { REFERENCE_MODULE, withBuilder, type Builder, type Built } from "./build.ts";
import { openPool } from "./pool.ts";
import { withSelection, type SelectionOptions, type Wanted } from "./selection.ts";

/** Brings up what is tested; the usual one builds targets and boots them in QEMU. */
export interface Subject extends Pick<RunOptions<PooledTemplate>, "build" | "bringUp"> {
  /** The machine is used by others too. */
  readonly shared?: { readonly rebootable: boolean };
  /** Machines at once, where it is not for the host to say. */
  readonly slots?: number;
  /** After the last test; the run's folder takes what is left to be written. */
  finish(dir: string): Promise<void>;
}

export interface WholeRunOptions extends SelectionOptions {
  readonly module: string;
  readonly builder: Builder;
  readonly slots?: string;
  readonly waivers?: string;
  readonly leaks: string;
  readonly keepMachines: string;
  readonly peers: Peers;
  readonly cpus: string;
}

/** Options of every command that runs the suite from plan to verdict. */
export function withWholeRun(command: Command): Command {
  return withBuilder(withSelection(command))
    .option("--module <dir>", "folder of the bus module, built-in or built-in:DIR to link it into the kernel; make variables may follow, e.g. DIR,NAME=VALUE", REFERENCE_MODULE)
    .addOption(new Option("--peers <bits>", "width of the tests' processes: the kernel's own, or 32-bit programs on a 64-bit kernel").choices(PEERS).default("native"))
    .option("--cpus <number>", "processors of each machine; with one, which is cheapest, threads meet only where the kernel sleeps", "1")
    .option("--slots <number>", "machines that run side by side; default: one more than cores, fewer where memory does not hold them")
    .option("--keep-machines <number>", "machines of failed tests that each target keeps for ./buslab reopen, about 100 MB each", "3")
    .option("--waivers <file>", "list of waivers")
    .option("--leaks <tests>", "tests of debug targets whose memory is looked for leaks: all, none, or one in so many", `1/${LEAK_SAMPLE}`);
}

/** All stages from plan to verdict. Progress goes to stderr; nothing of it is left running, whatever happens. */
export async function wholeRun(wanted: Wanted, options: WholeRunOptions, given?: Plan, other?: Subject): Promise<{ readonly folder: RunFolder; readonly verdict: Verdict }> {
  const slots = other?.slots ?? (await slotsOf(options.slots, wanted.targets));
  const waivers = options.waivers === undefined ? {} : { waiversFile: resolve(options.waivers) };
  const progress = new ConsoleProgress();
  const { signal } = onInterrupt();
  const runId = newRunId();
  try {
    const step = progress.step("plan");
    const plan =
      given !== undefined
        ? { ...given, run: runId }
        : await makePlan({ ...wanted, targets: wanted.targets.map((target) => target.id), run: runId, ...waivers, ...(other?.shared === undefined ? {} : { shared: other.shared }), signal }).catch((error: unknown) => {
            step.fail(asSuiteError(error).message);
            throw error;
          });
    step.done(`${plan.tests.length} tests on ${plan.targets.length} ${plan.targets.length === 1 ? "target" : "targets"}`);
    const leaks = chooseLeakTests(plan, options.leaks);
    const folder = await makeRunFolder(runId);
    progress.say(`run ${runId} in ${folder.dir}`);
    const subject = other ?? targetsInQemu(wanted, options, leaks);
    await runAll({
      plan,
      folder,
      slots,
      keep: countOf("--keep-machines", options.keepMachines, 0, 1_000),
      progress,
      signal,
      ...(subject.build === undefined ? {} : { build: subject.build }),
      bringUp: subject.bringUp,
      startPool: openPool,
    });
    await subject.finish(folder.dir);
    const verdict = await judgeRun(folder.dir, waivers);
    const ingest = progress.step("record");
    // The centre that runs on this home owns the embedded database and takes runs from their folders by itself.
    if (await centreRuns()) ingest.done("by the results centre that runs here");
    else await ingestRun(folder.dir).then(
      () => ingest.done("in the results database"),
      // records.jsonl is the truth; a database that is locked or full changes no verdict
      (error: unknown) => ingest.fail(asSuiteError(error).message),
    );
    return { folder, verdict };
  } finally {
    progress.close();
    await sweepLeftovers(runId);
  }
}

function targetsInQemu(wanted: Wanted, options: WholeRunOptions, leaks: LeakChoice): Subject {
  const cpus = countOf("--cpus", options.cpus, 1, 8);
  const collectors: LineCollector[] = [];
  const builds = new Map<string, Built>();
  return {
    build: async (id, ctx) => {
      const target = wanted.targets.find((candidate) => candidate.id === id);
      if (target === undefined) throw new SuiteError("INTERNAL", `${id} is not among the targets wanted`);
      builds.set(id, await buildTarget(target, { kernels: wanted.kernels, moduleDir: options.module, builder: options.builder }, ctx));
    },
    bringUp: async (id, ctx) => {
      const built = builds.get(id);
      if (built === undefined) throw new SuiteError("INTERNAL", `${id} was not built`);
      return bringUp(built, { peers: options.peers, cpus, leaks, onCollector: (collector) => collectors.push(collector) }, ctx);
    },
    finish: async (dir) => {
      for (const collector of collectors) await collector.finish(dir);
    },
  };
}

/** @throws USAGE when the call narrows a plan that is already made, FILE_INVALID when the suite is no longer the plan's */
export async function givenPlan(file: string, patterns: readonly string[], options: SelectionOptions): Promise<Plan> {
  if (patterns.length > 0 || [options.grep, options.area, options.requirement, options.shard].some((option) => option !== undefined)) {
    throw new SuiteError("USAGE", `--plan ${file} already names targets and tests; give either the plan or a selection`);
  }
  const plan = await readPlan(resolve(file));
  const { suite } = await discover();
  if (suite !== plan.suite.digest) throw new SuiteError("FILE_INVALID", `${file} was made for another state of the suite (${plan.suite.digest.slice(0, 19)}, now ${suite.slice(0, 19)}); make it again with ./buslab plan`);
  return plan;
}

async function slotsOf(text: string | undefined, targets: Wanted["targets"]): Promise<number> {
  return text === undefined ? slotsFor(await hostCapacity(), targets).slots : countOf("--slots", text, 1, 256);
}

function countOf(option: string, text: string, least: number, most: number): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < least || count > most) throw new SuiteError("USAGE", `${option} "${text}" is no whole number from ${least} to ${most}`);
  return count;
}
