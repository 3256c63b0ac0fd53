import { sql } from "kysely";
import type { Database } from "../schema.ts";

export interface MatrixCell {
  readonly target: string;
  readonly area: string;
  readonly run: string;
  readonly planned: number;
  readonly passed: number;
  readonly failed: number;
  readonly crashed: number;
  readonly timedOut: number;
  readonly unsupported: number;
  readonly infraError: number;
  readonly notRun: number;
  readonly waived: number;
}

export interface Matrix {
  readonly targets: readonly { readonly target: string; readonly run: string; readonly verdict: string | null }[];
  readonly areas: readonly string[];
  readonly cells: readonly MatrixCell[];
}

/**
 * Targets by areas: of one run, or of the latest judged run of each target. Reads counts made at ingest, never results.
 * @param params.wholeOnly of the latest runs only those whose selection was the whole suite
 */
export async function matrix(db: Database, params: { readonly run?: string; readonly wholeOnly?: boolean } = {}): Promise<Matrix> {
  const whole = params.wholeOnly === true ? sql`and r.selection = 'the whole suite'` : sql``;
  // Walks the index of targets from one name to the next: a plain `distinct` would read every run of every target.
  const chosen =
    params.run === undefined
      ? sql`
        with recursive name as (
          (select target from run_target order by target limit 1)
          union all
          select (select t.target from run_target t where t.target > name.target order by t.target limit 1) from name where name.target is not null
        )
        select n.target, latest.run, latest.verdict from name n cross join lateral (
          select t.run, t.verdict from run_target t join run r on r.id = t.run
          where t.target = n.target and t.verdict is not null ${whole} order by t.run desc limit 1
        ) latest where n.target is not null`
      : sql`select target, run, verdict from run_target where run = ${params.run}`;
  const { rows } = await sql<Row>`
    with chosen as materialized (${chosen})
    select c.target, c.run, c.verdict, a.area, a.planned, a.passed, a.failed, a.crashed, a.timed_out, a.unsupported, a.infra_error, a.not_run, a.waived
    from chosen c left join run_area a on a.run = c.run and a.target = c.target
    order by c.target, a.area`.execute(db);
  const cells = rows.flatMap((row): MatrixCell[] => (row.area === null ? [] : [cellOf({ ...row, area: row.area })]));
  return {
    targets: [...new Map(rows.map(({ target, run, verdict }) => [target, { target, run, verdict }])).values()],
    areas: [...new Set(cells.map((cell) => cell.area))].sort(),
    cells,
  };
}

interface Row {
  target: string;
  run: string;
  verdict: string | null;
  area: string | null;
  planned: number;
  passed: number;
  failed: number;
  crashed: number;
  timed_out: number;
  unsupported: number;
  infra_error: number;
  not_run: number;
  waived: number;
}

function cellOf(row: Row & { area: string }): MatrixCell {
  const { target, area, run, planned, passed, failed, crashed, unsupported, waived } = row;
  return { target, area, run, planned, passed, failed, crashed, timedOut: row.timed_out, unsupported, infraError: row.infra_error, notRun: row.not_run, waived };
}
