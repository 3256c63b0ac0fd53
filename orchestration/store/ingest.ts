import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { sql } from "kysely";
import { asSuiteError, SuiteError } from "../base/errors.ts";
import { parseRecords } from "../record/jsonl.ts";
import { verdictSchema } from "../record/verdict.ts";
import { indexEvidence } from "./evidence.ts";
import { storeRecords } from "./records.ts";
import { mirrorRetention } from "./retention.ts";
import type { Database, Tables } from "./schema.ts";
import { storeVerdict } from "./verdict.ts";

export interface Ingested {
  readonly records: number;
  readonly torn: number;
  /** True when a verdict was there and is stored. */
  readonly judged: boolean;
}

export interface IngestOptions {
  /** Read and committed at once; default 1 MiB. Small chunks are for tests that interrupt. */
  readonly chunkBytes?: number;
}

const CHUNK_BYTES = 1024 * 1024;

/**
 * Copies a run folder into the database. Every chunk of records is one transaction that also moves the mark to which the
 * file is read, so a killed ingest goes on where it stopped, and doing it again changes nothing.
 * @throws STORE_FAILED | FILE_INVALID
 */
export async function ingestRun(db: Database, run: string, runDir: string, options: IngestOptions = {}): Promise<Ingested> {
  try {
    await sql`insert into run (id) values (${run}) on conflict do nothing`.execute(db);
    await sql`insert into ingest (run) values (${run}) on conflict do nothing`.execute(db);
    const file = await open(join(runDir, "records.jsonl"), "r");
    try {
      // The embedded database computes in this thread: between two chunks, whoever else has work here gets a turn.
      while (await ingestChunk(db, run, file, options.chunkBytes ?? CHUNK_BYTES)) await turn();
    } finally {
      await file.close();
    }
    const judged = await ingestVerdict(db, run, join(runDir, "verdict.json"));
    await indexEvidence(db, run, runDir);
    await mirrorRetention(db, run, runDir);
    const { records, torn } = await db.selectFrom("ingest").select(["records", "torn"]).where("run", "=", run).executeTakeFirstOrThrow();
    return { records, torn, judged };
  } catch (error) {
    const known = asSuiteError(error);
    throw known.code === "INTERNAL" ? new SuiteError("STORE_FAILED", `run ${run} could not be stored: ${known.message.slice(0, 300)}`, { cause: error }) : known;
  }
}

/** @returns false at the end of the file */
async function ingestChunk(db: Database, run: string, file: Awaited<ReturnType<typeof open>>, chunkBytes: number): Promise<boolean> {
  return db.transaction().execute(async (tx) => {
    // Held to the end of the transaction: a second writer of the same run waits here and then finds nothing left to do.
    const mark = await tx.selectFrom("ingest").select("bytes_read").where("run", "=", run).forUpdate().executeTakeFirstOrThrow();
    const { text, bytes, last } = await readChunk(file, Number(mark.bytes_read), chunkBytes);
    if (bytes === 0) return false;
    const { records, torn } = parseRecords(text);
    await storeRecords(tx, run, records.filter((record) => record.run === run));
    await tx
      .updateTable("ingest")
      .set((now) => ({ bytes_read: now("bytes_read", "+", bytes), torn: now("torn", "+", torn.length), records: now("records", "+", records.length) }))
      .where("run", "=", run)
      .execute();
    return !last;
  });
}

/** Whole lines from an offset on. The last line of the file counts as whole once it parses. */
async function readChunk(file: Awaited<ReturnType<typeof open>>, offset: number, chunkBytes: number): Promise<{ text: string; bytes: number; last: boolean }> {
  for (let size = chunkBytes; ; size *= 2) {
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

async function ingestVerdict(db: Database, run: string, path: string): Promise<boolean> {
  const text = await readFile(path, "utf8").catch(() => null);
  if (text === null) return false;
  const parsed = verdictSchema.safeParse(JSON.parse(text));
  if (!parsed.success) throw new SuiteError("FILE_INVALID", `${path} is no verdict: ${parsed.error.issues[0]?.path.join(".") ?? ""} ${parsed.error.issues[0]?.message ?? ""}`);
  await db.transaction().execute((tx) => storeVerdict(tx, run, parsed.data));
  return true;
}

/** Counts rows; for tests and statements about a store. */
export async function countRows(db: Database, table: keyof Tables): Promise<number> {
  const { rows } = await sql<{ n: number }>`select count(*)::int as n from ${sql.table(table)}`.execute(db);
  return rows[0]?.n ?? 0;
}
