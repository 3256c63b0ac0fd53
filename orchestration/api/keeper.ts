import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { asSuiteError } from "../base/errors.ts";
import { RUN_ID } from "../base/ids.ts";
import { ingestRun } from "../store/ingest.ts";
import type { Database } from "../store/schema.ts";

const EVERY_MS = 2_000;
/** A run that goes on is stored in steps: each is a transaction, and readers wait for it in the embedded database. */
const GROWING_EVERY_MS = 10_000;

/** The time of a verdict that an earlier centre stored. */
const UNKNOWN = -1;

/** Chunks of a run are transactions, and requests wait for one in the embedded database: this much takes well below a second. */
const CHUNK_BYTES = 128 * 1024;

interface Seen {
  readonly bytes: number;
  readonly judgedMs: number | null;
  readonly atMs: number;
}

/**
 * Keeps the database up with the run folders: runs that go on here, runs that were uploaded, runs from before the centre
 * started. Ingest is idempotent, so the only thing remembered is what need not be looked at again.
 */
export class Keeper implements AsyncDisposable {
  private readonly db: Database;
  private readonly runsDir: string;
  private readonly log: (line: string) => void;
  /** Resolves when the run folders are no longer where they were: nothing is left to serve. */
  readonly gone: Promise<void>;
  private readonly isGone: () => void;
  private readonly done = new Map<string, Seen>();
  private timer: NodeJS.Timeout | undefined;
  private busy: Promise<void> = Promise.resolve();

  constructor(db: Database, runsDir: string, log: (line: string) => void) {
    this.db = db;
    this.runsDir = runsDir;
    this.log = log;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.gone = promise;
    this.isGone = resolve;
  }

  start(): void {
    this.timer = setInterval(() => void this.sweep(), EVERY_MS);
    void this.sweep();
  }

  /** Looks through all folders once; calls never overlap. */
  sweep(): Promise<void> {
    this.busy = this.busy.then(() => this.look()).catch((error: unknown) => this.log(`run folders: ${asSuiteError(error).message}`));
    return this.busy;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.timer);
    this.timer = undefined;
    await this.busy;
  }

  private async look(): Promise<void> {
    const names = await readdir(this.runsDir).catch((error: NodeJS.ErrnoException) => (error.code === "ENOENT" ? null : []));
    if (names === null) {
      clearInterval(this.timer);
      return this.isGone();
    }
    if (this.done.size === 0) await this.recall();
    for (const run of names.filter((name) => RUN_ID.test(name)).sort()) await this.keep(run);
  }

  private async keep(run: string): Promise<void> {
    const dir = join(this.runsDir, run);
    const records = await stat(join(dir, "records.jsonl")).catch(() => null);
    if (records === null) return;
    const verdict = await stat(join(dir, "verdict.json")).catch(() => null);
    const seen: Seen = { bytes: records.size, judgedMs: verdict?.mtimeMs ?? null, atMs: Date.now() };
    const before = this.done.get(run);
    if (before !== undefined && (isSame(before, seen) || (verdict === null && seen.atMs - before.atMs < GROWING_EVERY_MS))) {
      if (before.judgedMs === UNKNOWN) this.done.set(run, seen);
      return;
    }
    this.done.set(run, seen);
    try {
      await ingestRun(this.db, run, dir, { chunkBytes: CHUNK_BYTES });
    } catch (error) {
      this.log(`run ${run}: ${asSuiteError(error).message}`);
    }
  }

  /** What an earlier centre stored to its end. */
  private async recall(): Promise<void> {
    const rows = await this.db.selectFrom("ingest").innerJoin("run", "run.id", "ingest.run").select(["run.id", "ingest.bytes_read", "run.verdict"]).where("run.verdict", "is not", null).execute();
    for (const row of rows) this.done.set(row.id, { bytes: row.bytes_read, judgedMs: UNKNOWN, atMs: 0 });
  }
}

/** A run may be judged again, and then its verdict is stored again. */
function isSame(before: Seen, now: Seen): boolean {
  return before.bytes === now.bytes && (before.judgedMs === now.judgedMs || (before.judgedMs === UNKNOWN && now.judgedMs !== null));
}
