import { countAreas, countTests } from "../../orchestration/plan/areas.ts";
import { plannedFor, plannedOn, type Plan, type PlannedTest } from "../../orchestration/plan/plan.ts";
import { outcomeOf, summaryOf } from "../../orchestration/record/outcome.ts";
import type { KernelEvent, RecordOf, RunRecord } from "../../orchestration/record/v1.ts";
import type { CanaryVerdict, Counts, RequirementVerdict, TargetVerdict, TestVerdict, Violation } from "../../orchestration/record/verdict.ts";
import { isBad, isBlank, targetVerdict } from "./rules.ts";
import { describeWaiver, expired, fitsTarget, type Waiver } from "./waivers.ts";

type Generation = "2015-03" | "2015-08";

export interface TargetInput {
  readonly plan: Plan;
  readonly target: string;
  /** Records that name this target, in the order of the file. */
  readonly records: readonly RunRecord[];
  readonly waivers: readonly Waiver[];
  readonly today: string;
  readonly planHolds: boolean;
  /** What is missing of the run as a whole, as sentences. */
  readonly runGaps: readonly string[];
}

export interface JudgedTarget {
  readonly verdict: TargetVerdict;
  readonly canaries: readonly CanaryVerdict[];
  readonly reasons: readonly string[];
  readonly usedWaivers: readonly string[];
  readonly expiredWaivers: readonly string[];
}

/** Judges one target by its own records. Pure. */
export function judgeTarget(input: TargetInput): JudgedTarget {
  const { plan, target, records } = input;
  const begin = find(records, "target-begin");
  const end = find(records, "target-end");
  const generation = generationOf(plan, records);
  const byTest = groupByTest(records);
  const planned = plan.tests.filter((test) => plannedFor(test, generation.used ?? "auto") && plannedOn(test, target));
  const judged = planned.filter((test) => test.canary === undefined).map((test) => judgeTest(test, target, byTest));
  const canaries = wasTried(records) ? planned.filter((test) => test.canary !== undefined).map((test) => judgeCanary(test, target, byTest)) : [];

  const excuses = excusesOf(input);
  const tests = judged.map((test) => ({ ...test, waived: isBad(test.outcome) && test.requirements.length > 0 && test.requirements.every((id) => excuses.active.has(id)) }));
  const states = requirementStates(plan, generation.used, tests, excuses.active);
  const levels = new Map(plan.requirements.map((row) => [row.id, row.level]));
  const violated = states.filter((row) => row.state === "violated" && row.level === "must");
  const events = eventsOf(planned, records, end);
  const violations: Violation[] = [
    ...violated.map((row): Violation => ({ kind: "requirement", requirement: row.id, tests: row.tests })),
    ...tests.flatMap((test): Violation[] =>
      test.outcome.kind === "crashed" && !test.waived && !test.requirements.some((id) => levels.get(id) === "must")
        ? [{ kind: "crash", test: test.id, signature: test.outcome.signature, title: test.outcome.message }]
        : [],
    ),
    ...(end?.events ?? []).map((event): Violation => ({ kind: "crash", test: null, signature: event.fingerprint, title: event.title })),
    ...(generation.mixed === null ? [] : [{ kind: "generation", title: generation.mixed } as const]),
    ...(end?.error?.blame === "subject" && end.error.code !== "GENERATION_UNKNOWN" ? [{ kind: "bring-up", code: end.error.code, title: end.error.message } as const] : []),
  ];

  const counts = countTests(tests);
  const own = [...gapsOf(target, counts, begin, end, generation), ...records.flatMap((record) => (record.type === "run-error" ? [`${target}: ${record.code}: ${record.message.split("\n")[0] ?? ""}.`] : []))];
  const gaps = [...input.runGaps, ...own];
  const verdict = targetVerdict({ violations: violations.length, planHolds: input.planHolds, gaps });
  const tally = (must: boolean): TargetVerdict["requirements"] => {
    const rows = states.filter((row) => (row.level === "must") === must);
    const count = (state: RequirementVerdict["state"]): number => rows.filter((row) => row.state === state).length;
    return { held: count("held"), violated: count("violated"), unjudged: count("unjudged"), waived: count("waived") };
  };
  return {
    verdict: {
      id: target,
      verdict,
      accel: begin?.accel ?? { kind: "none", why: "the target did not begin" },
      counts,
      areas: countAreas(tests),
      requirements: tally(true),
      advisory: tally(false),
      violated: violated.map((row) => row.id),
      violations,
      durationsMs: durations(end),
      artifacts: Object.fromEntries(Object.entries(begin?.artifacts ?? {}).map(([name, artifact]) => [name, artifact.state])),
      generation: { used: generation.used, detected: generation.detected, signs: generation.signs },
      error: end?.error ?? null,
      events,
      requirementStates: states,
      tests,
    },
    canaries,
    reasons: [...violations.map((violation) => sentence(target, violation)), ...own],
    usedWaivers: [...new Set(states.filter((row) => row.state === "waived").flatMap((row) => excuses.active.get(row.id) ?? []))],
    expiredWaivers: excuses.expired,
  };
}

