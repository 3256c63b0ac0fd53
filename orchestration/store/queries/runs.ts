import { SuiteError } from "../../base/errors.ts";
import { verdictSchema, type Counts, type Verdict } from "../../record/verdict.ts";
import type { Database } from "../schema.ts";

export interface RunRow {
  readonly run: string;
  readonly startedAt: Date | null;
  readonly verdict: string | null;
  readonly exitCode: number | null;
  readonly selection: string | null;
  readonly targets: readonly { readonly target: string; readonly verdict: string | null; readonly counts: Counts | null }[];
}

/** The newest runs first, each with its targets. */
export async function listRuns(db: Database, limit = 50): Promise<RunRow[]> {
  const runs = await db.selectFrom("run").select(["id", "started_at", "verdict", "exit_code", "selection"]).orderBy("id", "desc").limit(limit).execute();
  if (runs.length === 0) return [];
  const targets = await db
    .selectFrom("run_target")
    .select(["run", "target", "verdict", "counts"])
    .where("run", "in", runs.map((run) => run.id))
    .orderBy("target")
    .execute();
  return runs.map((run) => ({
    run: run.id,
    startedAt: run.started_at,
    verdict: run.verdict,
    exitCode: run.exit_code,
    selection: run.selection,
    targets: targets.filter((target) => target.run === run.id).map(({ target, verdict, counts }) => ({ target, verdict, counts: counts as Counts | null })),
  }));
}

/** The verdict of one run as it was stored. @throws RUN_UNKNOWN when the run is not kept or not judged */
export async function verdictOfRun(db: Database, run: string): Promise<Verdict> {
  const row = await db.selectFrom("run").select("document").where("id", "=", run).executeTakeFirst();
  if (row === undefined) throw new SuiteError("RUN_UNKNOWN", `the run "${run}" is not in the results database`);
  if (row.document === null) throw new SuiteError("RUN_UNKNOWN", `the run "${run}" has no verdict yet; judge it first`);
  return verdictSchema.parse(row.document);
}
