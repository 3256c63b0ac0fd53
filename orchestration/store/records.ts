import { sql } from "kysely";
import type { KernelEvent, RecordOf, RunRecord } from "../record/v1.ts";
import { clean, json, nameTests, recordset, type Tx } from "./rows.ts";
import type { Tables } from "./schema.ts";

/** Stores records of one run; those that are stored already change nothing. */
export async function storeRecords(tx: Tx, run: string, records: readonly RunRecord[]): Promise<void> {
  await nameTests(tx, records.flatMap((record) => ("test" in record ? [record.test] : [])));
  for (const record of records) {
    switch (record.type) {
      case "run-begin":
        await tx.updateTable("run").set({ started_at: record.at, plan_digest: record.planDigest, seed: record.seed ?? null }).where("id", "=", run).execute();
        break;
      case "run-end":
        await tx.updateTable("run").set({ ended_at: record.at, ended: record.ended }).where("id", "=", run).execute();
        break;
      case "target-begin":
        await storeTarget(tx, run, record.target, { accel: record.accel.kind, accel_why: clean(record.accel.why) });
        for (const [name, artifact] of Object.entries(record.artifacts)) {
          await tx.insertInto("artifact").values({ run, target: record.target, name, ...artifact }).onConflict((on) => on.doNothing()).execute();
        }
        break;
      case "target-end":
        await storeTarget(tx, run, record.target, { ended: record.ended, error: record.error === null ? null : json(record.error), durations_ms: json(record.durationsMs) });
        break;
      case "fact":
        await tx.insertInto("fact").values({ run, target: record.target, name: record.name, value: json(record.value ?? null) }).onConflict((on) => on.doNothing()).execute();
        break;
      case "test-begin":
      case "test-end":
      case "lease":
      case "run-error":
        break;
    }
  }
  await storeAttempts(tx, run, records);
  await storeEvents(tx, run, records);
}

export type TargetColumns = Partial<Omit<Tables["run_target"], "run" | "target" | "error" | "durations_ms" | "counts" | "requirements">> & {
  readonly error?: string | null;
  readonly durations_ms?: string;
  readonly counts?: string;
  readonly requirements?: string;
};

export async function storeTarget(tx: Tx, run: string, id: string, columns: TargetColumns): Promise<void> {
  const blank = { accel: null, accel_why: null, generation: null, ended: null, error: null, durations_ms: null, verdict: null, counts: null, requirements: null };
  await tx
    .insertInto("run_target")
    .values({ run, target: id, ...blank, ...columns })
    .onConflict((on) => on.columns(["run", "target"]).doUpdateSet(columns))
    .execute();
}

interface AttemptRow {
  target: string;
  test: string;
  attempt: number;
  begun_at?: string;
  runner?: string;
  duration_ms?: number;
  limit_ms?: number;
  errors?: RecordOf<"test-end">["errors"];
  unsupported?: readonly string[];
  evidence?: string | null;
}

const ATTEMPT_COLUMNS = "target text, test text, attempt int, begun_at timestamptz, runner text, duration_ms real, limit_ms real, errors jsonb, unsupported jsonb, evidence text";

/** Begin and end of an attempt may lie in different chunks, so a row is made by whichever comes first and filled by the other. */
async function storeAttempts(tx: Tx, run: string, records: readonly RunRecord[]): Promise<void> {
  const rows = new Map<string, AttemptRow>();
  for (const record of records) {
    if (record.type !== "test-begin" && record.type !== "test-end") continue;
    const { target, test, attempt } = record;
    const key = `${target}\0${test}\0${attempt}`;
    const row = rows.get(key) ?? { target, test: clean(test), attempt };
    rows.set(key, row);
    if (record.type === "test-begin") row.begun_at = record.at;
    else Object.assign(row, { runner: record.runner, duration_ms: record.durationMs, limit_ms: record.limitMs, errors: record.errors, unsupported: record.unsupported, evidence: record.evidence });
  }
  if (rows.size === 0) return;
  await sql`
    insert into attempt (run, target, test, attempt, begun_at, runner, duration_ms, limit_ms, errors, unsupported, evidence)
    select ${run}, r.target, n.id, r.attempt, r.begun_at, r.runner, r.duration_ms, r.limit_ms, r.errors, r.unsupported, r.evidence
    from ${recordset([...rows.values()], ATTEMPT_COLUMNS)} join test_name n on n.name = r.test
    on conflict (run, target, test, attempt) do update set
      begun_at = coalesce(excluded.begun_at, attempt.begun_at), runner = coalesce(excluded.runner, attempt.runner),
      duration_ms = coalesce(excluded.duration_ms, attempt.duration_ms), limit_ms = coalesce(excluded.limit_ms, attempt.limit_ms),
      errors = coalesce(excluded.errors, attempt.errors), unsupported = coalesce(excluded.unsupported, attempt.unsupported),
      evidence = coalesce(excluded.evidence, attempt.evidence)`.execute(tx);
}

const EVENT_COLUMNS = "writer text, seq int, place int, target text, test text, machine text, kind text, fingerprint text, title text, console_offset bigint, excerpt text";

async function storeEvents(tx: Tx, run: string, records: readonly RunRecord[]): Promise<void> {
  const rows = records.flatMap((record) => {
    if (record.type !== "lease" && record.type !== "target-end") return [];
    const { writer, seq, target } = record;
    const [test, machine] = record.type === "lease" ? [clean(record.test), record.machine] : [null, null];
    return record.events.map((event: KernelEvent, place) => ({
      writer, seq, place, target, test, machine,
      kind: event.kind, fingerprint: event.fingerprint, title: event.title, console_offset: event.consoleOffset, excerpt: event.excerpt,
    }));
  });
  if (rows.length === 0) return;
  await sql`
    insert into kernel_event (run, writer, seq, place, target, test, machine, kind, fingerprint, title, console_offset, excerpt)
    select ${run}, r.writer, r.seq, r.place, r.target, n.id, r.machine, r.kind, r.fingerprint, r.title, r.console_offset, r.excerpt
    from ${recordset(rows, EVENT_COLUMNS)} left join test_name n on n.name = r.test
    on conflict do nothing`.execute(tx);
}
