import assert from "node:assert/strict";
import { appendFileSync, cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { sql } from "kysely";
import { SuiteError } from "../base/errors.ts";
import { countRows, ingestRun } from "./ingest.ts";
import { dumpRun } from "./killed-ingest.ts";
import { madeUpRun, writeMadeUpRun, type MadeUpRun } from "./made-up.ts";
import { migrate } from "./migrate.ts";
import { listRuns, verdictOfRun } from "./queries/runs.ts";
import type { Store } from "./store.ts";

export const TARGET = "x86_64/debian-6.1/none/plain";
export const OTHER = "arm64/debian-6.12/apparmor/debug";

const folders: string[] = [];
// not `after`: called within a hook or a test it would remove the folder when that ends
process.once("exit", () => folders.forEach((path) => rmSync(path, { recursive: true, force: true })));

export function temporaryFolder(): string {
  const path = mkdtempSync(join(tmpdir(), `buslab-store-${process.pid}-`));
  folders.push(path);
  return path;
}

/** What must hold of storing a run, on every engine. */
export function ingestContract(open: () => Promise<Store>): void {
  test("a run is stored, and storing it again changes nothing", async () => {
    await using store = await open();
    const made: MadeUpRun = { run: "20260101-000000-aaaaaa", targets: [TARGET], tests: 3, outcome: (index) => (index === 0 ? "failed" : index === 1 ? "crashed" : "passed"), message: "a\0b \ud83d", crash: { fingerprint: "f", title: "WARNING\0" } };
    const dir = join(temporaryFolder(), made.run);
    await writeMadeUpRun(dir, made);
    assert.deepEqual(await ingestRun(store.db, made.run, dir), { records: 15, torn: 0, judged: true });
    const once = await dumpRun(store.db, made.run);
    const counts = Object.fromEntries(Object.entries(once).map(([table, rows]) => [table, rows.length]));
    assert.deepEqual(counts, { run: 1, ingest: 1, run_target: 1, artifact: 1, fact: 1, run_area: 1, requirement_state: 3, run_waiver: 0, attempt: 3, result: 4, kernel_event: 2, evidence: 2 });
    await ingestRun(store.db, made.run, dir);
    await store.db.updateTable("ingest").set({ bytes_read: 0, records: 0, torn: 0 }).where("run", "=", made.run).execute(); // as if the mark had been lost
    await ingestRun(store.db, made.run, dir);
    assert.deepEqual(await dumpRun(store.db, made.run), once);

    const row = (await listRuns(store.db, { text: "aaaaaa" })).rows[0];
    assert.deepEqual([row?.run, row?.verdict, row?.targets[0]?.counts?.failed, row?.startedAt], [made.run, "violated", 1, "2026-01-01T00:00:00.000Z"]);
    assert.deepEqual((await verdictOfRun(store.db, made.run)).targets[0]?.violated, ["MSG-000", "MSG-001"]);
    await assert.rejects(verdictOfRun(store.db, "nope"), (error: unknown) => error instanceof SuiteError && error.code === "RUN_UNKNOWN");
    const attempt = await store.db.selectFrom("attempt").selectAll().where("run", "=", made.run).where("runner", "=", "failed").orderBy("test").executeTakeFirstOrThrow();
    assert.deepEqual([attempt.duration_ms, attempt.begun_at instanceof Date, attempt.errors], [400.5, true, [{ code: null, message: "a\ufffdb \ufffd" }]]);
  });

  test("a text of an escape that is no escape is stored as it is", async () => {
    await using store = await open();
    const made: MadeUpRun = { run: "20260101-000000-abcdef", targets: [TARGET], tests: 1, outcome: () => "failed", message: "literal \\u0000 and \\ud800, then one\0" };
    const dir = join(temporaryFolder(), made.run);
    await writeMadeUpRun(dir, made);
    await ingestRun(store.db, made.run, dir);
    const { errors } = await store.db.selectFrom("attempt").select("errors").where("run", "=", made.run).executeTakeFirstOrThrow();
    assert.deepEqual(errors, [{ code: null, message: "literal \\u0000 and \\ud800, then one\ufffd" }]);
  });

  test("a file that grows is read on from where it was, torn lines are counted, half a record waits", async () => {
    await using store = await open();
    const dir = temporaryFolder();
    const run = "20260101-000000-bbbbbb";
    const path = join(dir, "records.jsonl");
    const { lines } = madeUpRun({ run, targets: [TARGET], tests: 400 });
    const half = lines[700] ?? "";
    writeFileSync(path, lines.slice(0, 700).join("") + half.slice(0, 60));
    const first = await ingestRun(store.db, run, dir);
    assert.equal(first.records, 700);
    appendFileSync(path, half.slice(60) + '\n{"torn' + lines.slice(701).join(""));
    assert.deepEqual(await ingestRun(store.db, run, dir), { records: lines.length, torn: 1, judged: false });
    const { n } = await store.db.selectFrom("attempt").select((eb) => eb.fn.countAll<number>().as("n")).where("run", "=", run).executeTakeFirstOrThrow();
    assert.equal(n, 400);
  });

  test("begin and end of a test in different chunks make one attempt", async () => {
    await using store = await open();
    const runs = ["20260101-000000-111111", "20260101-000000-222222"] as const;
    const dumps = [];
    for (const [index, run] of runs.entries()) {
      const dir = join(temporaryFolder(), run);
      await writeMadeUpRun(dir, { run, targets: [TARGET], tests: 20, outcome: (test) => (test % 3 === 0 ? "failed" : "passed") });
      await ingestRun(store.db, run, dir, { chunkBytes: index === 0 ? 300 : 1_000_000 });
      dumps.push(JSON.stringify(await dumpRun(store.db, run)).replaceAll(run, "RUN"));
    }
    assert.equal(dumps[0], dumps[1]);
  });

  test("two that store the same run at once store it once", async () => {
    await using store = await open();
    const run = "20260101-000000-cccccc";
    const dir = join(temporaryFolder(), run);
    await writeMadeUpRun(dir, { run, targets: [TARGET], tests: 1_500 });
    await Promise.all([ingestRun(store.db, run, dir, { chunkBytes: 100_000 }), ingestRun(store.db, run, dir, { chunkBytes: 70_000 })]);
    const { records } = await store.db.selectFrom("ingest").select("records").where("run", "=", run).executeTakeFirstOrThrow();
    assert.equal(records, 4_506);
    assert.equal((await dumpRun(store.db, run))["attempt"]?.length, 1_500);
  });

  test("two that store different runs of the same new tests at once lose nothing", async () => {
    await using store = await open();
    const runs = ["20260101-000001-dddddd", "20260101-000002-eeeeee"];
    const dirs = runs.map((run) => join(temporaryFolder(), run));
    const made = runs.map((run, index): MadeUpRun => ({ run, targets: index === 0 ? [TARGET, OTHER] : [OTHER, TARGET], tests: 300, title: "new to both" }));
    for (const [index, dir] of dirs.entries()) await writeMadeUpRun(dir, made[index] as MadeUpRun);
    await Promise.all(runs.map((run, index) => ingestRun(store.db, run, dirs[index] ?? "", { chunkBytes: 20_000 + index * 7_000 })));
    for (const run of runs) {
      const dump = await dumpRun(store.db, run);
      assert.deepEqual([dump["attempt"]?.length, dump["result"]?.length], [600, 602]);
    }
  });

  test("a migration that was edited is refused, and so is a database of a newer buslab", async () => {
    await using store = await open();
    assert.deepEqual(await migrate(store.db), []);
    const edited = temporaryFolder();
    cpSync(join(import.meta.dirname, "sql"), edited, { recursive: true });
    writeFileSync(join(edited, "000001.sql"), "create table other (id integer);\n");
    await assert.rejects(migrate(store.db, edited), /000001\.sql.*followed, never edited/);
    await assert.rejects(sql`select 1 from other`.execute(store.db));

    const older = temporaryFolder();
    await mkdir(older, { recursive: true });
    cpSync(join(import.meta.dirname, "sql/000001.sql"), join(older, "000001.sql"));
    const newest = readdirSync(join(import.meta.dirname, "sql")).length;
    await assert.rejects(migrate(store.db, older), (error: unknown) => error instanceof SuiteError && error.message.includes(`at schema ${newest}, this buslab knows up to 1`));
  });

  test("migrations that are interrupted leave nothing, and are done the next time", async () => {
    await using store = await open();
    const before = await countRows(store.db, "schema_migration");
    const broken = temporaryFolder();
    cpSync(join(import.meta.dirname, "sql"), broken, { recursive: true });
    writeFileSync(join(broken, "999999.sql"), "create table half (id integer);\nselect no_such_function();\n");
    await assert.rejects(migrate(store.db, broken), /no_such_function/);
    await assert.rejects(sql`select 1 from half`.execute(store.db));
    assert.equal(await countRows(store.db, "schema_migration"), before);
  });
}
