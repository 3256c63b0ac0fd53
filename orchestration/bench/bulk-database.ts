import { sql } from "kysely";
import type { Tx } from "../store/rows.ts";
import type { Database } from "../store/schema.ts";
import { countAreas } from "../store/verdict.ts";

export interface BulkOptions {
  readonly runs: number;
  readonly targets: number;
  /** Of each target of each run. */
  readonly tests: number;
  /** Attempts and states of requirements as well: what pages of one run, one test and one requirement read. */
  readonly details: boolean;
}

/** A requirement, and with it a part of the titles, belongs to so many tests. */
const TESTS_A_REQUIREMENT = 2;

/**
 * Fills an empty database with results as ingest would leave them, made by the server itself: sending millions of records
 * through ingest would take an hour. One run in ten is of the whole suite, one test in fifty fails.
 */
export async function fillDatabase(db: Database, { runs, targets, tests, details }: BulkOptions): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await sql`set local session_replication_role = replica`.execute(tx); // spares millions of looks at foreign keys
    await sql`
      insert into test_name (name, area)
      select 'area' || (n % 20) || '/made-up.spec.ts:AREA' || chr((65 + n % 20)::int) || '-' || lpad((n / ${TESTS_A_REQUIREMENT})::text, 3, '0') || ' behaviour ' || n || ' that a reader of the page has to tell from others', 'area' || (n % 20)
      from generate_series(1, ${tests}::int) n`.execute(tx);
    await sql`
      insert into run (id, started_at, ended_at, ended, verdict, exit_code, selection, seed, canaries_right, canaries_planned)
      select to_char(at, 'YYYYMMDD-HH24MISS-') || lpad(to_hex(n), 6, '0'), at, at + interval '3 minutes', 'complete', 'violated', 1,
        case when n % 10 = 0 then 'the whole suite' else '--area area' || n % 20 end, n, 7, 7
      from (select n, timestamptz '2026-01-01 00:00:00Z' + n * interval '6 hours' as at from generate_series(1, ${runs}::int) n) made`.execute(tx);
    await sql`
      insert into run_target (run, target, accel, accel_why, generation, ended, verdict, counts, requirements, durations_ms)
      select r.id, 'x86_64/kernel-' || t || '/none/plain', 'tcg', 'made up', '2015-08', 'complete', 'violated',
        jsonb_build_object('planned', ${tests}::int, 'passed', ${tests}::int - ${tests}::int / 50, 'failed', ${tests}::int / 50, 'crashed', 0, 'timedOut', 0, 'unsupported', 0, 'infraError', 0, 'notRun', 0, 'waived', 0),
        '{"held": 1, "violated": 1, "unjudged": 0, "waived": 0}', '{"build": 1, "boot": 1, "run": 180000, "total": 180002}'
      from run r, generate_series(1, ${targets}::int) t`.execute(tx);
    const rebuild = await dropIndex(tx, "result_by_test");
    await sql`
      insert into result (run, target, test, outcome, message, duration_ms, waived, canary)
      select t.run, t.target, n.id, case when n.id % 50 = 0 then 'failed' else 'passed' end, case when n.id % 50 = 0 then 'failed: expected 1, got 2' else 'passed' end, 400, false, false
      from run_target t, test_name n`.execute(tx);
    await rebuild();
    await sql`analyze result`.execute(tx); // or each count below would read all of it
    for (const { id } of await tx.selectFrom("run").select("id").execute()) await countAreas(tx, id);
    if (!details) return;
    await sql`
      insert into attempt (run, target, test, attempt, begun_at, runner, duration_ms, limit_ms, errors, unsupported)
      select r.run, r.target, r.test, 1, '2026-01-01', r.outcome, 400, 60000, '[]', '[]' from result r`.execute(tx);
    await sql`insert into test_requirement (test, requirement) select id, 'AREA' || chr((65 + id % 20)::int) || '-' || lpad((id / ${TESTS_A_REQUIREMENT})::text, 3, '0') from test_name`.execute(tx);
    await sql`
      insert into requirement (id, area, level, text, catalogue_digest, run)
      select distinct requirement, lower(split_part(requirement, '-', 1)), 'must', 'what ' || requirement || ' says of a bus that conforms', '', (select max(id) from run) from test_requirement`.execute(tx);
    await sql`
      insert into requirement_state (run, target, requirement, level, state)
      select r.run, r.target, q.requirement, 'must', case when bool_or(r.outcome = 'failed') then 'violated' else 'held' end
      from result r join test_requirement q on q.test = r.test group by r.run, r.target, q.requirement`.execute(tx);
  });
  await sql`vacuum analyze`.execute(db);
}

/** Building an index at once takes a fraction of the time of filling it row by row. @returns what builds it again */
async function dropIndex(tx: Tx, name: string): Promise<() => Promise<void>> {
  const { rows } = await sql<{ indexdef: string }>`select indexdef from pg_indexes where indexname = ${name}`.execute(tx);
  const [found] = rows;
  if (found === undefined) throw new RangeError(`the schema has no index ${name}`);
  await sql`drop index ${sql.ref(name)}`.execute(tx);
  return async () => void (await sql.raw(found.indexdef).execute(tx));
}
