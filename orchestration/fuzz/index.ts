import { asSuiteError } from "../base/errors.ts";
import type { Progress } from "../base/progress.ts";
import { Campaign, type Found, type Totals } from "./campaign.ts";
import { findingId, saveFinding, type Finding } from "./findings.ts";
import type { FuzzContext } from "./machine.ts";
import { encodePrograms, parsePrograms, type Program } from "./program.ts";
import { reproduce, Reproducer } from "./reproduce.ts";

export { Campaign, type Totals } from "./campaign.ts";
export { findingSchema, fuzzDir, listFindings, loadFinding, saveFinding, type Finding } from "./findings.ts";
export { FuzzMachine, GUEST, type FuzzContext } from "./machine.ts";
export { parsePrograms } from "./program.ts";
export { Reproducer } from "./reproduce.ts";

export interface FuzzOptions {
  readonly seed: bigint;
  readonly durationMs: number;
  readonly slots: number;
  readonly guided: boolean;
  readonly target: string;
  readonly module: string;
  readonly kernelRelease: string;
  /** Time that one finding may take to be made small; it is not taken from the fuzzing. */
  readonly minimiseMs: number;
  readonly times: number;
  /** Ends after so many different findings. */
  readonly mostFindings: number;
}

export interface FuzzReport {
  readonly totals: Totals;
  readonly findings: readonly Finding[];
  readonly corpus: Uint8Array;
}

/** A machine that is never given back collects state that no user has. */
const MACHINE_MS = 90_000;

/** One campaign: every finding is kept when it is met, then made small, and met again only counted. */
export async function fuzz(ctx: FuzzContext, options: FuzzOptions, progress: Progress): Promise<FuzzReport> {
  const findings = new Map<string, Finding>();
  const campaign = new Campaign(ctx, {
    ...options,
    machineMs: MACHINE_MS,
    onFinding: async (found) => {
      const id = findingId(found.event.fingerprint);
      const known = findings.get(id);
      if (known !== undefined) {
        findings.set(id, { ...known, seen: known.seen + 1 });
        await saveFinding({ ...known, seen: known.seen + 1 }, {});
        return;
      }
      const finding: Finding = {
        schema: "buslab.fuzz-finding/1",
        id,
        target: options.target,
        module: options.module,
        kernelRelease: options.kernelRelease,
        seed: String(options.seed),
        index: found.finding.mark?.kind === "program" ? found.finding.mark.index : null,
        event: found.event,
        death: found.finding.death,
        foundAt: new Date().toISOString(),
        afterMs: Math.round(found.afterMs),
        seen: 1,
        reproduced: false,
        programs: 0,
        calls: 0,
        tries: 0,
        complete: false,
      };
      findings.set(id, finding);
      await saveFinding(finding, { console: found.console });
      findings.set(id, await shrink(ctx, options, finding, found, progress));
      if (findings.size >= options.mostFindings) campaign.stop();
    },
  });
  await campaign.run(progress);
  return { totals: campaign.totals, findings: [...findings.values()], corpus: campaign.corpus };
}

async function shrink(ctx: FuzzContext, options: FuzzOptions, finding: Finding, found: Found, progress: Progress): Promise<Finding> {
  const step = progress.step(`finding ${finding.event.fingerprint.slice(0, 90)}`);
  let result = finding;
  try {
    await using reproducer = new Reproducer(ctx);
    const history = await historyOf(reproducer, options.seed, found);
    const original = history.slice(-1);
    const { event } = found;
    const smaller = await reproduce(event, history, reproducer, {
      times: options.times,
      budgetMs: options.minimiseMs,
      onTry: (tries, programs, calls) => step.update(`try ${tries}: ${programs} programs, ${calls} calls`),
    });
    const programs = smaller?.programs ?? original;
    const calls = programs.reduce((sum, program) => sum + program.calls.length, 0);
    result = { ...finding, reproduced: smaller !== undefined, programs: programs.length, calls, tries: smaller?.tries ?? 0, complete: smaller?.complete ?? false };
    const dir = await saveFinding(result, {
      original: encodePrograms(history),
      text: await reproducer.show(programs),
      ...(smaller === undefined ? {} : { minimised: encodePrograms(programs) }),
    });
    step.done(smaller === undefined ? `did not show itself again; kept in ${dir}` : `${programs.length} programs, ${calls} calls after ${smaller.tries} tries; kept in ${dir}`);
  } catch (error) {
    step.fail(asSuiteError(error).message); // the finding is kept as it was met
    if (!ctx.signal.aborted && asSuiteError(error).code === "INTERNAL") throw error;
  }
  return result;
}

/** The programs that the machine ran, up to the one that was running. */
async function historyOf(reproducer: Reproducer, seed: bigint, found: Found): Promise<Program[]> {
  const last = found.finding.mark?.kind === "program" ? found.finding.mark.index : undefined;
  const history: Program[] = [];
  for (const batch of found.batches) {
    const count = last === undefined ? batch.count : Math.min(batch.count, last - batch.first + 1);
    if (count <= 0) continue;
    history.push(...parsePrograms(await reproducer.generate(["--seed", String(seed), "--first", String(batch.first), "--count", String(count)], batch.corpus)));
  }
  return history;
}
