import { z } from "zod";
import { AREAS, CATALOGUE_DIGEST, GENERATIONS, REQUIREMENTS, type Generation, type Requirement } from "../../conformance/catalogue/index.ts";
import { digestJson, type Digest } from "../base/digest.ts";
import { SuiteError } from "../base/errors.ts";
import { readJson } from "../base/json-file.ts";
import { TITLE_SEPARATOR } from "../record/annotations.ts";
import { BUILDS } from "../target/target-id.ts";
import type { ListedTest } from "./list-reporter.ts";
import { select, selectsAll, type Selection } from "./select.ts";
import { areaOfTest } from "./test-id.ts";

export const PLAN_SCHEMA = "buslab.plan/1";

const generationSchema = z.enum(GENERATIONS);
const outcomeKindSchema = z.enum(["passed", "failed", "crashed", "timed-out", "unsupported", "infra-error", "not-run"]);
const digestSchema = z.string().regex(/^sha256:[0-9a-f]{64}$/);

const plannedTestSchema = z.object({
  id: z.string(),
  /** Path below the runner's root, as its test lists name it. */
  file: z.string(),
  title: z.string(),
  requirements: z.array(z.string()),
  /** Only for subjects of these generations; both when absent. */
  generations: z.array(generationSchema).optional(),
  /** Processors that its machine needs; one when absent. */
  cpus: z.int().optional(),
  /** Only on targets of these builds; only a canary may say so. */
  builds: z.array(z.enum(BUILDS)).optional(),
  /** A planted fault with the outcome that the harness must call it by. */
  canary: z
    .object({
      expect: outcomeKindSchema,
      /** Error code of an infra-error, or kind of kernel event of a crash, that must be seen as well: the right name for the wrong reason is wrong. */
      detail: z.string().optional(),
    })
    .optional(),
});
export type PlannedTest = z.infer<typeof plannedTestSchema>;

const plannedRequirementSchema = z.object({
  id: z.string(),
  level: z.enum(["must", "should", "may"]),
  text: z.string(),
  generations: z.array(generationSchema).optional(),
  untestable: z.string().optional(),
  /** How many tests of the suite cover it, and how many of those are planned: fewer planned than there are cannot show that it holds. */
  tests: z.object({ planned: z.int(), suite: z.int() }),
});
export type PlannedRequirement = z.infer<typeof plannedRequirementSchema>;

/**
 * What a run must give an outcome for: the locked denominator. Every target is paired with every test whose generations
 * include the target's; each pair stands for one expectation per requirement that the test covers.
 */
export const planSchema = z.object({
  schema: z.literal(PLAN_SCHEMA),
  run: z.string().optional(),
  catalogue: z.object({ digest: digestSchema, must: z.int(), should: z.int(), may: z.int() }),
  suite: z.object({ digest: digestSchema, tests: z.int() }),
  waivers: z.object({ digest: digestSchema }),
  generation: z.enum(["auto", "2015-03", "2015-08"]),
  /** Order in which the runner shuffles files and tests. */
  seed: z.int(),
  targets: z.array(z.string()),
  tests: z.array(plannedTestSchema),
  /** Requirements in the scope of the selection, those without a test included. */
  requirements: z.array(plannedRequirementSchema),
  expected: z.object({
    /** (target, test) pairs before any generation is known, canaries included. */
    pairs: z.int(),
    /** (target, requirement, test) triples, canaries have none. */
    triples: z.int(),
  }),
  /** Musts of the whole catalogue that no test of the suite covers and that are not declared untestable, a list per generation. */
  mustWithoutTest: z.object({ "2015-03": z.array(z.string()), "2015-08": z.array(z.string()) }),
  selection: z.object({
    grep: z.string().nullable(),
    areas: z.array(z.string()),
    requirements: z.array(z.string()),
    shard: z.object({ index: z.int(), count: z.int() }).nullable(),
    /** True when nothing narrows the suite. */
    everything: z.boolean(),
  }),
});
export type Plan = z.infer<typeof planSchema>;

export interface PlanInput {
  readonly tests: readonly ListedTest[];
  readonly suite: Digest;
  readonly waivers: Digest;
  readonly targets: readonly string[];
  readonly generation: "auto" | Generation;
  readonly selection: Selection;
  readonly seed: number;
  readonly run?: string;
  /** The targets are machines that others use too: a canary that breaks its machine has no place there, unless somebody can reboot it and read its console. */
  readonly shared?: { readonly rebootable: boolean };
  /** Only tests give their own; the default is the whole catalogue. */
  readonly catalogue?: { readonly rows: readonly Requirement[]; readonly digest: string };
}

