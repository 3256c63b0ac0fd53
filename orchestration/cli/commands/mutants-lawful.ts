import { mkdir, rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Generation } from "../../../conformance/catalogue/index.ts";
import { buildModule } from "../../../vm-images/index.ts";
import { lockFile } from "../../../vm-images/lock.ts";
import { nowMs } from "../../base/deadline.ts";
import { SuiteError } from "../../base/errors.ts";
import { newRunId } from "../../base/ids.ts";
import { homeDir } from "../../base/paths.ts";
import { silent } from "../../base/progress.ts";
import { plant, waveDir } from "../../mutants/index.ts";
import { chooseVariants, lawfulDocument, readVariants, renderLawful, tryLawful, type LawfulDocument, type Variant } from "../../mutants/lawful/index.ts";
import { runTests } from "../../mutants/run-tests.ts";
import type { Observed } from "../../mutants/verdict.ts";
import { plan as makePlan } from "../../plan/index.ts";
import { plannedFor, plannedOn, type Plan, type PlannedTest } from "../../plan/plan.ts";
import { EVERYTHING } from "../../plan/select.ts";
import { detectGeneration } from "../../run/generation.ts";
import { sweepLeftovers } from "../../vm/leftovers.ts";
import { print, printJson } from "../output.ts";
import { bootTemplate, factsOf } from "../stages/boot.ts";
import { onOneTarget, type OneTarget } from "../stages/one-target.ts";
import { openPool } from "../stages/pool.ts";
import { wholeNumber } from "../whole-number.ts";
import { generationOf } from "./mutants-derived.ts";

export interface LawfulCommand {
  readonly target?: string;
  readonly slots?: string;
  readonly generation?: string;
  readonly list?: boolean;
  readonly json?: boolean;
}

/** Whether the suite accuses a bus that differs from the reference only where the specification lets it. */
export async function lawful(words: readonly string[], options: LawfulCommand): Promise<void> {
  const generation = generationOf(options.generation ?? "2015-08");
  const variants = chooseVariants(await readVariants(), words);
  if (options.list === true) return listed(variants, options.json === true);
  const slots = wholeNumber("--slots", options.slots, availableParallelism(), 64);
  const started = nowMs();
  const home = join(homeDir(), "mutants", `lawful-${generation}`);
  await mkdir(home, { recursive: true });
  await using _lock = await lockFile(`${home}.lock`, () => undefined);
  const together = await planted(variants, join(home, "module"), generation);
  await onOneTarget(options.target, { module: together }, async (ready) => {
    const document = await tried(variants, { generation, home, slots, started }, ready);
    if (options.json === true) printJson(document);
    else print(renderLawful(document));
    process.exitCode = document.exitCode;
  });
}

/** Writes the module with these variants. @returns its folder and make variables @throws FILE_INVALID when a patch does not apply */
async function planted(variants: readonly Variant[], dir: string, generation: Generation, signal?: AbortSignal): Promise<string> {
  const misfit = await plant(variants, dir, signal);
  if (misfit !== null) throw new SuiteError("FILE_INVALID", `fixtures/variants/${misfit}`);
  return generation === "2015-03" ? `${dir},KDBUS_GENERATION=201503` : dir;
}

interface Settings {
  readonly generation: Generation;
  readonly home: string;
  readonly slots: number;
  readonly started: number;
}

async function tried(variants: readonly Variant[], settings: Settings, ready: OneTarget): Promise<LawfulDocument> {
  const { built, template, runId, dir, accel, progress, signal } = ready;
  const { generation } = settings;
  const target = built.target.id;
  const { detected, signs } = await detectGeneration(template, { runId, dir, slowdown: accel.slowdown });
  if (detected !== generation) throw new SuiteError("GENERATION_UNKNOWN", `the variants were built for generation ${generation} and say ${detected} (${JSON.stringify(signs)})`);
  const plan = await makePlan({ targets: [target], selection: EVERYTHING, generation, run: runId, signal });
  const tests = plan.tests.filter((test) => test.canary === undefined && plannedFor(test, generation) && plannedOn(test, target));
  const proof = await tryLawful({
    variants,
    generation,
    plan,
    tests,
    progress,
    signal,
    run: (chosen, own, name) => observe(chosen, { own, plan, name }, settings, ready),
  });
  return lawfulDocument(proof, { target, generation, variants, durationMs: nowMs() - settings.started, interrupted: signal.aborted });
}

/** Tests on the module with the chosen variants, built and booted unless the cache has it. */
async function observe(chosen: readonly Variant[], { own, plan, name }: { own: readonly PlannedTest[]; plan: Plan; name: string }, settings: Settings, ready: OneTarget): Promise<readonly Observed[]> {
  const { built, accel, signal } = ready;
  const step = ready.progress.step(name);
  const runId = newRunId();
  const logDir = waveDir(settings.home, name, "boot");
  try {
    const folder = await planted(chosen, join(settings.home, "module"), settings.generation, signal);
    const module = await buildModule(built.target, built.kernel, folder, { progress: silent, logDir, signal });
    const subject = { ...built, module };
    const { template } = await bootTemplate(subject, { runId, logDir, progress: silent, signal });
    const observed = await runTests({
      subject: { template, facts: { ...factsOf(subject, template, accel), generation: settings.generation }, slowdown: accel.slowdown, env: { BUSLAB_TROUBLE_KO: built.trouble.ko ?? "" } },
      plan,
      tests: own,
      stopAtFirst: false,
      slots: settings.slots,
      dir: waveDir(settings.home, name, "tests"),
      runId,
      step,
      signal,
      startPool: openPool,
    });
    step.done(`${own.length} tests, ${observed.filter(({ outcome }) => outcome.kind !== "passed" && outcome.kind !== "unsupported").length} do not pass`);
    // half a gigabyte, and not asked for again
    if (chosen.length === 1 && template.dir !== ready.template.dir) await rm(template.dir, { recursive: true, force: true });
    return observed;
  } finally {
    await sweepLeftovers(runId);
  }
}

function listed(variants: readonly Variant[], json: boolean): void {
  if (json) printJson({ schema: "buslab.variant-list/1", variants: variants.map(({ name, what, permitted, leaves }) => ({ name, what, permitted, leaves })) });
  else print(variants.map(({ name, what, permitted, leaves }) => `${name} (${permitted})\n    ${what}${leaves.length > 0 ? ` It leaves ${leaves.join(", ")}.` : ""}`).join("\n"));
}
