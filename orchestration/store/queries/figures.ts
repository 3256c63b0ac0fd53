import { sql } from "kysely";
import type { Database } from "../schema.ts";
import { pageOf, when, type Page, type Paging } from "./shapes.ts";

export interface FigureRow {
  readonly bench: string;
  readonly measuredAt: string;
  readonly target: string;
  readonly accel: string;
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly against: string | null;
  readonly ratio: number | null;
  readonly exact: boolean;
}

/** Figures of `bench` over time, oldest first within the newest `limit`. */
export async function figuresOverTime(db: Database, params: { readonly name?: string; readonly target?: string } & Paging = {}): Promise<Page<FigureRow>> {
  const { limit, offset } = pageOf(params, 1_000);
  const from = sql`figure f join bench b on b.id = f.bench where ${when(params.name, sql`f.name = ${params.name}`)} and ${when(params.target, sql`b.target = ${params.target}`)}`;
  const { rows } = await sql<Omit<FigureRow, "measuredAt"> & { measured_at: Date }>`
    select f.bench, b.measured_at, b.target, b.accel, f.name, f.value, f.unit, f.against, f.ratio, f.exact
    from ${from} order by b.measured_at desc, b.id, f.name limit ${limit} offset ${offset}`.execute(db);
  const total = await sql<{ n: number }>`select count(*)::int as n from ${from}`.execute(db);
  return { total: total.rows[0]?.n ?? 0, rows: rows.map(({ measured_at: at, ...row }) => ({ ...row, measuredAt: at.toISOString() })).reverse() };
}

/** Names of figures there are, with their units. */
export async function figureNames(db: Database): Promise<{ readonly name: string; readonly unit: string; readonly target: string; readonly count: number }[]> {
  const { rows } = await sql<{ name: string; unit: string; target: string; count: number }>`
    select f.name, max(f.unit) as unit, b.target, count(*)::int as count from figure f join bench b on b.id = f.bench group by f.name, b.target order by f.name, b.target`.execute(db);
  return rows;
}
