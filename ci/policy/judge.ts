import { planDigest, type Plan } from "../../orchestration/plan/plan.ts";
import { describeSelection } from "../../orchestration/plan/select.ts";
import type { RecordLog } from "../../orchestration/record/jsonl.ts";
import type { RunRecord } from "../../orchestration/record/v1.ts";
import { VERDICT_SCHEMA, type CanaryVerdict, type Verdict } from "../../orchestration/record/verdict.ts";
import { judgeTarget } from "./judge-target.ts";
import { exitCode, runVerdict } from "./rules.ts";
import { describeWaiver, type Waivers } from "./waivers.ts";

export interface JudgeInput {
  readonly plan: Plan;
  readonly log: RecordLog;
  readonly waivers: Waivers;
  /** The day by which waivers are measured, `YYYY-MM-DD`, UTC. */
  readonly today: string;
}

/** Plan, records and waivers make a verdict, by the rules of rules.ts. Pure: the same input gives the same document. */
export function judge(input: JudgeInput): Verdict {
  const { plan, log, waivers } = input;
  const records = log.records;
  const begin = records.find((record) => record.type === "run-begin");
  const end = records.findLast((record) => record.type === "run-end");
  const digest = planDigest(plan);
  const planHolds = begin?.type === "run-begin" && begin.planDigest === digest;
  const runGaps = runGapsOf(log, plan, planHolds);

  const byTarget = groupByTarget(records);
  const judged = plan.targets.map((target) =>
    judgeTarget({ plan, target, records: byTarget.get(target) ?? [], waivers: waivers.rows, today: input.today, planHolds, runGaps }),
  );
  const canaries = judged.flatMap((target) => target.canaries);
  const wrong = canaries.filter((canary) => !canary.right);
  const hasCanaries = plan.tests.some((test) => test.canary !== undefined);
  const canariesRight = hasCanaries && wrong.length === 0;
  const targets = judged.map((target) => target.verdict);
  const verdict = runVerdict({ canariesRight, runGaps, targets: targets.map((target) => target.verdict) });
  const scope = scopeOf(plan, targets.map((target) => target.generation.used));
  const used = new Set(judged.flatMap((target) => target.usedWaivers));
  const expired = new Set(judged.flatMap((target) => target.expiredWaivers));

  return {
    schema: VERDICT_SCHEMA,
    run: begin?.run ?? plan.run ?? "",
    verdict,
    exitCode: exitCode(verdict, {
      interrupted: end?.type === "run-end" && end.ended === "interrupted",
      callerAtFault: targets.some((target) => target.error?.blame === "caller"),
    }),
    reasons: [
      ...runGaps,
      ...(hasCanaries ? [] : ["The plan has no canary, so nothing vouches for the harness."]),
      ...canarySentences(wrong),
      ...judged.flatMap((target) => target.reasons),
      ...[...expired].map((waiver) => `The waiver for ${waiver} has expired and excuses nothing.`),
      ...(plan.waivers.digest === waivers.digest ? [] : ["The waivers are not those that were there when the run was planned."]),
      ...(verdict === "conformant" ? [scope.statement] : []),
    ],
    catalogue: plan.catalogue,
    plan: { digest, suite: plan.suite.digest, seed: plan.seed, selection: describeSelection(plan.selection) },
    targets,
    canaries: { right: canaries.length - wrong.length, planned: canaries.length, all: canaries },
    scope,
    records: { read: records.length, torn: log.torn.length, gaps: [...log.gaps], unplanned: unplannedOf(plan, records) },
    waivers: {
      digest: waivers.digest,
      used: [...used],
      expired: [...expired],
      unused: waivers.rows.map(describeWaiver).filter((waiver) => !used.has(waiver) && !expired.has(waiver)),
    },
    startedAt: begin?.at ?? null,
    endedAt: end?.at ?? null,
  };
}

