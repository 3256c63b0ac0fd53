import { join } from "node:path";
import { writeJson } from "../../orchestration/base/json-file.ts";
import { WAIVERS_FILE } from "../../orchestration/plan/index.ts";
import { readPlan } from "../../orchestration/plan/plan.ts";
import { readRecords } from "../../orchestration/record/jsonl.ts";
import type { Verdict } from "../../orchestration/record/verdict.ts";
import { judge } from "./judge.ts";
import { readWaivers } from "./waivers.ts";

export { judge };

/** The judge stage: reads plan.json and records.jsonl of a run folder and the waivers, writes verdict.json. Runs nothing. */
export async function judgeRun(runDir: string, options: { readonly waiversFile?: string; readonly today?: string } = {}): Promise<Verdict> {
  const verdict = judge({
    plan: await readPlan(join(runDir, "plan.json")),
    log: await readRecords(join(runDir, "records.jsonl")),
    waivers: await readWaivers(options.waiversFile ?? WAIVERS_FILE),
    today: options.today ?? new Date().toISOString().slice(0, 10),
  });
  await writeJson(join(runDir, "verdict.json"), verdict);
  return verdict;
}
