import { sql } from "kysely";
import type { Database } from "../schema.ts";
import { anywhere, iso, pageOf, when, type Page, type Paging } from "./shapes.ts";

export interface TestRow {
  readonly target: string;
  readonly test: string;
  readonly area: string;
  readonly outcome: string;
  readonly message: string | null;
  readonly durationMs: number | null;
  readonly waived: boolean;
  readonly canary: boolean;
  readonly requirements: readonly string[];
}

export interface TestFilter extends Paging {
  readonly run: string;
  readonly target?: string;
  /** One outcome, or `bad`: failed, crashed or timed out; or `blank`: infra-error or not-run. */
  readonly outcome?: string;
  readonly area?: string;
  /** Anywhere in the name. */
  readonly text?: string;
  readonly canaries?: boolean;
}

/** Tests of a run, by target and name. */
export async function runTests(db: Database, filter: TestFilter): Promise<Page<TestRow>> {
  const { limit, offset } = pageOf(filter);
  const outcomes = filter.outcome === "bad" ? ["failed", "crashed", "timed-out"] : filter.outcome === "blank" ? ["infra-error", "not-run"] : [filter.outcome ?? ""];
  const where = sql`
    r.run = ${filter.run} and r.canary = ${filter.canaries === true}
    and ${when(filter.target, sql`r.target = ${filter.target}`)}
    and ${when(filter.outcome, sql`r.outcome in (${sql.join(outcomes)})`)}
    and ${when(filter.area, sql`n.area = ${filter.area}`)}
    and ${when(filter.text, sql`n.name ilike ${anywhere(filter.text ?? "")}`)}`;
  const rows = await sql<Omit<TestRow, "durationMs"> & { duration_ms: number | null }>`
    select r.target, n.name as test, n.area, r.outcome, r.message, r.duration_ms, r.waived, r.canary,
      array(select q.requirement from test_requirement q where q.test = r.test order by 1) as requirements
    from result r join test_name n on n.id = r.test where ${where} order by r.target, n.name limit ${limit} offset ${offset}`.execute(db);
  const total = await sql<{ n: number }>`select count(*)::int as n from result r join test_name n on n.id = r.test where ${where}`.execute(db);
  return { rows: rows.rows.map(({ duration_ms: durationMs, ...row }) => ({ ...row, durationMs })), total: total.rows[0]?.n ?? 0 };
}

export interface TestDetail extends TestRow {
  readonly run: string;
  readonly attempts: readonly {
    readonly attempt: number;
    readonly begunAt: string | null;
    readonly runner: string | null;
    readonly durationMs: number | null;
    readonly limitMs: number | null;
    readonly errors: readonly { readonly code: string | null; readonly message: string }[];
    readonly unsupported: readonly string[];
  }[];
  readonly events: readonly { readonly kind: string; readonly fingerprint: string; readonly title: string; readonly consoleOffset: number; readonly excerpt: string; readonly machine: string | null }[];
}

/** One test of one run on one target; null when the run has no result of it. */
export async function testDetail(db: Database, params: { readonly run: string; readonly target: string; readonly test: string }): Promise<TestDetail | null> {
  const { run, target, test } = params;
  const found = await sql<Omit<TestRow, "durationMs"> & { duration_ms: number | null; id: number }>`
    select n.id, r.target, n.name as test, n.area, r.outcome, r.message, r.duration_ms, r.waived, r.canary,
      array(select q.requirement from test_requirement q where q.test = r.test order by 1) as requirements
    from result r join test_name n on n.id = r.test where r.run = ${run} and r.target = ${target} and n.name = ${test}`.execute(db);
  const row = found.rows[0];
  if (row === undefined) return null;
  const attempts = await db.selectFrom("attempt").selectAll().where("run", "=", run).where("target", "=", target).where("test", "=", row.id).orderBy("attempt").execute();
  const events = await db.selectFrom("kernel_event").selectAll().where("test", "=", row.id).where("run", "=", run).where("target", "=", target).orderBy("seq").orderBy("place").execute();
  const { id: _id, duration_ms: durationMs, ...rest } = row;
  return {
    run,
    ...rest,
    durationMs,
    attempts: attempts.map((each) => ({
      attempt: each.attempt,
      begunAt: iso(each.begun_at),
      runner: each.runner,
      durationMs: each.duration_ms,
      limitMs: each.limit_ms,
      errors: (each.errors as TestDetail["attempts"][number]["errors"] | null) ?? [],
      unsupported: (each.unsupported as string[] | null) ?? [],
    })),
    events: events.map((each) => ({ kind: each.kind, fingerprint: each.fingerprint, title: each.title, consoleOffset: each.console_offset, excerpt: each.excerpt, machine: each.machine })),
  };
}

export interface EvidenceRow {
  /** In the run's folder. */
  readonly path: string;
  readonly bytes: number;
  /** Set when retention removed the file. */
  readonly prunedAt: string | null;
}

/** The files kept for one test. */
export async function evidenceOfTest(db: Database, params: { readonly run: string; readonly target: string; readonly test: string }): Promise<EvidenceRow[]> {
  const { rows } = await sql<{ path: string; bytes: number; pruned_at: Date | null }>`
    select e.path, e.bytes, e.pruned_at from evidence e join test_name n on n.id = e.test
    where e.run = ${params.run} and e.target = ${params.target} and n.name = ${params.test} order by e.path`.execute(db);
  return rows.map((row) => ({ path: row.path, bytes: row.bytes, prunedAt: iso(row.pruned_at) }));
}
