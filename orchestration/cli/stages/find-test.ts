import { SuiteError } from "../../base/errors.ts";
import { readPlan, type PlannedTest } from "../../plan/plan.ts";
import { readRecords } from "../../record/jsonl.ts";
import { outcomeOf, summaryOf } from "../../record/outcome.ts";
import type { Outcome, RunRecord } from "../../record/v1.ts";
import type { RunFolder } from "../../run/run-folder.ts";

/** One test of a run on one target, as the run's records tell it. */
export interface TestOfRun {
  readonly target: string;
  readonly test: string;
  /** Path of the spec below the runner's root. */
  readonly file: string;
  /** Processors that it asks for. */
  readonly cpus: number;
  readonly outcome: Outcome;
  readonly summary: string;
  readonly evidence: string | null;
}

/**
 * The one test of a run that a text names: its id, or a part of it. Where several fit, those that did not pass are meant.
 * @throws NOTHING_THERE when none fits, USAGE when several do
 */
export async function findTestOfRun(folder: RunFolder, text: string, target: string | undefined): Promise<TestOfRun> {
  const plan = await readPlan(folder.plan);
  const { records } = await readRecords(folder.records);
  const wanted = text.toLowerCase();
  const planned = plan.tests.filter(({ id }) => id === text || id.toLowerCase().includes(wanted));
  if (planned.length === 0) throw new SuiteError("NOTHING_THERE", `no test of run ${folder.run} has "${text}" in its name`);
  const all = plan.targets.filter((id) => target === undefined || id === target).flatMap((id) => planned.map((test) => describe(id, test, records)));
  if (all.length === 0) throw new SuiteError("NOTHING_THERE", `run ${folder.run} has no target "${target ?? ""}"; it has ${plan.targets.join(", ")}`);
  const exact = all.filter(({ test }) => test === text);
  const candidates = exact.length > 0 ? exact : all;
  const bad = candidates.filter(({ outcome }) => outcome.kind !== "passed" && outcome.kind !== "unsupported");
  const [found, ...others] = bad.length > 0 ? bad : candidates;
  if (found === undefined || others.length > 0) {
    throw new SuiteError("USAGE", `"${text}" fits ${others.length + 1} tests of run ${folder.run}; name one of them, and with --target one target`, { details: [found, ...others].map((each) => `${each?.target ?? ""}  ${each?.outcome.kind ?? ""}  ${each?.test ?? ""}`).join("\n") });
  }
  return found;
}

function describe(target: string, { id, file, cpus = 1 }: Pick<PlannedTest, "id" | "file" | "cpus">, records: readonly RunRecord[]): TestOfRun {
  const own = records.filter((record) => "test" in record && record.test === id && record.target === target);
  const outcome = outcomeOf({ target, test: id }, own);
  const end = own.findLast((record) => record.type === "test-end");
  return { target, test: id, file, cpus, outcome, summary: summaryOf(outcome), evidence: end?.type === "test-end" ? end.evidence : null };
}
