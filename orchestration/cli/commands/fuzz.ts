import { readFile, writeFile, mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { DEFAULT_TARGET } from "../../../buslab.config.ts";
import { buildFuzzer } from "../../../vm-images/index.ts";
import { Limits } from "../../base/deadline.ts";
import { SuiteError } from "../../base/errors.ts";
import { EXIT } from "../../base/exit-codes.ts";
import { fuzz as runCampaign, FuzzMachine, fuzzDir, GUEST, listFindings, loadFinding, parsePrograms, Reproducer, type Finding, type FuzzContext, type FuzzReport } from "../../fuzz/index.ts";
import { print, printJson } from "../output.ts";
import { connectAgent } from "../stages/agent.ts";
import { REFERENCE_MODULE } from "../stages/build.ts";
import { onOneTarget, type OneTarget } from "../stages/one-target.ts";
import { shellIn } from "../stages/shell.ts";

interface Options {
  readonly minutes: string;
  readonly seed: string;
  readonly module: string;
  readonly kernel?: string;
  readonly slots: string;
  readonly cpus: string;
  readonly times: string;
  readonly minimiseMinutes: string;
  readonly guided: boolean;
  readonly mostFindings: string;
  readonly list?: boolean;
  readonly replay?: string;
  readonly reopen?: string;
  readonly json?: boolean;
}

/** The checkers of a debug kernel are what finds most; the default target says nothing about out-of-bounds reads. */
const DEFAULT_FUZZ_TARGET = DEFAULT_TARGET.replace(/[^/]+$/, "debug");
const COVERED = ",KCOV_INSTRUMENT=y";

export const fuzz = new Command("fuzz")
  .description("a seeded, replayable fuzzer of the bus: programs of commands, broken and raced, in machines of the target")
  .argument("[target]", `a target id or pattern that names one target; default: ${DEFAULT_FUZZ_TARGET}`)
  .option("--minutes <number>", "how long", "30")
  .option("--seed <number>", "program i of a seed is always the same, as long as the corpus it is drawn from is", "1")
  .option("--kernel <spec>", "a kernel of buslab.config.ts, or the folder of a Linux source tree")
  .option("--module <dir>", "folder of the bus module", REFERENCE_MODULE)
  .option("--slots <n>", "machines at a time", "1")
  .option("--cpus <n>", "processors of each machine; with one, threads meet only where the kernel sleeps, and the frozen machine of `run` is reused", "1")
  .option("--no-guided", "only fresh programs: none is made from those that reached something new")
  .option("--times <n>", "runs of a candidate before it is taken for harmless; also of --replay", "15")
  .option("--minimise-minutes <number>", "time to make one finding small", "6")
  .option("--most-findings <n>", "end after so many different findings", "1000")
  .option("--list", "the findings that are kept")
  .option("--replay <file>", "run the programs of this file, or of a finding, and judge the kernel")
  .option("--reopen <finding>", "a shell in a fresh machine with the reproducer in place")
  .option("--json", "one JSON document")
  .action(async (pattern: string | undefined, options: Options) => {
    const minutes = numberOf("--minutes", options.minutes, 0.01, 10_000);
    const [slots, times, cpus] = [wholeOf("--slots", options.slots, 1, 64), wholeOf("--times", options.times, 1, 1_000_000), wholeOf("--cpus", options.cpus, 1, 8)];
    const minimiseMs = 60_000 * numberOf("--minimise-minutes", options.minimiseMinutes, 0, 10_000);
    if (!/^\d{1,19}$/.test(options.seed)) throw new SuiteError("USAGE", `--seed "${options.seed}" is no whole number from 0`);
    if (options.list === true) return list(options.json === true);

    const target = pattern ?? (options.kernel === undefined ? DEFAULT_FUZZ_TARGET : undefined);
    const reopened = options.reopen === undefined ? undefined : await loadFinding(options.reopen);
    const replayed = options.replay === undefined ? undefined : await programsOf(options.replay);
    const module = /,KCOV_INSTRUMENT=/.test(options.module) ? options.module : `${options.module}${COVERED}`;
    await onOneTarget(reopened?.finding.target ?? target, { ...(options.kernel === undefined ? {} : { kernel: options.kernel }), module, cpus }, async (ready) => {
      const ctx = await contextOf(ready);
      if (reopened !== undefined) return reopen(ready, ctx, reopened);
      if (replayed !== undefined) return replay(ready, ctx, replayed, times, options.json === true);
      const report = await runCampaign(
        ctx,
        { seed: BigInt(options.seed), durationMs: 60_000 * minutes, slots, guided: options.guided, target: ready.built.target.id, module: options.module, kernelRelease: ready.built.kernel.release, minimiseMs, times, mostFindings: wholeOf("--most-findings", options.mostFindings, 1, 1_000_000) },
        ready.progress,
      );
      ready.progress.close();
      await mkdir(fuzzDir(), { recursive: true });
      await writeFile(join(fuzzDir(), "corpus.bin"), report.corpus);
      process.exitCode = ready.signal.aborted ? EXIT.interrupted : report.findings.length > 0 ? EXIT.violated : EXIT.conformant;
      if (options.json === true) printJson({ schema: "buslab.fuzz/1", target: ready.built.target.id, module: options.module, seed: options.seed, minutes, guided: options.guided, ...report.totals, findings: report.findings, exitCode: process.exitCode });
      else print(render(report));
    });
  });

async function contextOf({ built, template, accel, runId, dir, progress, signal }: OneTarget): Promise<FuzzContext> {
  const { binary } = await buildFuzzer(built.target.arch, { progress, logDir: dir, signal });
  return { template, runId, target: built.target.id, dir, limits: new Limits(accel.slowdown), connectAgent, binary, signal };
}

async function list(json: boolean): Promise<void> {
  const findings = await listFindings();
  if (json) return printJson({ schema: "buslab.fuzz-findings/1", findings });
  print(findings.length === 0 ? `no findings in ${fuzzDir()}` : findings.map(line).join("\n"));
}

async function programsOf(name: string): Promise<Uint8Array> {
  const bytes = await readFile(resolve(name)).catch(async () => (await loadFinding(name)).programs);
  parsePrograms(bytes);
  return bytes;
}

async function replay(ready: OneTarget, ctx: FuzzContext, bytes: Uint8Array, times: number, json: boolean): Promise<void> {
  await using reproducer = new Reproducer(ctx);
  const found = await reproducer.run(parsePrograms(bytes), times);
  const event = found?.event ?? (await leakAfter(reproducer, bytes));
  ready.progress.close();
  process.exitCode = event === undefined ? EXIT.conformant : EXIT.violated;
  if (json) printJson({ schema: "buslab.fuzz-replay/1", times, event: event ?? null, exitCode: process.exitCode });
  else print(event === undefined ? `the kernel said nothing in ${times} runs` : `${event.fingerprint}\n\n${event.excerpt}`);
}

/** Programs that the kernel bears in silence may still have left something behind. */
async function leakAfter(reproducer: Reproducer, bytes: Uint8Array): Promise<Finding["event"] | undefined> {
  return reproducer.leaks(parsePrograms(bytes), 1);
}

async function reopen(ready: OneTarget, ctx: FuzzContext, { finding, dir, programs }: Awaited<ReturnType<typeof loadFinding>>): Promise<void> {
  await using machine = await FuzzMachine.start(ctx);
  await machine.agent.writeFile(GUEST.programs, programs);
  await machine.agent.close(); // its port serves one client
  ready.progress.close();
  process.stderr.write(`${finding.event.fingerprint}\nevidence: ${dir}\nin the guest: ${GUEST.fuzzer} replay --times 20 ${GUEST.programs}\n              ${GUEST.fuzzer} show ${GUEST.programs}\n`);
  process.exitCode = await shellIn(machine.machine, ready);
}

function render({ totals, findings }: FuzzReport): string {
  const commands = Object.entries(totals.commands).map(([name, [tried, done]]) => `  ${name} ${done} of ${tried}, else ${refusals(totals.errors[name])}`);
  return [
    `${totals.executed} programs in ${totals.machines} machines, ${totals.edges} edges in ${totals.blocks} blocks, ${totals.corpus} programs kept`,
    `${totals.injected} allocations made to fail, ${totals.heldFaults} page faults held, ${totals.late} programs ended at their limit, ${totals.leakScans} scans for leaks`,
    "commands that succeeded:",
    ...commands,
    findings.length === 0 ? "the kernel said nothing" : findings.map(line).join("\n"),
  ].join("\n");
}

/** The most frequent errors of a command. */
function refusals(errors: Readonly<Record<string, number>> = {}): string {
  return Object.entries(errors).sort(([, a], [, b]) => b - a).slice(0, 6).map(([name, count]) => `${name} ${count}`).join(" ");
}

function line(finding: Finding): string {
  const how = finding.reproduced ? `${finding.programs} programs, ${finding.calls} calls` : "not shown again";
  return `${finding.id}\n    ${finding.event.title}\n    ${finding.target}, seed ${finding.seed}, program ${finding.index ?? "?"}, after ${Math.round(finding.afterMs / 1000)} s, met ${finding.seen} times; ${how}`;
}

function numberOf(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < least || value > most) throw new SuiteError("USAGE", `${option} "${text}" is no number from ${least} to ${most}`);
  return value;
}

function wholeOf(option: string, text: string, least: number, most: number): number {
  const value = numberOf(option, text, least, most);
  if (!Number.isInteger(value)) throw new SuiteError("USAGE", `${option} "${text}" is no whole number`);
  return value;
}
