import { sql } from "kysely";
import { SuiteError } from "../../base/errors.ts";
import type { Counts } from "../../record/verdict.ts";
import type { Database } from "../schema.ts";
import { iso } from "./shapes.ts";

export interface RunOverview {
  readonly run: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly ended: string | null;
  readonly verdict: string | null;
  readonly exitCode: number | null;
  readonly reasons: readonly string[];
  readonly selection: string | null;
  readonly planDigest: string | null;
  readonly catalogueDigest: string | null;
  readonly suiteDigest: string | null;
  readonly seed: number | null;
  readonly canaries: { readonly right: number | null; readonly planned: number | null };
  readonly records: { readonly read: number; readonly torn: number };
  readonly pinnedAt: string | null;
  readonly pinReason: string | null;
  readonly prunedAt: string | null;
  /** What retention removed, and why. */
  readonly pruned: unknown;
  readonly waivers: readonly { readonly text: string; readonly state: string }[];
  readonly targets: readonly TargetOverview[];
}

export interface TargetOverview {
  readonly target: string;
  readonly verdict: string | null;
  readonly accel: string | null;
  readonly accelWhy: string | null;
  readonly generation: string | null;
  readonly ended: string | null;
  readonly error: unknown;
  readonly durationsMs: Readonly<Record<string, number>> | null;
  readonly counts: Counts | null;
  readonly requirements: { readonly held: number; readonly violated: number; readonly unjudged: number; readonly waived: number } | null;
  readonly artifacts: readonly { readonly name: string; readonly key: string; readonly state: string; readonly because: string }[];
  readonly facts: Readonly<Record<string, unknown>>;
  /** Records so far: a live run has no counts yet. */
  readonly attempts: { readonly begun: number; readonly ended: number };
}

/** Everything about one run that fits on one page. @throws RUN_UNKNOWN */
export async function runOverview(db: Database, params: { readonly run: string }): Promise<RunOverview> {
  const { run } = params;
  const row = await db.selectFrom("run").selectAll().where("id", "=", run).executeTakeFirst();
  if (row === undefined) throw new SuiteError("RUN_UNKNOWN", `the run "${run}" is not in the results database`);
  const [ingest, targets, artifacts, facts, waivers, attempts] = await Promise.all([
    db.selectFrom("ingest").selectAll().where("run", "=", run).executeTakeFirst(),
    db.selectFrom("run_target").selectAll().where("run", "=", run).orderBy("target").execute(),
    db.selectFrom("artifact").selectAll().where("run", "=", run).orderBy("name").execute(),
    db.selectFrom("fact").selectAll().where("run", "=", run).orderBy("name").execute(),
    db.selectFrom("run_waiver").select(["text", "state"]).where("run", "=", run).orderBy("text").execute(),
    sql<{ target: string; begun: number; ended: number }>`select target, count(*)::int as begun, count(runner)::int as ended from attempt where run = ${run} group by target`.execute(db),
  ]);
  return {
    run,
    startedAt: iso(row.started_at),
    endedAt: iso(row.ended_at),
    ended: row.ended,
    verdict: row.verdict,
    exitCode: row.exit_code,
    reasons: (row.reasons as string[] | null) ?? [],
    selection: row.selection,
    planDigest: row.plan_digest,
    catalogueDigest: row.catalogue_digest,
    suiteDigest: row.suite_digest,
    seed: row.seed,
    canaries: { right: row.canaries_right, planned: row.canaries_planned },
    records: { read: ingest?.records ?? 0, torn: ingest?.torn ?? 0 },
    pinnedAt: iso(row.pinned_at),
    pinReason: row.pin_reason,
    prunedAt: iso(row.pruned_at),
    pruned: row.pruned,
    waivers,
    targets: targets.map((each) => {
      const own = attempts.rows.find((count) => count.target === each.target);
      return {
        target: each.target,
        verdict: each.verdict,
        accel: each.accel,
        accelWhy: each.accel_why,
        generation: each.generation,
        ended: each.ended,
        error: each.error,
        durationsMs: each.durations_ms as TargetOverview["durationsMs"],
        counts: each.counts as Counts | null,
        requirements: each.requirements as TargetOverview["requirements"],
        artifacts: artifacts.filter((artifact) => artifact.target === each.target).map(({ name, key, state, because }) => ({ name, key, state, because })),
        facts: Object.fromEntries(facts.filter((fact) => fact.target === each.target).map(({ name, value }) => [name, value])),
        attempts: { begun: own?.begun ?? 0, ended: own?.ended ?? 0 },
      };
    }),
  };
}
