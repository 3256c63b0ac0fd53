import { basename, join } from "node:path";
import { sql } from "kysely";
import { ingestRun } from "../store/ingest.ts";
import { dumpRun, ingestWithKills, isPartlyStored } from "../store/killed-ingest.ts";
import { startLocalPostgres } from "../store/local-postgres.ts";
import { writeMadeUpRun } from "../store/made-up.ts";
import { migrate } from "../store/migrate.ts";
import { openPglite } from "../store/pglite.ts";
import { openPostgres } from "../store/postgres.ts";
import { matrix } from "../store/queries/matrix.ts";
import type { Database } from "../store/schema.ts";
import type { Store } from "../store/store.ts";
import { median, timed, type Figure } from "./figures.ts";

export interface StoreFigureOptions {
  /** For what is written; the caller removes it. */
  readonly dir: string;
  /** 500 runs of 1,000 tests on 10 targets: needs about 2 GB of disk and some minutes. */
  readonly matrix?: boolean;
  /** How often an ingest is killed; 0 leaves it out. */
  readonly kills?: number;
  /** Tests of the run that is stored for its speed; 0 leaves it out. */
  readonly tests?: number;
}

/** Processes that store at the same time while they are killed. */
const LANES = 4;
const TARGET = "x86_64/debian-6.1/none/plain";

/** Speed of the store on both engines. @throws HOST_TOOL_MISSING without Debian's package postgresql; RangeError when a record is lost or doubled */
export async function storeFigures(options: StoreFigureOptions): Promise<Figure[]> {
  const figures: Figure[] = [];
  const tests = options.tests ?? 5_000;
  await using server = await startLocalPostgres();
  if (tests > 0) {
    await using pglite = await opened(openPglite(join(options.dir, "pglite")));
    figures.push(await ingestFigure(pglite.db, join(options.dir, "20260101-000000-00000a"), tests, "PGlite"));
    await using postgres = await opened(openPostgres(await server.database("ingest")));
    figures.push(await ingestFigure(postgres.db, join(options.dir, "20260101-000000-00000b"), tests, "PostgreSQL"));
  }
  if (options.matrix === true) {
    await using postgres = await opened(openPostgres(await server.database("matrix")));
    figures.push(...(await matrixFigures(postgres.db)));
  }
  if ((options.kills ?? 0) > 0) figures.push(...(await killFigures(server.database, options.dir, options.kills ?? 0)));
  return figures;
}

async function opened(opening: Promise<Store>): Promise<Store> {
  const store = await opening;
  await migrate(store.db);
  return store;
}

async function ingestFigure(db: Database, runDir: string, tests: number, engine: string): Promise<Figure> {
  await writeMadeUpRun(runDir, { run: basename(runDir), targets: [TARGET], tests });
  const started = performance.now();
  const { records } = await ingestRun(db, basename(runDir), runDir);
  const seconds = (performance.now() - started) / 1000;
  if ((await dumpRun(db, basename(runDir)))["attempt"]?.length !== tests) throw new RangeError(`${engine}: not every attempt was stored`);
  return timed(`ingest of ${records} records and their verdict into ${engine}`, records / seconds, "records/s");
}

/** 500 runs, 10 targets, 1,000 tests of 20 areas: 5 million results, and the counts that ingest makes of them. */
async function matrixFigures(db: Database): Promise<Figure[]> {
  await sql`insert into test_name (name, area) select 'area' || (n % 20) || '/x.spec.ts:t' || n, 'area' || (n % 20) from generate_series(1, 1000) n`.execute(db);
  await sql`insert into run (id, verdict, selection) select '20260101-' || lpad(n::text, 6, '0') || '-000000', 'violated', 'the whole suite' from generate_series(1, 500) n`.execute(db);
  await sql`insert into run_target (run, target, verdict) select r.id, 'x86_64/kernel-' || t || '/none/plain', 'violated' from run r, generate_series(1, 10) t`.execute(db);
  await db.transaction().execute(async (tx) => {
    await sql`set local session_replication_role = replica`.execute(tx); // spares 10 million looks at foreign keys
    await sql`insert into result (run, target, test, outcome, waived, canary) select t.run, t.target, n.id, case when n.id % 50 = 0 then 'failed' else 'passed' end, false, false from run_target t, test_name n`.execute(tx);
  });
  await sql`
    insert into run_area select r.run, r.target, n.area, count(*), count(*) filter (where outcome = 'passed'), count(*) filter (where outcome = 'failed'), 0, 0, 0, 0, 0, 0
    from result r join test_name n on n.id = r.test group by r.run, r.target, n.area`.execute(db);
  await sql`analyze`.execute(db);
  const took: number[] = [];
  for (let turn = 0; turn < 21; turn++) {
    const started = performance.now();
    const { cells } = await matrix(db);
    took.push(performance.now() - started);
    if (cells.length !== 200) throw new RangeError(`the matrix has ${cells.length} cells, expected 200`);
  }
  return [timed("matrix of the latest runs among 5,000,000 results, first", took[0] ?? 0, "ms"), timed("matrix of the latest runs among 5,000,000 results, median of 20", median(took.slice(1)), "ms")];
}

async function killFigures(database: (name: string) => Promise<string>, dir: string, kills: number): Promise<Figure[]> {
  const dirs = Array.from({ length: Math.max(LANES, Math.ceil(kills / 10)) }, (_, index) => join(dir, `20260102-000000-${String(index).padStart(6, "0")}`));
  for (const runDir of dirs) await writeMadeUpRun(runDir, { run: basename(runDir), targets: [TARGET], tests: 3_000, outcome: (index) => (index % 50 === 0 ? "crashed" : "passed") });
  const where = await database("killed");
  await using killed = await opened(openPostgres(where));
  await using clean = await opened(openPostgres(await database("clean")));
  // Several at once, as workers of a lab store their runs.
  const lanes = await Promise.all(
    Array.from({ length: LANES }, (_, lane) => {
      const own = dirs.filter((_dir, index) => index % LANES === lane);
      return ingestWithKills(where, own, { kills: Math.ceil(kills / LANES), mostStatements: 80, chunkBytes: 32_768, random: Math.random, isPartial: (runDir) => isPartlyStored(killed.db, runDir) });
    }),
  );
  const done = { kills: lanes.reduce((sum, lane) => sum + lane.kills, 0), amidRecords: lanes.reduce((sum, lane) => sum + lane.amidRecords, 0) };
  if (done.amidRecords === 0) throw new RangeError(`none of ${done.kills} kills hit amid the records of a run`);
  let rows = 0;
  for (const runDir of dirs) {
    await ingestRun(clean.db, basename(runDir), runDir);
    const [expected, found] = [await dumpRun(clean.db, basename(runDir)), await dumpRun(killed.db, basename(runDir))];
    if (JSON.stringify(expected) !== JSON.stringify(found)) throw new RangeError(`after kills the run ${basename(runDir)} differs from a clean ingest`);
    rows += Object.values(expected).reduce((sum, table) => sum + table.length, 0);
  }
  return [
    { name: "ingests killed with SIGKILL", value: done.kills, unit: "kills", exact: true },
    { name: "of those amid the records of a run", value: done.amidRecords, unit: "kills", exact: false },
    { name: "rows compared with a clean ingest, all equal", value: rows, unit: "rows", exact: true },
  ];
}
