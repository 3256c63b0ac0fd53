import { sql } from "kysely";
import type { Database } from "../schema.ts";
import { describeRate, failureRate, type FailureRate } from "../failure-rate.ts";
import { when } from "./shapes.ts";

export interface TestRate extends FailureRate {
  readonly target: string;
  /** Key of the module build; null where runs tell none. Only runs of one and the same subject are repetitions. */
  readonly module: string | null;
  /** Passed and failed with the same subject. */
  readonly flaky: boolean;
  /** Runs that learnt nothing of it, or in which the subject lacked what it needs; not counted. */
  readonly blank: number;
  readonly sentence: string;
}

/** How often a test fails, per target and module, the subject tested last first. */
export async function failureRates(db: Database, params: { readonly test: string; readonly target?: string }): Promise<TestRate[]> {
  const { rows } = await sql<{ target: string; module: string | null; failures: number; passes: number; blank: number }>`
    select r.target, m.key as module,
      count(*) filter (where r.outcome in ('failed', 'crashed', 'timed-out'))::int as failures,
      count(*) filter (where r.outcome = 'passed')::int as passes,
      count(*) filter (where r.outcome in ('infra-error', 'not-run', 'unsupported'))::int as blank
    from test_name n join result r on r.test = n.id left join artifact m on m.run = r.run and m.target = r.target and m.name = 'module'
    where n.name = ${params.test} and ${when(params.target, sql`r.target = ${params.target}`)}
    group by r.target, m.key order by max(r.run) desc, r.target`.execute(db);
  return rows.map(({ target, module, failures, passes, blank }) => {
    const rate = failureRate(failures, failures + passes);
    return { ...rate, target, module, flaky: failures > 0 && passes > 0, blank, sentence: describeRate(rate) };
  });
}

/** Names of tests that hold a text, for callers that do not know the whole name. */
export async function findTests(db: Database, params: { readonly text: string; readonly limit?: number }): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select name from test_name where area <> 'canary' and (name = ${params.text} or position(lower(${params.text}) in lower(name)) > 0)
    order by name = ${params.text} desc, name limit ${params.limit ?? 20}`.execute(db);
  return rows[0]?.name === params.text ? [params.text] : rows.map((row) => row.name);
}
