import { basename, join } from "node:path";
import { ingestRun } from "../store/ingest.ts";
import { dumpRun, ingestWithKills, isPartlyStored } from "../store/killed-ingest.ts";
import { startLocalPostgres } from "../store/local-postgres.ts";
import { writeMadeUpRun } from "../store/made-up.ts";
import { migrate } from "../store/migrate.ts";
import { openPglite } from "../store/pglite.ts";
import { openPostgres } from "../store/postgres.ts";
import type { Database } from "../store/schema.ts";
import type { Store } from "../store/store.ts";
import { dashboardFigures } from "./dashboard-figures.ts";
import { median, timed, type Figure } from "./figures.ts";
import { matrixFigures } from "./matrix-figures.ts";

export interface StoreFigureOptions {
  /** For what is written; the caller removes it. */
  readonly dir: string;
  /** 500 runs of 1,000 tests on 10 targets: needs about 2 GB of disk and some minutes. */
  readonly matrix?: boolean;
  /** The pages of the results centre in a browser, over 500 runs of 1,000 tests. */
  readonly dashboard?: boolean;
  /** How often an ingest is killed; 0 leaves it out. */
  readonly kills?: number;
  /** Tests of the run that is stored for its speed; 0 leaves it out. */
  readonly tests?: number;
  /** Told of figures as they come: all of them take many minutes. */
  readonly onFigures?: (figures: readonly Figure[]) => void;
}

/** Processes that store at the same time while they are killed. */
const LANES = 4;
const INGESTS = 5;
const TARGET = "x86_64/debian-6.1/none/plain";

/** Speed of the store on both engines. @throws HOST_TOOL_MISSING without Debian's package postgresql; RangeError when a record is lost or doubled */
export async function storeFigures(options: StoreFigureOptions): Promise<Figure[]> {
  const figures: Figure[] = [];
  const take = (some: readonly Figure[]): void => {
    figures.push(...some);
    options.onFigures?.(some);
  };
  const tests = options.tests ?? 5_000;
  await using server = await startLocalPostgres();
  if (tests > 0) {
    await using pglite = await opened(openPglite(join(options.dir, "pglite")));
    take([await ingestFigure(pglite.db, options.dir, tests, "PGlite")]);
    await using postgres = await opened(openPostgres(await server.database("ingest")));
    take([await ingestFigure(postgres.db, options.dir, tests, "PostgreSQL")]);
  }
  if (options.matrix === true) {
    await using postgres = await opened(openPostgres(await server.database("matrix")));
    take(await matrixFigures(postgres.db));
  }
  if (options.dashboard === true) {
    await using postgres = await opened(openPostgres(await server.database("dashboard")));
    take(await dashboardFigures(postgres.db, options.dir));
  }
  if ((options.kills ?? 0) > 0) take(await killFigures(server.database, options.dir, options.kills ?? 0));
  return figures;
}

async function opened(opening: Promise<Store>): Promise<Store> {
  const store = await opening;
  await migrate(store.db);
  return store;
}

/** One run after the other into a database that keeps them, as it fills: the middle one of these counts. */
async function ingestFigure(db: Database, dir: string, tests: number, engine: string): Promise<Figure> {
  const rates: number[] = [];
  for (let turn = 0; turn < INGESTS; turn++) {
    const runDir = join(dir, `20260101-00000${turn}-${engine === "PGlite" ? "00000a" : "00000b"}`);
    await writeMadeUpRun(runDir, { run: basename(runDir), targets: [TARGET], tests });
    const started = performance.now();
    const { records } = await ingestRun(db, basename(runDir), runDir);
    rates.push(records / ((performance.now() - started) / 1000));
    if ((await dumpRun(db, basename(runDir)))["attempt"]?.length !== tests) throw new RangeError(`${engine}: not every attempt was stored`);
  }
  return timed(`ingest of runs of ${tests} tests and their verdict into ${engine}, median of ${INGESTS}`, median(rates), "records/s");
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
