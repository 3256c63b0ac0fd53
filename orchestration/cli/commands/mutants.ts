import { rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { buildModule } from "../../../vm-images/index.ts";
import { nowMs } from "../../base/deadline.ts";
import { digestFile } from "../../base/digest.ts";
import { SuiteError } from "../../base/errors.ts";
import { homeDir, ROOT } from "../../base/paths.ts";
import { silent } from "../../base/progress.ts";
import { checkMutants, chooseMutants, commonDigest, documentOf, moduleDigests, readMutants, REFERENCE_DIR, renderMutants, Results, runMutants, type Judged, type Mutant } from "../../mutants/index.ts";
import { discover } from "../../plan/discover.ts";
import { plan as makePlan } from "../../plan/index.ts";
import { EVERYTHING } from "../../plan/select.ts";
import { detectGeneration } from "../../run/generation.ts";
import type { Template } from "../../vm/template.ts";
import { sweepLeftovers } from "../../vm/leftovers.ts";
import { print, printJson } from "../output.ts";
import { derived } from "./mutants-derived.ts";
import { lawful } from "./mutants-lawful.ts";
import { wholeNumber } from "../whole-number.ts";
import { bootTemplate, factsOf } from "../stages/boot.ts";
import { REFERENCE_MODULE } from "../stages/build.ts";
import { onOneTarget, type OneTarget } from "../stages/one-target.ts";
import { openPool } from "../stages/pool.ts";

interface Options {
  readonly target?: string;
  readonly slots?: string;
  readonly allTests?: boolean;
  readonly fresh?: boolean;
  readonly derived?: boolean;
  readonly lawful?: boolean;
  readonly generation?: string;
  readonly tries?: string;
  readonly check?: boolean;
  readonly list?: boolean;
  readonly json?: boolean;
}

/** The suite against planted bugs: the proof that it sees what it says it sees. */
export const mutants = new Command("mutants")
  .description("the suite against planted bugs: each must be killed by a test of a requirement it breaks")
  .argument("[names...]", "areas or names of planted bugs; default: all")
  .option("--target <target>", "a target id or pattern that names one target")
  .option("--slots <number>", "bugs that are tried side by side; default: one a core")
  .option("--all-tests", "show survivors every test of the suite, not only those of their areas")
  .option("--fresh", "believe no result of before")
  .option("--derived", "instead: bugs derived from the module's source by rules, to see every must red; names are areas or requirement ids")
  .option("--lawful", "instead: variants of the module that the specification permits, of which no test may go red; names are those of fixtures/variants")
  .option("--generation <generation>", "with --derived and --lawful: generation that the module is built for; default: 2015-08")
  .option("--tries <number>", "with --derived: trials of one requirement at most; default: 6")
  .option("--check", "only whether every patch applies and names requirements that tests cover")
  .option("--list", "only what there is")
  .option("--json", "one JSON document")
  .action(async (names: string[], options: Options) => {
    fitting(options);
    if (options.derived === true) return derived(names, options);
    if (options.lawful === true) return lawful(names, options);
    const chosen = chooseMutants(await readMutants(), names);
    if (options.list === true) return listed(chosen, options.json === true);
    if (options.check === true) return checked(chosen);
    const slots = wholeNumber("--slots", options.slots, availableParallelism(), 64);
    const started = nowMs();
    const judged: Judged[] = [];
    let interrupted = false;
    for (const { target, cpus, mutants: own } of byMachine(chosen, options.target)) {
      if (interrupted) break;
      await onOneTarget(target, { module: REFERENCE_MODULE, cpus }, async (ready) => {
        judged.push(...(await tried(own, cpus === 1 ? slots : 1, cpus, options, ready)));
        interrupted = ready.signal.aborted;
      });
    }
    const document = documentOf(judged, nowMs() - started, interrupted);
    if (options.json === true) printJson(document);
    else print(renderMutants(document));
    process.exitCode = document.exitCode;
  });

/** What each way of working takes of the options that not all take. */
const OPTIONS_OF = {
  "planted bugs": ["allTests", "fresh", "check", "list"],
  "--derived": ["generation", "tries", "fresh"],
  "--lawful": ["generation", "list"],
} as const satisfies Readonly<Record<string, readonly (keyof Options)[]>>;
const FLAGS = { allTests: "--all-tests", fresh: "--fresh", check: "--check", list: "--list", generation: "--generation", tries: "--tries" } as const;

/** @throws USAGE for two ways of working at once, and for an option that the way chosen does not take */
function fitting(options: Options): void {
  if (options.derived === true && options.lawful === true) throw new SuiteError("USAGE", "--derived and --lawful are two ways of working; leave one of them out");
  const way = options.derived === true ? "--derived" : options.lawful === true ? "--lawful" : "planted bugs";
  const taken: readonly string[] = OPTIONS_OF[way];
  const misfit = (Object.keys(FLAGS) as (keyof typeof FLAGS)[]).find((name) => options[name] !== undefined && !taken.includes(name));
  if (misfit !== undefined) throw new SuiteError("USAGE", `${FLAGS[misfit]} does not go with ${way}; leave it out`);
}

interface MachineGroup {
  readonly target: string | undefined;
  readonly cpus: number;
  readonly mutants: readonly Mutant[];
}

/** Most show on any target and one processor; a few need a security module, or two processors. */
function byMachine(chosen: readonly Mutant[], forced: string | undefined): MachineGroup[] {
  const groups = Map.groupBy(chosen, (mutant) => `${mutant.cpus} ${forced ?? mutant.target ?? ""}`);
  return [...groups.values()].map((mutants) => ({ target: forced ?? mutants[0]?.target ?? undefined, cpus: mutants[0]?.cpus ?? 1, mutants }));
}

function listed(chosen: readonly Mutant[], json: boolean): void {
  if (json) printJson({ schema: "buslab.mutant-list/1", mutants: chosen.map(({ name, what, kind, breaks }) => ({ name, what, kind, breaks })) });
  else print(chosen.map(({ name, what, kind, breaks }) => `${name} (${kind}, ${breaks.join(" ")})\n    ${what}`).join("\n"));
}

/** @throws FILE_INVALID with a line for each patch that is wrong */
async function checked(chosen: readonly Mutant[]): Promise<void> {
  const problems = await checkMutants(chosen, (await discover()).tests);
  if (problems.length > 0) throw new SuiteError("FILE_INVALID", `${problems.length} ${problems.length === 1 ? "thing is" : "things are"} wrong with ${chosen.length} planted bugs: ${problems[0] ?? ""}`, { details: problems.join("\n") });
  print(`${chosen.length} planted bugs: every patch applies, every one names a requirement that a test covers`);
}

async function tried(chosen: readonly Mutant[], slots: number, cpus: number, options: Options, ready: OneTarget): Promise<Judged[]> {
  const { built, template, accel, runId, dir, progress, signal } = ready;
  const target = built.target.id;
  const { detected, signs } = await detectGeneration(template, { runId, dir, slowdown: accel.slowdown });
  if (detected === "unknown") throw new SuiteError("GENERATION_UNKNOWN", `the generation of the reference cannot be told (${JSON.stringify(signs)})`);
  const plan = await makePlan({ targets: [target], selection: EVERYTHING, generation: detected, run: runId, signal });
  const env = { BUSLAB_TROUBLE_KO: built.trouble.ko ?? "" };
  const known = new Set(template.events.map((event) => event.fingerprint));
  const subject = {
    module: await moduleDigests(REFERENCE_DIR),
    header: await digestFile(join(ROOT, "fixtures/abi/kdbus.h")),
    kernel: built.kernel.key,
    image: built.image.key,
    agent: built.agent.key,
    ...(cpus === 1 ? {} : { cpus }),
    suite: await commonDigest(),
  };

  return runMutants({
    mutants: chosen,
    plan,
    generation: detected,
    slots,
    wide: options.allTests === true ? "all" : "area",
    results: new Results(subject),
    fresh: options.fresh === true,
    home: join(homeDir(), "mutants"),
    progress,
    signal,
    reference: { template, facts: { ...factsOf(built, template, accel), generation: detected }, slowdown: accel.slowdown, env },
    build: (folder) => buildModule(built.target, built.kernel, folder, { progress: silent, logDir: dir, signal }),
    boot: async (module, ownRun, logDir) => {
      const own = { ...built, module };
      const booted = await bootTemplate(own, { runId: ownRun, logDir, progress: silent, signal, cpus });
      return {
        template: booted.template,
        facts: { ...factsOf(own, booted.template, accel), generation: detected },
        slowdown: accel.slowdown,
        env,
        complaint: booted.template.events.find((event) => !known.has(event.fingerprint))?.title ?? null,
        // a template is half a gigabyte, and this one is not asked for again
        [Symbol.asyncDispose]: () => discard(booted.template, template),
      };
    },
    startPool: openPool,
    sweep: sweepLeftovers,
  });
}

/** Never the reference's: a patch that changes no code makes the very same module. */
async function discard(own: Template, reference: Template): Promise<void> {
  if (own.dir !== reference.dir) await rm(own.dir, { recursive: true, force: true });
}
