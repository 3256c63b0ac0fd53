import assert from "node:assert/strict";
import { join } from "node:path";
import test, { after, before, describe } from "node:test";
import { ingestRun } from "./ingest.ts";
import { ingestContract, TARGET, temporaryFolder } from "./ingest.contract.ts";
import { dumpRun, ingestWithKills, isPartlyStored } from "./killed-ingest.ts";
import { hasLocalPostgres, startLocalPostgres, type LocalPostgres } from "./local-postgres.ts";
import { writeMadeUpRun } from "./made-up.ts";
import { migrate } from "./migrate.ts";
import { openPostgres } from "./postgres.ts";
import { queriesContract } from "./queries.contract.ts";
import { retentionContract } from "./retention.contract.ts";
import type { Store } from "./store.ts";

let server: LocalPostgres | undefined;
let databases = 0;

async function openMigrated(url: string | undefined = server?.url): Promise<Store> {
  const store = await openPostgres(url ?? "");
  await migrate(store.db);
  return store;
}

async function freshDatabase(): Promise<string> {
  return (await server?.database(`fresh_${databases++}`)) ?? "";
}

describe("PostgreSQL", { skip: (await hasLocalPostgres()) ? false : "Debian's package postgresql is not installed" }, () => {
  before(async () => {
    server = await startLocalPostgres({ fsync: false });
  });
  after(() => server?.[Symbol.asyncDispose]());

  describe("ingest", () => ingestContract(openMigrated));
  describe("queries", () => queriesContract(openMigrated));
  describe("retention", () => retentionContract(openMigrated));

  test("an ingest that is killed again and again comes to the same rows as one that is not", async () => {
    const [clean, killed] = [await freshDatabase(), await freshDatabase()];
    const runs = ["20260101-000000-aaaaaa", "20260101-000000-bbbbbb"].map((run) => ({ run, dir: join(temporaryFolder(), run) }));
    for (const { run, dir } of runs) await writeMadeUpRun(dir, { run, targets: [TARGET], tests: 600, outcome: (index) => (index % 50 === 0 ? "crashed" : "passed") });
    await using killedStore = await openMigrated(killed);
    const { kills, amidRecords } = await ingestWithKills(killed, runs.map(({ dir }) => dir), {
      kills: 4, mostStatements: 60, chunkBytes: 16_384, random: Math.random, isPartial: (dir) => isPartlyStored(killedStore.db, dir),
    });
    assert.ok(kills >= 4 && amidRecords > 0, `${kills} kills, ${amidRecords} of them amid records`);
    await using cleanStore = await openMigrated(clean);
    for (const { run, dir } of runs) {
      await ingestRun(cleanStore.db, run, dir);
      const expected = await dumpRun(cleanStore.db, run);
      assert.deepEqual(await dumpRun(killedStore.db, run), expected);
      assert.equal(expected["attempt"]?.length, 600);
    }
  });
});
