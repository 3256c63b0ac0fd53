import { sql } from "kysely";
import type { Database } from "../schema.ts";
import { iso, pageOf, when, type Page, type Paging } from "./shapes.ts";

export interface CrashRow {
  readonly fingerprint: string;
  readonly kind: string;
  /** Title of the newest. */
  readonly title: string;
  readonly count: number;
  readonly runs: number;
  readonly targets: readonly string[];
  readonly firstSeen: string | null;
  readonly firstRun: string;
  readonly lastSeen: string | null;
  readonly lastRun: string;
}

/** What kernels complained of, one row a fingerprint, last seen first. Planted faults are left out. */
export async function crashes(db: Database, params: { readonly target?: string; readonly kind?: string; readonly canaries?: boolean } & Paging = {}): Promise<Page<CrashRow>> {
  const { limit, offset } = pageOf(params);
  const where = sql`
    ${params.canaries === true ? sql`true` : sql`not exists (select from test_name n where n.id = e.test and n.area = 'canary')`}
    and ${when(params.target, sql`e.target = ${params.target}`)} and ${when(params.kind, sql`e.kind = ${params.kind}`)}`;
  const { rows } = await sql<Raw>`
    with crash as (
      select e.fingerprint, count(*)::int as count, count(distinct e.run)::int as runs, array_agg(distinct e.target) as targets, min(e.run) as first_run, max(e.run) as last_run
      from kernel_event e where ${where} group by e.fingerprint
    )
    select c.*, a.started_at as first_seen, b.started_at as last_seen, newest.kind, newest.title
    from crash c join run a on a.id = c.first_run join run b on b.id = c.last_run
      cross join lateral (select e.kind, e.title from kernel_event e where e.fingerprint = c.fingerprint and e.run = c.last_run order by e.writer, e.seq, e.place limit 1) newest
    order by c.last_run desc, c.fingerprint limit ${limit} offset ${offset}`.execute(db);
  const total = await sql<{ n: number }>`select count(distinct e.fingerprint)::int as n from kernel_event e where ${where}`.execute(db);
  return {
    total: total.rows[0]?.n ?? 0,
    rows: rows.map((row) => ({
      fingerprint: row.fingerprint, kind: row.kind, title: row.title, count: row.count, runs: row.runs, targets: row.targets,
      firstSeen: iso(row.first_seen), firstRun: row.first_run, lastSeen: iso(row.last_seen), lastRun: row.last_run,
    })),
  };
}

interface Raw {
  fingerprint: string;
  kind: string;
  title: string;
  count: number;
  runs: number;
  targets: string[];
  first_run: string;
  last_run: string;
  first_seen: Date | null;
  last_seen: Date | null;
}

export interface CrashEvent {
  readonly run: string;
  readonly target: string;
  /** Null outside of any test. */
  readonly test: string | null;
  readonly kind: string;
  readonly title: string;
  readonly excerpt: string;
}

/** Each time one crash was seen, newest first. */
export async function crashEvents(db: Database, params: { readonly fingerprint: string } & Paging): Promise<Page<CrashEvent>> {
  const { limit, offset } = pageOf(params);
  const { rows } = await sql<CrashEvent>`
    select e.run, e.target, n.name as test, e.kind, e.title, e.excerpt from kernel_event e left join test_name n on n.id = e.test
    where e.fingerprint = ${params.fingerprint} order by e.run desc, e.target, e.writer, e.seq, e.place limit ${limit} offset ${offset}`.execute(db);
  const total = await sql<{ n: number }>`select count(*)::int as n from kernel_event e where e.fingerprint = ${params.fingerprint}`.execute(db);
  return { rows, total: total.rows[0]?.n ?? 0 };
}
