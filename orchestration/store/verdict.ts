import { sql } from "kysely";
import { summaryOf } from "../record/outcome.ts";
import type { TargetVerdict, Verdict } from "../record/verdict.ts";
import { storeTarget } from "./records.ts";
import { clean, json, nameTests, recordset, type Tx } from "./rows.ts";

/** Replaces what an earlier verdict of the run said. */
export async function storeVerdict(tx: Tx, run: string, verdict: Verdict): Promise<void> {
  // First, because it takes the run's row: a second writer waits here until this one has committed.
  await tx
    .updateTable("run")
    .set({
      verdict: verdict.verdict,
      exit_code: verdict.exitCode,
      catalogue_digest: verdict.catalogue.digest,
      suite_digest: verdict.plan.suite,
      selection: verdict.plan.selection,
      reasons: json(verdict.reasons),
      canaries_right: verdict.canaries.right,
      canaries_planned: verdict.canaries.planned,
      document: json(verdict),
    })
    .where("id", "=", run)
    .execute();
  for (const table of ["result", "requirement_state", "run_area", "run_waiver"] as const) await tx.deleteFrom(table).where("run", "=", run).execute();
  await nameTests(tx, [...verdict.targets.flatMap((each) => each.tests.map((test) => test.id)), ...verdict.canaries.all.map((canary) => canary.test)]);
  for (const each of verdict.targets) {
    await storeTarget(tx, run, each.id, { generation: each.generation.used, verdict: each.verdict, counts: json(each.counts), requirements: json(each.requirements) });
  }
  await storeResults(tx, run, verdict);
  await storeRequirements(tx, run, verdict);
  await storeWaiverUse(tx, run, verdict.waivers);
}

const RESULT_COLUMNS = "target text, test text, outcome text, message text, duration_ms real, waived boolean, canary boolean";

async function storeResults(tx: Tx, run: string, verdict: Verdict): Promise<void> {
  const rows = [
    ...verdict.targets.flatMap((each) =>
      each.tests.map((test) => ({ target: each.id, test: clean(test.id), outcome: test.outcome.kind, message: summaryOf(test.outcome), duration_ms: test.durationMs, waived: test.waived, canary: false })),
    ),
    ...verdict.canaries.all.map((canary) => ({ target: canary.target, test: clean(canary.test), outcome: canary.actual.split(":")[0] ?? "", message: canary.actual, duration_ms: null, waived: false, canary: true })),
  ];
  if (rows.length === 0) return;
  await sql`
    insert into result (run, target, test, outcome, message, duration_ms, waived, canary)
    select ${run}, r.target, n.id, r.outcome, r.message, r.duration_ms, r.waived, r.canary
    from ${recordset(rows, RESULT_COLUMNS)} join test_name n on n.name = r.test`.execute(tx);
  await countAreas(tx, run);
  const pairs = new Map(verdict.targets.flatMap((each) => each.tests.flatMap((test) => test.requirements.map((requirement) => [`${test.id}\0${requirement}`, { test: clean(test.id), requirement }]))));
  await sql`
    insert into test_requirement (test, requirement)
    select n.id, r.requirement from ${recordset([...pairs.values()], "test text, requirement text")} join test_name n on n.name = r.test
    where not exists (select from test_requirement t where t.test = n.id and t.requirement = r.requirement)
    order by 1, 2 on conflict do nothing`.execute(tx);
}

/** The counts that the matrix is drawn from: it must not walk over results. */
export async function countAreas(tx: Tx, run: string): Promise<void> {
  await sql`
    insert into run_area (run, target, area, planned, passed, failed, crashed, timed_out, unsupported, infra_error, not_run, waived)
    select r.run, r.target, n.area, count(*),
      count(*) filter (where r.outcome = 'passed'), count(*) filter (where r.outcome = 'failed'),
      count(*) filter (where r.outcome = 'crashed'), count(*) filter (where r.outcome = 'timed-out'),
      count(*) filter (where r.outcome = 'unsupported'), count(*) filter (where r.outcome = 'infra-error'),
      count(*) filter (where r.outcome = 'not-run'), count(*) filter (where r.waived)
    from result r join test_name n on n.id = r.test
    where not r.canary and r.run = ${run}
    group by r.run, r.target, n.area`.execute(tx);
}

async function storeRequirements(tx: Tx, run: string, verdict: Verdict): Promise<void> {
  const states = verdict.targets.flatMap((each: TargetVerdict) => each.requirementStates.map((row) => ({ target: each.id, id: row.id, level: row.level, state: row.state, because: row.because, text: row.text })));
  if (states.length === 0) return;
  await sql`
    insert into requirement_state (run, target, requirement, level, state, because)
    select ${run}, r.target, r.id, r.level, r.state, r.because
    from ${recordset(states, "target text, id text, level text, state text, because text")}`.execute(tx);
  const texts = [...new Map(states.map((row) => [row.id, { id: row.id, area: areaOfRequirement(row.id), level: row.level, text: row.text }])).values()];
  // The newest run wins; an older one that is stored later does not take its text back.
  await sql`
    insert into requirement (id, area, level, text, catalogue_digest, run)
    select r.id, r.area, r.level, r.text, ${verdict.catalogue.digest}, ${run}
    from ${recordset(texts, "id text, area text, level text, text text")} order by r.id
    on conflict (id) do update set area = excluded.area, level = excluded.level, text = excluded.text, catalogue_digest = excluded.catalogue_digest, run = excluded.run
    where requirement.run <= excluded.run`.execute(tx);
}

async function storeWaiverUse(tx: Tx, run: string, waivers: Verdict["waivers"]): Promise<void> {
  const rows = (["used", "expired", "unused"] as const).flatMap((state) => [...new Set(waivers[state])].map((text) => ({ text, state })));
  await sql`insert into run_waiver (run, text, state) select ${run}, r.text, r.state from ${recordset(rows, "text text, state text")} on conflict do nothing`.execute(tx);
}

/** `MSG-014` is of the area `msg`, as the folders of tests are. */
function areaOfRequirement(id: string): string {
  return (id.split("-")[0] ?? "").toLowerCase();
}