/** False for a target that ended before any test began: there was no harness at work that canaries would vouch for. */
function wasTried(records: readonly RunRecord[]): boolean {
  return records.some((record) => record.type === "test-begin" || record.type === "lease" || record.type === "test-end");
}

/** What ended the target early. */
function failure(end: RecordOf<"target-end"> | undefined): RecordOf<"target-end">["error"] {
  return end?.error ?? null;
}

function judgeTest(test: PlannedTest, target: string, byTest: ReadonlyMap<string, readonly RunRecord[]>): TestVerdict {
  const records = byTest.get(test.id) ?? [];
  const ends = records.filter((record) => record.type === "test-end");
  return {
    id: test.id,
    requirements: test.requirements,
    outcome: outcomeOf({ target, test: test.id }, records) as TestVerdict["outcome"],
    durationMs: ends.at(-1)?.durationMs ?? null,
    waived: false,
    evidence: ends.at(-1)?.evidence ?? null,
  };
}

function judgeCanary(test: PlannedTest, target: string, byTest: ReadonlyMap<string, readonly RunRecord[]>): CanaryVerdict {
  const records = byTest.get(test.id) ?? [];
  const outcome = outcomeOf({ target, test: test.id }, records);
  const { expect, detail } = test.canary ?? { expect: "passed" };
  const details = outcome.kind === "infra-error" ? [outcome.code] : outcome.kind === "crashed" ? records.flatMap((record) => (record.type === "lease" ? record.events.map((event) => event.kind) : [])) : [];
  return {
    target,
    test: test.id,
    expected: detail === undefined ? expect : `${expect}: ${detail}`,
    actual: [outcome.kind, details.join(", ")].filter((part) => part !== "").join(": "),
    right: outcome.kind === expect && (detail === undefined || (details as readonly string[]).includes(detail)),
  };
}

function requirementStates(plan: Plan, used: Generation | null, tests: readonly TestVerdict[], excuses: ReadonlyMap<string, string>): RequirementVerdict[] {
  const covering = new Map<string, TestVerdict[]>();
  for (const test of tests) for (const id of test.requirements) covering.set(id, [...(covering.get(id) ?? []), test]);
  return plan.requirements
    .filter((row) => used === null || row.generations === undefined || row.generations.includes(used))
    .map((row) => {
      const own = covering.get(row.id) ?? [];
      const bad = own.filter((test) => isBad(test.outcome));
      const state = (kind: RequirementVerdict["state"], because: string | null, against: readonly TestVerdict[] = []): RequirementVerdict => ({
        id: row.id,
        level: row.level,
        text: row.text,
        state: kind,
        because,
        tests: against.map((test) => test.id),
      });
      const excuse = excuses.get(row.id);
      if (bad.length > 0) return state(excuse === undefined ? "violated" : "waived", excuse ?? bad.map((test) => summaryOf(test.outcome)).join("; "), bad);
      if (own.length === 0) return state("unjudged", row.untestable ?? (row.tests.suite > 0 ? "none of its tests is planned here" : "no test covers it"));
      const blank = own.filter((test) => isBlank(test.outcome));
      if (blank.length > 0) return state("unjudged", blank.map((test) => summaryOf(test.outcome)).join("; "), blank);
      const judged = own.some((test) => test.outcome.kind !== "unsupported");
      const unsupported = own.filter((test) => test.outcome.kind === "unsupported" && !(judged && needsAnotherModule(test)));
      if (unsupported.length > 0) return state("unjudged", unsupported.map((test) => summaryOf(test.outcome)).join("; "), unsupported);
      if (row.tests.planned < row.tests.suite) return state("unjudged", `only ${row.tests.planned} of its ${row.tests.suite} tests are selected`);
      return state("held", null);
    });
}

/** One security module is in force at a time. */
const MODULE_IN_FORCE = /^(?:AppArmor|SELinux|Smack|TOMOYO) in force$|^a kernel started without a labelling security module$/;

/**
 * True for a test that could not run only because the target has another security module than it needs: where a
 * requirement has a test for each of them, the one in force decides. Alone such a test leaves its requirement unjudged.
 */
function needsAnotherModule({ outcome }: TestVerdict): boolean {
  return outcome.kind === "unsupported" && outcome.missing.length > 0 && outcome.missing.every((name) => MODULE_IN_FORCE.test(name));
}

interface GenerationFinding {
  readonly used: Generation | null;
  readonly detected: Generation | "unknown" | null;
  readonly signs: Record<string, string>;
  /** The violation, in words, when the signs do not agree. */
  readonly mixed: string | null;
}