/** One sentence for each wrong name; those that did not run share one per target. */
function canarySentences(wrong: readonly CanaryVerdict[]): string[] {
  const missing = new Map<string, string[]>();
  for (const { target, test, actual } of wrong) if (actual === "not-run") missing.set(target, [...(missing.get(target) ?? []), test]);
  return [
    ...wrong.filter(({ actual }) => actual !== "not-run").map(({ target, test, actual, expected }) => `${target}: the harness called the canary ${test} "${actual}"; it must be "${expected}".`),
    ...[...missing].map(([target, tests]) => `${target}: ${tests.length} canaries were not run: ${tests.join("; ")}.`),
  ];
}

function runGapsOf(log: RecordLog, plan: Plan, planHolds: boolean): string[] {
  const records = log.records;
  const begins = records.some((record) => record.type === "run-begin");
  const end = records.findLast((record) => record.type === "run-end");
  const runs = new Set(records.map((record) => record.run));
  const unplanned = unplannedOf(plan, records);
  return [
    ...(begins ? [] : ["The begin of the run is not recorded."]),
    ...(begins && !planHolds ? ["The plan is not the one that the run began with."] : []),
    ...(end === undefined ? ["The run did not end: its last record is missing."] : []),
    ...(end?.type === "run-end" && end.ended === "interrupted" ? ["The run was interrupted."] : []),
    ...(runs.size > 1 ? [`The records are of ${runs.size} runs: ${[...runs].join(", ")}.`] : []),
    ...(log.torn.length > 0 ? [`${log.torn.length} lines of the records are torn.`] : []),
    ...(log.gaps.length > 0 ? [`Records are missing: ${log.gaps.join(", ")}.`] : []),
    ...(unplanned.length > 0 ? [`${unplanned.length} tests or targets outside of the plan have records: ${unplanned.slice(0, 3).join(", ")}.`] : []),
    ...records.flatMap((record) => (record.type === "run-error" && record.target === null ? [`${record.code}: ${record.message.split("\n")[0] ?? ""}.`] : [])),
  ];
}

/** Targets and tests that have records and no place in the plan. */
function unplannedOf(plan: Plan, records: readonly RunRecord[]): string[] {
  const targets = new Set(plan.targets);
  const tests = new Set(plan.tests.map((test) => test.id));
  const found = new Set<string>();
  for (const record of records) {
    if (record.type === "run-error" || !("target" in record)) continue;
    if (!targets.has(record.target)) found.add(record.target);
    if ("test" in record && !tests.has(record.test)) found.add(record.test);
  }
  return [...found].sort();
}

function scopeOf(plan: Plan, generations: readonly ("2015-03" | "2015-08" | null)[]): Verdict["scope"] {
  const known = generations.filter((generation) => generation !== null);
  const spoken = known.length === 0 ? (["2015-08"] as const) : [...new Set(known)];
  const without = [...new Set(spoken.flatMap((generation) => plan.mustWithoutTest[generation]))].sort();
  const musts = plan.requirements.filter((row) => row.level === "must" && (row.generations === undefined || spoken.some((generation) => row.generations?.includes(generation))));
  const mustWithTest = musts.filter((row) => row.tests.planned > 0).length;
  const marked = musts.filter((row) => row.untestable !== undefined).map((row) => row.id);
  const complete = plan.selection.everything && without.length === 0;
  const what = plan.selection.everything ? "the whole suite" : `a selection (${describeSelection(plan.selection)})`;
  return {
    complete,
    must: musts.length,
    mustWithTest,
    mustWithoutTest: without,
    statement: `This verdict speaks for ${what}: ${mustWithTest} of ${musts.length} must requirements in scope have a planned test${without.length > 0 ? `, ${without.length} of the catalogue have no test at all` : ""}${marked.length > 0 ? `, ${marked.length} cannot be tested from user space (${marked.join(", ")})` : ""}.`,
  };
}

function groupByTarget(records: readonly RunRecord[]): ReadonlyMap<string, readonly RunRecord[]> {
  const groups = new Map<string, RunRecord[]>();
  for (const record of records) {
    if (!("target" in record) || record.target === null) continue;
    const group = groups.get(record.target);
    if (group === undefined) groups.set(record.target, [record]);
    else group.push(record);
  }
  return groups;
}