/**
 * Makes the plan. Pure: everything it depends on is in its input.
 * @throws REQUIREMENT_UNKNOWN, SELECTION_EMPTY, USAGE, TARGET_UNKNOWN, or RUNNER_FAILED for a test that could prove nothing
 */
export function makePlan(input: PlanInput): Plan {
  const rows = input.catalogue?.rows ?? REQUIREMENTS;
  const byId = new Map(rows.map((row) => [row.id, row]));
  checkSelection(input.selection, byId);
  if (input.targets.length === 0) throw new SuiteError("TARGET_UNKNOWN", "no target is named");
  const listed = input.tests.filter((test) => test.canary === null || input.shared === undefined || test.machine === "any" || (test.machine === "rebootable" && input.shared.rebootable));
  const suite = listed.map((test) => plannedTest(test, byId));
  const chosen = new Set(select(listed, input.selection).map((test) => test.id));
  const tests = suite.filter((test) => chosen.has(test.id) && plannedFor(test, input.generation) && input.targets.some((target) => plannedOn(test, target)));
  if (!tests.some((test) => test.canary === undefined)) throw new SuiteError("SELECTION_EMPTY", `no selected test holds for generation ${input.generation}`);
  if (!tests.some((test) => test.canary !== undefined)) throw new SuiteError("RUNNER_FAILED", "the suite has no canary, so no verdict could be trusted");

  const inSuiteNow = countByRequirement(suite.filter((test) => plannedFor(test, input.generation)));
  const planned = countByRequirement(tests);
  const requirements = rows
    .filter((row) => inScope(row, input.selection, planned))
    .map((row): PlannedRequirement => ({ ...describe(row), tests: { planned: planned.get(row.id) ?? 0, suite: inSuiteNow.get(row.id) ?? 0 } }));
  // a common requirement whose tests are all of one generation has none in the other
  const without = (generation: Generation): string[] => {
    const inSuite = countByRequirement(suite.filter((test) => holds(test.generations, generation)));
    return rows.filter((row) => row.level === "must" && row.untestable === undefined && !inSuite.has(row.id) && holds(row.generations, generation)).map((row) => row.id);
  };
  const count = (level: Requirement["level"]): number => rows.filter((row) => row.level === level).length;

  return {
    schema: PLAN_SCHEMA,
    ...(input.run === undefined ? {} : { run: input.run }),
    catalogue: { digest: input.catalogue?.digest ?? CATALOGUE_DIGEST, must: count("must"), should: count("should"), may: count("may") },
    suite: { digest: input.suite, tests: suite.filter((test) => test.canary === undefined).length },
    waivers: { digest: input.waivers },
    generation: input.generation,
    seed: input.seed,
    targets: [...input.targets],
    tests,
    requirements,
    expected: {
      pairs: pairsOf(input.targets, tests),
      triples: input.targets.length * tests.reduce((sum, test) => sum + test.requirements.length, 0),
    },
    mustWithoutTest: { "2015-03": without("2015-03"), "2015-08": without("2015-08") },
    selection: {
      grep: input.selection.grep,
      areas: [...input.selection.areas],
      requirements: [...input.selection.requirements],
      shard: input.selection.shard === null ? null : { ...input.selection.shard },
      everything: selectsAll(input.selection),
    },
  };
}

/** @throws FILE_INVALID naming the first key that is wrong, or the denominator when it does not add up */
export async function readPlan(path: string): Promise<Plan> {
  const plan = await readJson(path, planSchema);
  const pairs = pairsOf(plan.targets, plan.tests);
  if (plan.expected.pairs !== pairs) throw new SuiteError("FILE_INVALID", `${path} expects ${plan.expected.pairs} outcomes but names ${pairs} pairs of target and test`);
  return plan;
}

export function planDigest(plan: Plan): Digest {
  return digestJson(plan);
}

/** True if a test is to run on subjects of that generation; `auto` means it is not yet known. */
export function plannedFor(test: Pick<PlannedTest, "generations">, generation: "auto" | Generation): boolean {
  return generation === "auto" || holds(test.generations, generation);
}

/** True if a test is to run on this target: what some canaries plant is looked for in one build alone. */
export function plannedOn(test: Pick<PlannedTest, "builds">, target: string): boolean {
  return test.builds === undefined || (test.builds as readonly string[]).includes(target.split("/")[3] ?? "");
}

function pairsOf(targets: readonly string[], tests: readonly PlannedTest[]): number {
  return targets.reduce((sum, target) => sum + tests.filter((test) => plannedOn(test, target)).length, 0);
}

