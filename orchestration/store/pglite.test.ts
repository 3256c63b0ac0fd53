import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test, { describe } from "node:test";
import { SuiteError } from "../base/errors.ts";
import { ingestRun } from "./ingest.ts";
import { ingestContract, TARGET, temporaryFolder } from "./ingest.contract.ts";
import { dumpRun, ingestWithKills } from "./killed-ingest.ts";
import { lockFolder } from "./lock.ts";
import { writeMadeUpRun } from "./made-up.ts";
import { migrate } from "./migrate.ts";
import { openPglite } from "./pglite.ts";
import { queriesContract } from "./queries.contract.ts";
import type { Store } from "./store.ts";

const dir = temporaryFolder();

async function openMigrated(where: string = dir): Promise<Store> {
  const store = await openPglite(where);
  await migrate(store.db);
  return store;
}

describe("PGlite", () => {
  describe("ingest", () => ingestContract(openMigrated));
  describe("queries", () => queriesContract(openMigrated));

  test("an ingest that is killed again and again comes to the same rows as one that is not", async () => {
    const [clean, killed] = [temporaryFolder(), temporaryFolder()];
    const run = "20260101-000000-abcabc";
    const runDir = join(temporaryFolder(), run);
    await writeMadeUpRun(runDir, { run, targets: [TARGET], tests: 600, outcome: (index) => (index % 50 === 0 ? "failed" : "passed") });
    const dumps = [];
    await openMigrated(killed).then((store) => store[Symbol.asyncDispose]());
    const { kills } = await ingestWithKills(killed, [runDir], { kills: 3, mostStatements: 40, chunkBytes: 16_384, random: Math.random });
    assert.equal(kills, 3);
    for (const where of [clean, killed]) {
      await using store = await openMigrated(where);
      await ingestRun(store.db, run, runDir);
      dumps.push(await dumpRun(store.db, run));
    }
    assert.deepEqual(dumps[1], dumps[0]);
    assert.equal(dumps[0]?.["attempt"]?.length, 600);
  });

  test("an open database refuses a second opener before it touches a file", async () => {
    await using _store = await openMigrated();
    await assert.rejects(openPglite(dir, 100), (error: unknown) => error instanceof SuiteError && error.code === "STORE_LOCKED");
  });
});

test("the lock of a folder is held against others, names its holder, and dies with its process", async () => {
  const where = temporaryFolder();
  const program = `import { lockFolder } from ${JSON.stringify(join(import.meta.dirname, "lock.ts"))}; await lockFolder(${JSON.stringify(where)}, 0); console.log("held"); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", "pipe", "ignore"] });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  await assert.rejects(lockFolder(where, 250), (error: unknown) => error instanceof SuiteError && error.code === "STORE_LOCKED" && error.message.includes(`process ${child.pid}`));
  child.kill("SIGKILL");
  using _lock = await lockFolder(where, 5_000);
  assert.equal(readFileSync(join(where, "owner.pid"), "utf8"), `${process.pid}\n`);
});
