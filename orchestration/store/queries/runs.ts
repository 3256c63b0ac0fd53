import { sql } from "kysely";
import { SuiteError } from "../../base/errors.ts";
import { verdictSchema, type Counts, type Verdict } from "../../record/verdict.ts";
import type { Database } from "../schema.ts";
import { anywhere, iso, pageOf, when, type Page, type Paging } from "./shapes.ts";

export interface RunRow {
  readonly run: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  /** Null while it runs, or when it was killed. */
  readonly ended: "complete" | "interrupted" | null;
  readonly verdict: "conformant" | "violated" | "undecided" | null;
  readonly exitCode: number | null;
  readonly selection: string | null;
  readonly pinned: boolean;
  readonly prunedAt: string | null;
  readonly targets: readonly { readonly target: string; readonly verdict: string | null; readonly counts: Counts | null }[];
}

export interface RunFilter extends Paging {
  readonly verdict?: "conformant" | "violated" | "undecided" | "none";
  readonly target?: string;
  /** Anywhere in the id or the selection. */
  readonly text?: string;
}

/** The newest runs first, each with its targets. */
export async function listRuns(db: Database, filter: RunFilter = {}): Promise<Page<RunRow>> {
  const { limit, offset } = pageOf(filter, 50);
  const like = anywhere(filter.text ?? "");
  const where = sql`
    ${when(filter.verdict, filter.verdict === "none" ? sql`r.verdict is null` : sql`r.verdict = ${filter.verdict}`)}
    and ${when(filter.target, sql`exists (select from run_target t where t.run = r.id and t.target = ${filter.target})`)}
    and ${when(filter.text, sql`(r.id ilike ${like} or r.selection ilike ${like})`)}`;
  const runs = await sql<Row>`
    select r.id, r.started_at, r.ended_at, r.ended, r.verdict, r.exit_code, r.selection, r.pinned_at is not null as pinned, r.pruned_at
    from run r where ${where} order by r.id desc limit ${limit} offset ${offset}`.execute(db);
  const total = await sql<{ n: number }>`select count(*)::int as n from run r where ${where}`.execute(db);
  const ids = runs.rows.map((run) => run.id);
  const targets = ids.length === 0 ? [] : await db.selectFrom("run_target").select(["run", "target", "verdict", "counts"]).where("run", "in", ids).orderBy("target").execute();
  return {
    total: total.rows[0]?.n ?? 0,
    rows: runs.rows.map((run) => ({
      run: run.id,
      startedAt: iso(run.started_at),
      endedAt: iso(run.ended_at),
      ended: run.ended,
      verdict: run.verdict,
      exitCode: run.exit_code,
      selection: run.selection,
      pinned: run.pinned,
      prunedAt: iso(run.pruned_at),
      targets: targets.filter((target) => target.run === run.id).map(({ target, verdict, counts }) => ({ target, verdict, counts: counts as Counts | null })),
    })),
  };
}

interface Row {
  id: string;
  started_at: Date | null;
  ended_at: Date | null;
  ended: RunRow["ended"];
  verdict: RunRow["verdict"];
  exit_code: number | null;
  selection: string | null;
  pinned: boolean;
  pruned_at: Date | null;
}

/** The verdict of one run as it was stored. @throws RUN_UNKNOWN when the run is not kept or not judged */
export async function verdictOfRun(db: Database, run: string): Promise<Verdict> {
  const row = await db.selectFrom("run").select("document").where("id", "=", run).executeTakeFirst();
  if (row === undefined) throw new SuiteError("RUN_UNKNOWN", `the run "${run}" is not in the results database`);
  if (row.document === null) throw new SuiteError("RUN_UNKNOWN", `the run "${run}" has no verdict yet; judge it first`);
  return verdictSchema.parse(row.document);
}

/**
 * The run that a text names: an id, the begin or the end of one, `latest`, or `previous` (the one before the latest).
 * @param known ids besides those in the database, e.g. of run folders
 * @throws RUN_UNKNOWN naming what was asked for and what there is
 */
export async function resolveRun(db: Database, text: string, known: readonly string[] = []): Promise<string> {
  const stored = await db.selectFrom("run").select("id").orderBy("id").execute();
  const ids = [...new Set([...known, ...stored.map((row) => row.id)])].sort();
  const fits = text === "latest" ? ids.slice(-1) : text === "previous" ? ids.slice(-2, -1) : ids.includes(text) ? [text] : text === "" ? [] : ids.filter((id) => id.startsWith(text) || id.endsWith(`-${text}`));
  const [run] = fits;
  if (run !== undefined && fits.length === 1) return run;
  const some = fits.length > 1 ? `; it fits ${fits.slice(0, 3).join(", ")}` : ids.length > 0 ? `; the latest is ${ids.at(-1) ?? ""}` : "";
  throw new SuiteError("RUN_UNKNOWN", `"${text}" names ${fits.length} of the ${ids.length} runs that are kept${some}`);
}
