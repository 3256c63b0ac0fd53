import { sql } from "kysely";
import type { Database } from "../schema.ts";
import { iso, pageOf, when, type Page, type Paging } from "./shapes.ts";

/** What ran: two runs of one subject may be compared as repetitions. */
interface Subject {
  readonly run: string;
  readonly startedAt: string | null;
  readonly target: string;
  /** The kernel's part of the target. */
  readonly kernel: string;
  /** Key of the module build; null where the run tells none. */
  readonly module: string | null;
}

export interface TestHistoryRow extends Subject {
  readonly outcome: string;
  readonly message: string | null;
  readonly durationMs: number | null;
  readonly waived: boolean;
}

/** What became of a test in the runs there are, newest first. */
export async function testHistory(db: Database, params: { readonly test: string; readonly target?: string } & Paging): Promise<Page<TestHistoryRow>> {
  const { limit, offset } = pageOf(params);
  const where = sql`n.name = ${params.test} and ${when(params.target, sql`r.target = ${params.target}`)}`;
  const { rows } = await sql<Raw & { outcome: string; message: string | null; duration_ms: number | null; waived: boolean }>`
    select r.run, run.started_at, r.target, m.key as module, r.outcome, r.message, r.duration_ms, r.waived
    from test_name n join result r on r.test = n.id join run on run.id = r.run
      left join artifact m on m.run = r.run and m.target = r.target and m.name = 'module'
    where ${where} order by r.run desc, r.target limit ${limit} offset ${offset}`.execute(db);
  const total = await sql<{ n: number }>`select count(*)::int as n from test_name n join result r on r.test = n.id where ${where}`.execute(db);
  return { total: total.rows[0]?.n ?? 0, rows: rows.map((row) => ({ ...subjectOf(row), outcome: row.outcome, message: row.message, durationMs: row.duration_ms, waived: row.waived })) };
}

export interface RequirementHistoryRow extends Subject {
  readonly level: string;
  readonly state: string;
  readonly because: string | null;
}

export interface RequirementHistory extends Page<RequirementHistoryRow> {
  readonly requirement: string;
  /** As the newest run gave it; null when no run knows the requirement. */
  readonly text: string | null;
  readonly level: string | null;
  readonly tests: readonly string[];
}

/** What became of a requirement over kernels, modules and runs, newest first. */
export async function requirementHistory(
  db: Database,
  params: { readonly requirement: string; readonly target?: string; readonly kernel?: string; readonly module?: string } & Paging,
): Promise<RequirementHistory> {
  const { limit, offset } = pageOf(params);
  const from = sql`
    requirement_state s join run on run.id = s.run
      left join artifact m on m.run = s.run and m.target = s.target and m.name = 'module'
    where s.requirement = ${params.requirement} and ${when(params.target, sql`s.target = ${params.target}`)}
      and ${when(params.kernel, sql`split_part(s.target, '/', 2) = ${params.kernel}`)} and ${when(params.module, sql`m.key = ${params.module}`)}`;
  const { rows } = await sql<Raw & { level: string; state: string; because: string | null }>`
    select s.run, run.started_at, s.target, m.key as module, s.level, s.state, s.because
    from ${from} order by s.run desc, s.target limit ${limit} offset ${offset}`.execute(db);
  const total = await sql<{ n: number }>`select count(*)::int as n from ${from}`.execute(db);
  const known = await db.selectFrom("requirement").select(["text", "level"]).where("id", "=", params.requirement).executeTakeFirst();
  const tests = await sql<{ name: string }>`select n.name from test_requirement q join test_name n on n.id = q.test where q.requirement = ${params.requirement} order by n.name`.execute(db);
  return {
    requirement: params.requirement,
    text: known?.text ?? null,
    level: known?.level ?? null,
    tests: tests.rows.map((row) => row.name),
    total: total.rows[0]?.n ?? 0,
    rows: rows.map((row) => ({ ...subjectOf(row), level: row.level, state: row.state, because: row.because })),
  };
}

export interface RequirementRow {
  readonly target: string;
  readonly requirement: string;
  readonly level: string;
  readonly text: string | null;
  readonly state: string;
  readonly because: string | null;
}

/** Requirements of a run, by target and id. */
export async function runRequirements(db: Database, params: { readonly run: string; readonly target?: string; readonly state?: string } & Paging): Promise<Page<RequirementRow>> {
  const { limit, offset } = pageOf(params, 500);
  const where = sql`s.run = ${params.run} and ${when(params.target, sql`s.target = ${params.target}`)} and ${when(params.state, sql`s.state = ${params.state}`)}`;
  const { rows } = await sql<RequirementRow>`
    select s.target, s.requirement, s.level, q.text, s.state, s.because from requirement_state s left join requirement q on q.id = s.requirement
    where ${where} order by s.target, s.requirement limit ${limit} offset ${offset}`.execute(db);
  const total = await sql<{ n: number }>`select count(*)::int as n from requirement_state s where ${where}`.execute(db);
  return { rows, total: total.rows[0]?.n ?? 0 };
}

interface Raw {
  run: string;
  started_at: Date | null;
  target: string;
  module: string | null;
}

function subjectOf(row: Raw): Subject {
  return { run: row.run, startedAt: iso(row.started_at), target: row.target, kernel: row.target.split("/")[1] ?? "", module: row.module };
}
