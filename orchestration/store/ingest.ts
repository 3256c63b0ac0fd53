import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { sql, type Insertable, type Transaction } from "kysely";
import { asSuiteError, SuiteError } from "../base/errors.ts";
import { parseRecords } from "../record/jsonl.ts";
import { summaryOf } from "../record/outcome.ts";
import type { KernelEvent, RecordOf, RunRecord } from "../record/v1.ts";
import { verdictSchema, type Verdict } from "../record/verdict.ts";
import type { Database, Tables } from "./schema.ts";

type Tx = Transaction<Tables>;

export interface Ingested {
  readonly records: number;
  readonly torn: number;
  /** True when a verdict was there and is stored. */
  readonly judged: boolean;
}

const CHUNK_BYTES = 1024 * 1024;
/** A statement takes at most 65535 parameters, and the widest row has 12. */
const ROWS = 1_000;

/**
 * Copies a run folder into the database. Every chunk of records is one transaction that also moves the mark to which the
 * file is read, so a killed ingest goes on where it stopped, and doing it again changes nothing.
 * @throws STORE_FAILED | FILE_INVALID
 */
export async function ingestRun(db: Database, run: string, runDir: string): Promise<Ingested> {
  try {
    await db.insertInto("run").values(emptyRun(run)).onConflict((on) => on.doNothing()).execute();
    await db.insertInto("ingest").values({ run, bytes_read: 0, torn: 0, records: 0 }).onConflict((on) => on.doNothing()).execute();
    const file = await open(join(runDir, "records.jsonl"), "r");
    try {
      while (await ingestChunk(db, run, file)) continue;
    } finally {
      await file.close();
    }
    const judged = await ingestVerdict(db, run, join(runDir, "verdict.json"));
    const { records, torn } = await db.selectFrom("ingest").select(["records", "torn"]).where("run", "=", run).executeTakeFirstOrThrow();
    return { records, torn, judged };
  } catch (error) {
    const known = asSuiteError(error);
    throw known.code === "INTERNAL" ? new SuiteError("STORE_FAILED", `run ${run} could not be stored: ${known.message.slice(0, 300)}`, { cause: error }) : known;
  }
}

/** @returns false at the end of the file */
async function ingestChunk(db: Database, run: string, file: Awaited<ReturnType<typeof open>>): Promise<boolean> {
  return db.transaction().execute(async (tx) => {
    // Held to the end of the transaction: a second writer of the same run waits here and then finds nothing left to do.
    const mark = await tx.selectFrom("ingest").select("bytes_read").where("run", "=", run).forUpdate().executeTakeFirstOrThrow();
    const { text, bytes, last } = await readChunk(file, Number(mark.bytes_read));
    if (bytes === 0) return false;
    const { records, torn } = parseRecords(text);
    await store(tx, run, records.filter((record) => record.run === run));
    await tx
      .updateTable("ingest")
      .set((now) => ({ bytes_read: now("bytes_read", "+", bytes), torn: now("torn", "+", torn.length), records: now("records", "+", records.length) }))
      .where("run", "=", run)
      .execute();
    return !last;
  });
}

/** Whole lines from an offset on. The last line of the file counts as whole once it parses. */
async function readChunk(file: Awaited<ReturnType<typeof open>>, offset: number): Promise<{ text: string; bytes: number; last: boolean }> {
  for (let size = CHUNK_BYTES; ; size *= 2) {
    const buffer = Buffer.alloc(size);
    const { bytesRead } = await file.read(buffer, 0, size, offset);
    const read = buffer.subarray(0, bytesRead);
    const end = read.lastIndexOf(0x0a);
    const tail = read.subarray(end + 1).toString("utf8");
    if (bytesRead < size) {
      const whole = tail === "" || (tail.endsWith("}") && parseRecords(tail).records.length > 0);
      const upTo = whole ? bytesRead : Math.max(end, 0);
      return { text: read.subarray(0, upTo).toString("utf8"), bytes: upTo, last: true };
    }
    if (end > 0) return { text: read.subarray(0, end).toString("utf8"), bytes: end, last: false };
  }
}

