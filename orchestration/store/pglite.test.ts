import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test, { after, before, describe } from "node:test";
import { SuiteError } from "../base/errors.ts";
import { ingestRun } from "./ingest.ts";
import { ingestContract, TARGET, temporaryFolder } from "./ingest.contract.ts";
import { dumpRun, ingestWithKills } from "./killed-ingest.ts";
import { lockFolder } from "./lock.ts";
import { writeMadeUpRun } from "./made-up.ts";
import { migrate } from "./migrate.ts";
import { openPglite } from "./pglite.ts";
import { queriesContract } from "./queries.contract.ts";
import { retentionContract } from "./retention.contract.ts";
import type { Store } from "./store.ts";

/** Making an embedded database costs seconds of CPU, so all tests share one; it is copied once, for the one that kills. */
const [dir, copy] = [temporaryFolder(), temporaryFolder()];
let shared: Store;
const borrow = (): Promise<Store> => Promise.resolve({ ...shared, [Symbol.asyncDispose]: () => Promise.resolve() });

describe("PGlite", () => {
  before(async () => {
    {
      await using made = await openPglite(dir);
      await migrate(made.db);
    }
    cpSync(dir, copy, { recursive: true });
    shared = await openPglite(dir);
  });
  after(() => shared[Symbol.asyncDispose]());

  describe("ingest", () => ingestContract(borrow));
  describe("queries", () => queriesContract(borrow));
  describe("retention", () => retentionContract(borrow));

  test("an ingest that is killed again and again comes to the same rows as one that is not", async () => {
    const run = "20260101-000000-abcabc";
    const runDir = join(temporaryFolder(), run);
    await writeMadeUpRun(runDir, { run, targets: [TARGET], tests: 600, outcome: (index) => (index % 50 === 0 ? "failed" : "passed") });
    const { kills } = await ingestWithKills(copy, [runDir], { kills: 2, mostStatements: 60, chunkBytes: 16_384, random: Math.random });
    assert.equal(kills, 2);
    await ingestRun(shared.db, run, runDir);
    const expected = await dumpRun(shared.db, run);
    await using killed = await openPglite(copy);
    assert.deepEqual(await dumpRun(killed.db, run), expected);
    assert.equal(expected["attempt"]?.length, 600);
  });

  test("an open database refuses a second opener before it touches a file", async () => {
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