/** The plan's generation if it names one, else what the run found out and recorded as the fact `generation`. */
function generationOf(plan: Plan, records: readonly RunRecord[]): GenerationFinding {
  const fact = records.findLast((record) => record.type === "fact" && record.name === "generation");
  const value = (fact?.type === "fact" ? fact.value : null) as { detected?: unknown; signs?: unknown } | null;
  const detected = value?.detected === "2015-03" || value?.detected === "2015-08" || value?.detected === "unknown" ? value.detected : null;
  const signs = Object.fromEntries(Object.entries((value?.signs ?? {}) as Record<string, unknown>).map(([name, sign]) => [name, String(sign)]));
  const found = detected === "unknown" ? null : detected;
  return {
    used: plan.generation === "auto" ? found : plan.generation,
    detected,
    signs,
    mixed: detected === "unknown" ? mixing(signs) : null,
  };
}

/** What each sign looks at. */
const SIGNS: Readonly<Record<string, string>> = { A: "items that BUS_MAKE negotiates", B: "MATCH_ADD with a DST_ID item" };

/** In which place the subject is of which generation. */
function mixing(signs: Readonly<Record<string, string>>): string {
  const known = (sign: string): boolean => sign === "2015-03" || sign === "2015-08";
  const shown = Object.entries(signs).map(([name, sign]) => `${name}, ${SIGNS[name] ?? "a sign"}: ${sign}`).join("; ");
  const all = Object.values(signs);
  return all.length > 1 && all.every(known) ? `the subject mixes both generations (${shown})` : `the subject shows no generation (${shown})`;
}

function gapsOf(target: string, counts: Counts, begin: RecordOf<"target-begin"> | undefined, end: RecordOf<"target-end"> | undefined, generation: GenerationFinding): string[] {
  const error = failure(end);
  return [
    ...(counts.infraError > 0 ? [`${target}: ${counts.infraError} planned tests ended in an infrastructure error.`] : []),
    ...(counts.notRun > 0 ? [`${target}: ${counts.notRun} planned tests were not run.`] : []),
    ...(counts.planned === 0 ? [`${target}: no test was planned.`] : []),
    ...(end === undefined ? [`${target}: its end is not recorded.`] : []),
    ...(end !== undefined && end.ended !== "complete" && end.error === null ? [`${target}: it was ${end.ended}.`] : []),
    ...(error !== null && error.blame !== "subject" ? [`${target}: ${error.code}: ${error.message}.`] : []),
    ...(begin === undefined && error === null ? [`${target}: its begin is not recorded.`] : []),
    ...(generation.detected === null && error === null ? [`${target}: the generation of the subject is not recorded.`] : []),
  ];
}

function excusesOf(input: TargetInput): { readonly active: ReadonlyMap<string, string>; readonly expired: readonly string[] } {
  const rows = input.waivers.filter((waiver) => fitsTarget(waiver.target, input.target));
  return {
    active: new Map(rows.filter((waiver) => !expired(waiver, input.today)).map((waiver) => [waiver.requirement, describeWaiver(waiver)])),
    expired: rows.filter((waiver) => expired(waiver, input.today)).map(describeWaiver),
  };
}

function eventsOf(planned: readonly PlannedTest[], records: readonly RunRecord[], end: RecordOf<"target-end"> | undefined): TargetVerdict["events"] {
  const ordinary = new Set(planned.filter((test) => test.canary === undefined).map((test) => test.id));
  const inTests = records.flatMap((record) => (record.type === "lease" && ordinary.has(record.test) ? record.events.map((event: KernelEvent) => ({ ...event, test: record.test })) : []));
  return [...inTests, ...(end?.events ?? []).map((event) => ({ ...event, test: null }))];
}

function durations(end: RecordOf<"target-end"> | undefined): TargetVerdict["durationsMs"] {
  const of = (name: string): number => end?.durationsMs[name] ?? 0;
  return { build: of("build"), boot: of("boot"), run: of("run"), total: of("total") };
}

function sentence(target: string, violation: Violation): string {
  switch (violation.kind) {
    case "requirement":
      return `${target}: ${violation.requirement} is violated.`;
    case "crash":
      return `${target}: the kernel reported "${violation.title}" ${violation.test === null ? "outside of any test" : `in ${violation.test}`}.`;
    case "generation":
      return `${target}: ${violation.title}.`;
    case "bring-up":
      return `${target}: ${violation.code}: ${violation.title}.`;
  }
}

function groupByTest(records: readonly RunRecord[]): ReadonlyMap<string, readonly RunRecord[]> {
  const groups = new Map<string, RunRecord[]>();
  for (const record of records) {
    if (!("test" in record)) continue;
    const group = groups.get(record.test);
    if (group === undefined) groups.set(record.test, [record]);
    else group.push(record);
  }
  return groups;
}

function find<T extends RunRecord["type"]>(records: readonly RunRecord[], type: T): RecordOf<T> | undefined {
  return records.findLast((record): record is RecordOf<T> => record.type === type);
}