async function store(tx: Tx, run: string, records: readonly RunRecord[]): Promise<void> {
  const names = await nameTests(tx, records.flatMap((record) => ("test" in record ? [record.test] : [])));
  for (const record of records) {
    switch (record.type) {
      case "run-begin":
        await tx.updateTable("run").set({ started_at: record.at, plan_digest: record.planDigest, seed: record.seed ?? null }).where("id", "=", run).execute();
        break;
      case "run-end":
        await tx.updateTable("run").set({ ended_at: record.at, ended: record.ended }).where("id", "=", run).execute();
        break;
      case "target-begin":
        await target(tx, run, record.target, { accel: record.accel.kind, accel_why: record.accel.why });
        for (const [name, artifact] of Object.entries(record.artifacts)) {
          await tx.insertInto("artifact").values({ run, target: record.target, name, ...artifact }).onConflict((on) => on.doNothing()).execute();
        }
        break;
      case "target-end":
        await target(tx, run, record.target, { ended: record.ended, error: record.error === null ? null : json(record.error), durations_ms: JSON.stringify(record.durationsMs) });
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
  await storeAttempts(tx, run, records, names);
  await storeEvents(tx, run, records, names);
}

async function storeAttempts(tx: Tx, run: string, records: readonly RunRecord[], names: ReadonlyMap<string, number>): Promise<void> {
  const begins = unique(records.filter((record): record is RecordOf<"test-begin"> => record.type === "test-begin"));
  const ends = unique(records.filter((record): record is RecordOf<"test-end"> => record.type === "test-end"));
  const key = (record: RecordOf<"test-begin"> | RecordOf<"test-end">) => ({ run, target: record.target, test: names.get(record.test) ?? 0, attempt: record.attempt });
  const blank = { runner: null, duration_ms: null, limit_ms: null, errors: null, unsupported: null, evidence: null };
  for (const rows of slices(begins)) {
    await tx
      .insertInto("attempt")
      .values(rows.map((record) => ({ ...key(record), begun_at: record.at, ...blank })))
      .onConflict((on) => on.columns(["run", "target", "test", "attempt"]).doUpdateSet((row) => ({ begun_at: row.ref("excluded.begun_at") })))
      .execute();
  }
  for (const rows of slices(ends)) {
    await tx
      .insertInto("attempt")
      .values(
        rows.map((record) => ({
          ...key(record),
          begun_at: null,
          runner: record.runner,
          duration_ms: record.durationMs,
          limit_ms: record.limitMs,
          errors: json(record.errors),
          unsupported: json(record.unsupported),
          evidence: record.evidence,
        })),
      )
      .onConflict((on) =>
        on.columns(["run", "target", "test", "attempt"]).doUpdateSet((row) => ({
          runner: row.ref("excluded.runner"),
          duration_ms: row.ref("excluded.duration_ms"),
          limit_ms: row.ref("excluded.limit_ms"),
          errors: row.ref("excluded.errors"),
          unsupported: row.ref("excluded.unsupported"),
          evidence: row.ref("excluded.evidence"),
        })),
      )
      .execute();
  }
}

async function storeEvents(tx: Tx, run: string, records: readonly RunRecord[], names: ReadonlyMap<string, number>): Promise<void> {
  const rows = records.flatMap((record) => {
    if (record.type !== "lease" && record.type !== "target-end") return [];
    const test = record.type === "lease" ? (names.get(record.test) ?? null) : null;
    const machine = record.type === "lease" ? record.machine : null;
    return record.events.map((event: KernelEvent, place) => ({
      run, writer: record.writer, seq: record.seq, place, target: record.target, test, machine,
      kind: event.kind, fingerprint: event.fingerprint, title: clean(event.title), console_offset: event.consoleOffset, excerpt: clean(event.excerpt),
    }));
  });
  for (const some of slices(rows)) await tx.insertInto("kernel_event").values(some).onConflict((on) => on.doNothing()).execute();
}

async function ingestVerdict(db: Database, run: string, path: string): Promise<boolean> {
  const text = await readFile(path, "utf8").catch(() => null);
  if (text === null) return false;
  const parsed = verdictSchema.safeParse(JSON.parse(text));
  if (!parsed.success) throw new SuiteError("FILE_INVALID", `${path} is no verdict: ${parsed.error.issues[0]?.path.join(".") ?? ""} ${parsed.error.issues[0]?.message ?? ""}`);
  await db.transaction().execute((tx) => storeVerdict(tx, run, parsed.data));
  return true;
}

/** Replaces what an earlier verdict of the run said. */
async function storeVerdict(tx: Tx, run: string, verdict: Verdict): Promise<void> {
  await tx
    .updateTable("run")
    .set({
      verdict: verdict.verdict,
      exit_code: verdict.exitCode,
      catalogue_digest: verdict.catalogue.digest,
      suite_digest: verdict.plan.suite,
      selection: verdict.plan.selection,
      reasons: json(verdict.reasons),
      canaries_right: verdict.canaries.right,
      canaries_planned: verdict.canaries.planned,
      document: json(verdict),
    })
    .where("id", "=", run)
    .execute();
  await tx.deleteFrom("result").where("run", "=", run).execute();
  await tx.deleteFrom("requirement_state").where("run", "=", run).execute();
  const names = await nameTests(tx, [...verdict.targets.flatMap((each) => each.tests.map((test) => test.id)), ...verdict.canaries.all.map((canary) => canary.test)]);
  for (const each of verdict.targets) {
    await target(tx, run, each.id, { generation: each.generation.used, verdict: each.verdict, counts: JSON.stringify(each.counts), requirements: JSON.stringify(each.requirements) });
    for (const rows of slices(each.tests)) {
      await tx
        .insertInto("result")
        .values(rows.map((test) => ({ run, target: each.id, test: names.get(test.id) ?? 0, outcome: test.outcome.kind, message: clean(summaryOf(test.outcome)), duration_ms: test.durationMs, waived: test.waived, canary: false })))
        .execute();
    }
    for (const rows of slices(each.requirementStates)) {
      await tx
        .insertInto("requirement_state")
        .values(rows.map((row) => ({ run, target: each.id, requirement: row.id, level: row.level, state: row.state, because: row.because === null ? null : clean(row.because) })))
        .execute();
    }
  }
  for (const rows of slices(verdict.canaries.all)) {
    await tx
      .insertInto("result")
      .values(rows.map((canary) => ({ run, target: canary.target, test: names.get(canary.test) ?? 0, outcome: canary.actual.split(":")[0] ?? "", message: canary.actual, duration_ms: null, waived: false, canary: true })))
      .execute();
  }
}

/** Ids of test names, made where they are new. */
async function nameTests(tx: Tx, names: readonly string[]): Promise<Map<string, number>> {
  const wanted = [...new Set(names)].sort(); // one order for all writers, or two of them could wait for each other
  const found = new Map<string, number>();
  for (const some of slices(wanted)) {
    await tx.insertInto("test_name").values(some.map((name) => ({ name, area: name.split("/")[0] ?? "" }))).onConflict((on) => on.column("name").doNothing()).execute();
    for (const row of await tx.selectFrom("test_name").select(["id", "name"]).where("name", "in", some).execute()) found.set(row.name, row.id);
  }
  return found;
}

type TargetColumns = Partial<Omit<Insertable<Tables["run_target"]>, "run" | "target">>;

async function target(tx: Tx, run: string, id: string, columns: TargetColumns): Promise<void> {
  const blank = { accel: null, accel_why: null, generation: null, ended: null, error: null, durations_ms: null, verdict: null, counts: null, requirements: null };
  await tx
    .insertInto("run_target")
    .values({ run, target: id, ...blank, ...columns })
    .onConflict((on) => on.columns(["run", "target"]).doUpdateSet(columns))
    .execute();
}

/** One statement must not touch a row twice. */
function unique<T extends RecordOf<"test-begin"> | RecordOf<"test-end">>(records: readonly T[]): T[] {
  return [...new Map(records.map((record) => [`${record.target}\0${record.test}\0${record.attempt}`, record])).values()];
}

function slices<T>(rows: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(rows.length / ROWS) }, (_, index) => rows.slice(index * ROWS, (index + 1) * ROWS));
}

/** The database refuses NUL in text; consoles print it. */
function clean(text: string): string {
  return text.replaceAll("\0", "\ufffd").replaceAll("\\u0000", "\\ufffd");
}

function json(value: unknown): string {
  return clean(JSON.stringify(value));
}

function emptyRun(id: string): Insertable<Tables["run"]> {
  return {
    id, started_at: null, ended_at: null, plan_digest: null, seed: null, ended: null, verdict: null, exit_code: null,
    catalogue_digest: null, suite_digest: null, selection: null, reasons: null, canaries_right: null, canaries_planned: null, document: null,
  };
}

/** Counts rows; for tests and statements about a store. */
export async function countRows(db: Database, table: keyof Tables): Promise<number> {
  const { rows } = await sql<{ n: number }>`select count(*)::int as n from ${sql.table(table)}`.execute(db);
  return rows[0]?.n ?? 0;
}
