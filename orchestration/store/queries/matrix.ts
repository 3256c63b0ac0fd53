import { sql, type RawBuilder, type Selectable } from "kysely";
import type { Counts } from "../../record/verdict.ts";
import type { Database, Tables } from "../schema.ts";

export interface MatrixCell extends Counts {
  readonly target: string;
  readonly area: string;
  readonly run: string;
}

export interface Matrix {
  readonly targets: readonly { readonly target: string; readonly run: string; readonly verdict: string | null }[];
  readonly areas: readonly string[];
  readonly cells: readonly MatrixCell[];
}

export interface MatrixFilter {
  readonly run?: string;
  /** Of the latest runs only those whose selection was the whole suite. */
  readonly wholeOnly?: boolean;
}

/** Targets by areas: of one run, or of the latest judged run of each target. Reads counts made at ingest, never results. */
export async function matrix(db: Database, filter: MatrixFilter = {}): Promise<Matrix> {
  const { rows } = await matrixQuery(filter).execute(db);
  const cells = rows.flatMap((row): MatrixCell[] => (row.area === null ? [] : [cellOf({ ...row, area: row.area })]));
  return {
    targets: [...new Map(rows.map(({ target, run, verdict }) => [target, { target, run, verdict }])).values()],
    areas: [...new Set(cells.map((cell) => cell.area))].sort(),
    cells,
  };
}

/** The one statement of {@link matrix}; apart, so that a benchmark can have the server explain it. */
export function matrixQuery(filter: MatrixFilter): RawBuilder<Row> {
  const whole = filter.wholeOnly === true ? sql`and r.selection = 'the whole suite'` : sql``;
  // Walks the index of targets from one name to the next: a plain `distinct` would read every run of every target.
  const chosen =
    filter.run === undefined
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
      : sql`select target, run, verdict from run_target where run = ${filter.run}`;
  return sql<Row>`
    with chosen as materialized (${chosen})
    select c.target, c.run, c.verdict, a.area, a.planned, a.passed, a.failed, a.crashed, a.timed_out, a.unsupported, a.infra_error, a.not_run, a.waived
    from chosen c left join run_area a on a.run = c.run and a.target = c.target
    order by c.target, a.area`;
}

/** Counts are null together with the area, for a target without results. */
type Row = Omit<Selectable<Tables["run_area"]>, "area"> & { readonly area: string | null; readonly verdict: string | null };

function cellOf({ verdict: _verdict, timed_out: timedOut, infra_error: infraError, not_run: notRun, ...same }: Row & { area: string }): MatrixCell {
  return { ...same, timedOut, infraError, notRun };
}