function holds(generations: readonly string[] | undefined, generation: Generation): boolean {
  return generations === undefined || generations.includes(generation);
}

function checkSelection(selection: Selection, byId: ReadonlyMap<string, Requirement>): void {
  for (const id of selection.requirements) {
    if (!byId.has(id)) throw new SuiteError("REQUIREMENT_UNKNOWN", `"${id}" is no requirement; ids look like MSG-014`);
  }
  for (const area of selection.areas) {
    if (!(AREAS as readonly string[]).includes(area.toLowerCase())) throw new SuiteError("USAGE", `"${area}" is no area; the areas are ${AREAS.join(", ")}`);
  }
}

function plannedTest(test: ListedTest, byId: ReadonlyMap<string, Requirement>): PlannedTest {
  const title = test.titles.join(TITLE_SEPARATOR);
  const base = { id: test.id, file: test.file, title, requirements: [...test.requirements] };
  if (test.titles.some((part) => part.includes(TITLE_SEPARATOR.trim()) || part !== part.trim())) {
    throw new SuiteError("RUNNER_FAILED", `the title of ${test.id} begins or ends with a space or contains "${TITLE_SEPARATOR.trim()}", so it cannot be asked for by name`);
  }
  if (test.canary !== null) {
    const [kind, detail] = test.canary.split(": ", 2);
    const expect = outcomeKindSchema.safeParse(kind);
    if (!expect.success) throw new SuiteError("RUNNER_FAILED", `the canary ${test.id} expects "${test.canary}", which is no outcome`);
    if (test.requirements.length > 0) throw new SuiteError("RUNNER_FAILED", `the canary ${test.id} covers ${test.requirements.join(", ")}; canaries prove the harness, not the subject`);
    const builds = z.array(z.enum(BUILDS)).safeParse(test.builds ?? []);
    if (!builds.success) throw new SuiteError("RUNNER_FAILED", `the canary ${test.id} is for the builds ${(test.builds ?? []).join(", ")}; they are ${BUILDS.join(", ")}`);
    return { ...base, ...(builds.data.length === 0 ? {} : { builds: builds.data }), canary: { expect: expect.data, ...(detail === undefined ? {} : { detail }) } };
  }
  if (test.builds !== undefined) throw new SuiteError("RUNNER_FAILED", `the test ${test.id} is narrowed to a build; only a canary may be, since a requirement holds on every target`);
  if (areaOfTest(test.id) === "canary") throw new SuiteError("RUNNER_FAILED", `${test.id} lies among the canaries and declares no outcome`);
  if (test.requirements.length === 0) throw new SuiteError("RUNNER_FAILED", `the test ${test.id} covers no requirement, so nothing could be judged by it`);
  const generations = generationsOf(test, byId);
  const cpus = test.cpus === undefined ? {} : { cpus: test.cpus };
  return generations === null ? { ...base, ...cpus } : { ...base, generations, ...cpus };
}

/** The generations in which every requirement of the test holds; null when that is both. */
function generationsOf(test: ListedTest, byId: ReadonlyMap<string, Requirement>): Generation[] | null {
  let left = GENERATIONS.filter((generation) => test.generations.length === 0 || test.generations.includes(generation));
  for (const id of test.requirements) {
    const row = byId.get(id);
    if (row === undefined) throw new SuiteError("REQUIREMENT_UNKNOWN", `the test ${test.id} covers "${id}", which is no requirement of the catalogue`);
    left = left.filter((generation) => holds(row.generations, generation));
  }
  if (left.length === 0) throw new SuiteError("RUNNER_FAILED", `the test ${test.id} covers requirements of both generations that exclude each other: ${test.requirements.join(", ")}`);
  return left.length === 2 ? null : left;
}

function inScope(row: Requirement, selection: Selection, planned: ReadonlyMap<string, number>): boolean {
  if (selectsAll(selection)) return true;
  if (planned.has(row.id)) return true;
  if (selection.grep !== null || selection.shard !== null) return false;
  return (
    (selection.areas.length === 0 || selection.areas.some((area) => row.id.toLowerCase().startsWith(`${area.toLowerCase()}-`))) &&
    (selection.requirements.length === 0 || selection.requirements.includes(row.id))
  );
}

function countByRequirement(tests: readonly PlannedTest[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const test of tests) for (const id of test.requirements) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

function describe(row: Requirement): Omit<PlannedRequirement, "tests"> {
  return {
    id: row.id,
    level: row.level,
    text: row.text,
    ...(row.generations === undefined ? {} : { generations: [...row.generations] }),
    ...(row.untestable === undefined ? {} : { untestable: row.untestable }),
  };
}
