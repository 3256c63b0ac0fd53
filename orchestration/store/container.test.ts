import assert from "node:assert/strict";
import { join } from "node:path";
import test, { after, before, describe } from "node:test";
import type { StartedPostgreSqlContainer } from "@testcontainers/postgresql";
import type { KyselyPlugin } from "kysely";
import { exec } from "../base/exec.ts";
import { silent } from "../base/progress.ts";
import { engineTrouble, removeForgotten } from "../../vm-images/containers/engine.ts";
import { POSTGRES_ENTRY, postgresImage } from "../../vm-images/containers/postgres.ts";
import { ingestRun } from "./ingest.ts";
import { ingestContract, TARGET, temporaryFolder } from "./ingest.contract.ts";
import { dumpRun } from "./killed-ingest.ts";
import { writeMadeUpRun } from "./made-up.ts";
import { migrate } from "./migrate.ts";
import { openPostgres } from "./postgres.ts";
import { queriesContract } from "./queries.contract.ts";
import { retentionContract } from "./retention.contract.ts";
import type { Store } from "./store.ts";

// The helper container that tidies up comes from a registry, which a lab may not reach; we find ours by their label instead.
process.env["TESTCONTAINERS_RYUK_DISABLED"] = "true";
/** Of several hundred that the ingest below has; the first few chunks are committed by then. */
const DEADLY_STATEMENT = 60;
/** initdb alone takes a minute on a host that emulates machines beside. */
const START_MS = 600_000;
/** Processes are killed here and no power fails, so nothing has to wait for a disk. */
const FAST = ["-c", "fsync=off"];
/** The library's own gives a busy host one second for starting a program in the container. */
const HEALTH = { test: ["CMD-SHELL", "pg_isready --host localhost"] as ["CMD-SHELL", string], interval: 1_000, timeout: 60_000, retries: 1_000 };
const LABEL = "buslab.store.test";

let container: StartedPostgreSqlContainer | undefined;

async function openMigrated(): Promise<Store> {
  const store = await openPostgres(container?.getConnectionUri() ?? "");
  await migrate(store.db);
  return store;
}

describe("PostgreSQL in a container", { skip: (await engineTrouble()) ?? false }, () => {
  before(async () => {
    await removeForgotten(LABEL);
    const image = await postgresImage({ progress: silent, logDir: temporaryFolder() });
    const { PostgreSqlContainer } = await import("@testcontainers/postgresql");
    container = await new PostgreSqlContainer(image).withCopyFilesToContainer([POSTGRES_ENTRY]).withLabels({ [LABEL]: String(process.pid) }).withCommand(FAST).withHealthCheck(HEALTH).withStartupTimeout(START_MS).start();
  });
  after(() => container?.stop());

  describe("ingest", () => ingestContract(openMigrated));
  describe("queries", () => queriesContract(openMigrated));
  describe("retention", () => retentionContract(openMigrated));

  test("a server that dies amid an ingest and comes back has the run whole after the next one", async () => {
    const run = "20260101-000000-dead01";
    const dir = join(temporaryFolder(), run);
    await writeMadeUpRun(dir, { run, targets: [TARGET], tests: 2_000 });
    {
      await using store = await openMigrated();
      const fatal = atResult(DEADLY_STATEMENT, async () => void (await exec(["docker", "kill", "--signal", "KILL", container?.getId() ?? ""])));
      await assert.rejects(ingestRun(store.db.withPlugin(fatal), run, dir, { chunkBytes: 8_192 }), /could not be stored/);
    }
    await container?.restart();
    await using store = await openMigrated();
    const { records } = await store.db.selectFrom("ingest").select("records").where("run", "=", run).executeTakeFirstOrThrow();
    assert.ok(records > 0 && records < 6_006, `${records} records were stored when the server died`);
    assert.deepEqual(await ingestRun(store.db, run, dir), { records: 6_006, torn: 0, judged: true });
    assert.equal((await dumpRun(store.db, run))["attempt"]?.length, 2_000);
  });
});

/** Acts when the answer to that statement, counted from 1, is there and not yet passed on. */
function atResult(statement: number, act: () => Promise<void>): KyselyPlugin {
  let seen = 0;
  return {
    transformQuery: ({ node }) => node,
    transformResult: async ({ result }) => {
      if (++seen === statement) await act();
      return result;
    },
  };
}
