import { mkdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { AREAS, GENERATIONS, holdsFor, isRequirementId, REQUIREMENTS, requirementsOf, type Area, type Generation } from "../../../conformance/catalogue/index.ts";
import { lockFile } from "../../../vm-images/lock.ts";
import { nowMs } from "../../base/deadline.ts";
import { digestJson, digestTree } from "../../base/digest.ts";
import { SuiteError } from "../../base/errors.ts";
import { homeDir } from "../../base/paths.ts";
import { derivedDocument, renderDerived, tryDerived, writeSwitchedModule, type DerivedBug, type DerivedDocument } from "../../mutants/derived/index.ts";
import { commonDigest, moduleDigests, readMutants } from "../../mutants/index.ts";
import { plan as makePlan } from "../../plan/index.ts";
import { plannedFor, plannedOn } from "../../plan/plan.ts";
import { EVERYTHING } from "../../plan/select.ts";
import { TESTS_DIR } from "../../plan/test-id.ts";
import { detectGeneration } from "../../run/generation.ts";
import { print, printJson } from "../output.ts";
import { factsOf } from "../stages/boot.ts";
import { wholeNumber } from "../whole-number.ts";
import { onOneTarget, type OneTarget } from "../stages/one-target.ts";
import { openPool } from "../stages/pool.ts";

export interface DerivedCommand {
  readonly target?: string;
  readonly slots?: string;
  readonly generation?: string;
  readonly tries?: string;
  readonly fresh?: boolean;
  readonly json?: boolean;
}

/** Trials of one requirement, each with one test and one bug. */
const TRIES = 6;

/** Which requirements can be seen red, by bugs that are derived from the module's source and switched on one at a time. */
export async function derived(words: readonly string[], options: DerivedCommand): Promise<void> {
  const generation = generationOf(options.generation ?? "2015-08");
  const wanted = chosen(words, generation);
  const numbers = { slots: wholeNumber("--slots", options.slots, availableParallelism(), 64), tries: wholeNumber("--tries", options.tries, TRIES, 1000) };
  const started = nowMs();
  const home = join(homeDir(), "mutants", `derived-${generation}`);
  await mkdir(home, { recursive: true });
  await using _lock = await lockFile(`${home}.lock`, () => undefined);
  const source = join(home, "module");
  const bugs = await writeSwitchedModule(source);
  const module = generation === "2015-03" ? `${source},KDBUS_GENERATION=201503` : source;
  await onOneTarget(options.target, { module }, async (ready) => {
    const document = await tried(wanted, generation, bugs, { ...numbers, home, source, fresh: options.fresh === true, started }, ready);
    if (options.json === true) printJson(document);
    else print(renderDerived(document));
    process.exitCode = document.exitCode;
  });
}

interface Settings {
  readonly slots: number;
  readonly tries: number;
  readonly home: string;
  readonly source: string;
  readonly fresh: boolean;
  readonly started: number;
}

async function tried(wanted: readonly string[], generation: Generation, bugs: readonly DerivedBug[], settings: Settings, ready: OneTarget): Promise<DerivedDocument> {
  const { built, template, accel, runId, dir, progress, signal } = ready;
  const target = built.target.id;
  const { detected, signs } = await detectGeneration(template, { runId, dir, slowdown: accel.slowdown });
  if (detected !== generation) throw new SuiteError("GENERATION_UNKNOWN", `the module with switches was built for generation ${generation} and says ${detected} (${JSON.stringify(signs)})`);
  const plan = await makePlan({ targets: [target], selection: EVERYTHING, generation, run: runId, signal });
  const tests = plan.tests.filter((test) => test.canary === undefined && plannedFor(test, generation) && plannedOn(test, target));
  const reachKey = digestJson({
    module: await moduleDigests(settings.source),
    kernel: built.kernel.key,
    image: built.image.key,
    agent: built.agent.key,
    suite: await commonDigest(),
    specs: await digestTree(TESTS_DIR),
    generation,
  });
  const proofs = await tryDerived({
    requirements: wanted,
    plan,
    tests,
    bugs,
    subject: { template, facts: { ...factsOf(built, template, accel), generation }, slowdown: accel.slowdown, env: { BUSLAB_TROUBLE_KO: built.trouble.ko ?? "" } },
    reachKey,
    ...settings,
    runId,
    progress,
    signal,
    startPool: openPool,
  });
  return derivedDocument(proofs, { target, generation, bugs, mutants: await readMutants(), durationMs: nowMs() - settings.started, interrupted: signal.aborted });
}

/** Musts of the generation that the words name: areas and requirement ids. No word: all. @throws USAGE for a word that names none */
function chosen(words: readonly string[], generation: Generation): string[] {
  const rows = words.length === 0 ? REQUIREMENTS : words.flatMap((word) => namedBy(word));
  const ids = rows.filter((row) => row.level === "must" && row.untestable === undefined && holdsFor(row, generation)).map((row) => row.id as string);
  if (ids.length === 0) throw new SuiteError("USAGE", `"${words.join(" ")}" names no must of generation ${generation}; \`./buslab requirements\` lists them`);
  return [...new Set(ids)];
}

function namedBy(word: string): typeof REQUIREMENTS {
  const [area, id] = [word.toLowerCase() as Area, word.toUpperCase()];
  if (AREAS.includes(area)) return requirementsOf(area);
  if (isRequirementId(id)) return REQUIREMENTS.filter((row) => row.id === id);
  throw new SuiteError("USAGE", `"${word}" is neither an area nor a requirement; the areas are ${AREAS.join(", ")}, and requirements look like MSG-014`);
}

/** @throws USAGE for a word that is no generation */
export function generationOf(text: string): Generation {
  const found = GENERATIONS.find((name) => name === text);
  if (found === undefined) throw new SuiteError("USAGE", `--generation "${text}" is none that the module can be built for: ${GENERATIONS.join(", ")}`);
  return found;
}
