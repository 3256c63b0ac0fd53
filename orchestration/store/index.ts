import { basename, resolve } from "node:path";
import { ingestRun as ingestInto, type Ingested } from "./ingest.ts";
import { migrate } from "./migrate.ts";
import { openPglite } from "./pglite.ts";
import { openPostgres } from "./postgres.ts";
import type { Store } from "./store.ts";

export { storeBench } from "./bench.ts";
export type { Ingested } from "./ingest.ts";
export { compareRuns, type Comparison, type Difference } from "./queries/compare.ts";
export { crashes, crashEvents } from "./queries/crashes.ts";
export { failureRates, findTests, type TestRate } from "./queries/failure-rates.ts";
export { figureNames, figuresOverTime } from "./queries/figures.ts";
export { requirementHistory, runRequirements, testHistory } from "./queries/history.ts";
export { matrix, type Matrix } from "./queries/matrix.ts";
export { runOverview } from "./queries/overview.ts";
export { listRuns, resolveRun, verdictOfRun, type RunFilter, type RunRow } from "./queries/runs.ts";
export { MOST_ROWS } from "./queries/shapes.ts";
export { evidenceOfTest, runTests, testDetail } from "./queries/tests.ts";
export { waivers } from "./queries/waivers.ts";
export { describePruned, mirrorRetention, parseAge, parseSize, pinOf, pinRun, planPrune, prunedOf, pruneRun, unpinRun, type PrunePlan } from "./retention.ts";
export { renderReport } from "./report.ts";
export type { Store } from "./store.ts";
export { storeWaivers } from "./waivers.ts";

/**
 * Opens the results database and brings its schema up to date: PostgreSQL where BUSLAB_DATABASE_URL names one, else the
 * embedded one below BUSLAB_HOME.
 * @throws STORE_LOCKED | STORE_FAILED | HOST_DISK_FULL
 */
export async function openStore(): Promise<Store> {
  const url = process.env["BUSLAB_DATABASE_URL"];
  const store = url === undefined || url === "" ? await openPglite() : await openPostgres(url);
  try {
    await migrate(store.db);
    return store;
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}

/** Opens the results database, copies the run of a folder into it and closes it. The folder's name is the run's id. */
export async function ingestRun(runDir: string): Promise<Ingested> {
  await using store = await openStore();
  return await ingestInto(store.db, basename(resolve(runDir)), runDir);
}
