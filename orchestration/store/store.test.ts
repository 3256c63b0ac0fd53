import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { appendFileSync, chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, describe } from "node:test";
import { sql } from "kysely";
import { SuiteError } from "../base/errors.ts";
import type { RecordFields } from "../record/v1.ts";
import type { Verdict } from "../record/verdict.ts";
import { countRows, ingestRun } from "./ingest.ts";
import { lockFolder } from "./lock.ts";
import { migrate } from "./migrate.ts";
import { openPglite } from "./pglite.ts";
import { openPostgres } from "./postgres.ts";
import { listRuns, verdictOfRun } from "./queries/runs.ts";
import type { Store } from "./store.ts";

const TARGET = "x86_64/debian-6.1/none/plain";
const undo: (() => void)[] = [];
after(() => {
  for (const step of undo.reverse()) step();
});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "buslab-store-"));
  undo.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function recordLines(run: string, tests: number): string[] {
  const event = { kind: "warn" as const, fingerprint: "warn:x", title: "WARNING\0", consoleOffset: 4_000_000_000, excerpt: "" };
  const fields: RecordFields[] = [
    { type: "run-begin", planDigest: "sha256:0", seed: 3 },
    { type: "target-begin", target: TARGET, accel: { kind: "tcg", why: "w" }, artifacts: { module: { key: "k", state: "built", because: "b" } } },
    { type: "fact", target: TARGET, name: "generation", value: { detected: "2015-08" } },
    ...Array.from({ length: tests }, (_, n): RecordFields[] => [
      { type: "test-begin", target: TARGET, test: `msg/x.spec.ts:t${n}`, attempt: 1 },
      { type: "lease", target: TARGET, test: `msg/x.spec.ts:t${n}`, machine: "m", events: n === 0 ? [event] : [], death: null, consoleRead: true, heldMs: 1 },
      { type: "test-end", target: TARGET, test: `msg/x.spec.ts:t${n}`, attempt: 1, runner: "passed", unsupported: [], errors: n === 0 ? [{ code: null, message: "a\0b" }] : [], durationMs: 1.5, limitMs: 100, evidence: null },
    ]).flat(),
    { type: "target-end", target: TARGET, ended: "complete", error: null, events: [event], durationsMs: { total: 1 } },
    { type: "run-end", ended: "complete" },
  ];
  return fields.map((each, seq) => `\n${JSON.stringify({ schema: "buslab.record/1", run, at: "2026-01-01T00:00:00.000Z", writer: "w", seq, ...each })}`);
}

function verdict(run: string): Verdict {
  const counts = { planned: 1, passed: 0, failed: 1, crashed: 0, timedOut: 0, unsupported: 0, infraError: 0, notRun: 0, waived: 0 };
  const tally = { held: 0, violated: 1, unjudged: 0, waived: 0 };
  return {
    schema: "buslab.run/1", run, verdict: "violated", exitCode: 1, reasons: ["why\0"], catalogue: { digest: "sha256:c", must: 1, should: 0, may: 0 },
    plan: { digest: "sha256:p", suite: "sha256:s", seed: 3, selection: "the whole suite" },
    targets: [{
      id: TARGET, verdict: "violated", accel: { kind: "tcg", why: "w" }, counts, requirements: tally, advisory: { ...tally, violated: 0 }, violated: ["MSG-001"], violations: [],
      durationsMs: { build: 0, boot: 0, run: 0, total: 0 }, artifacts: {}, generation: { used: "2015-08", detected: "2015-08", signs: {} }, error: null, events: [],
      requirementStates: [{ id: "MSG-001", level: "must", text: "t", state: "violated", because: "b", tests: ["msg/x.spec.ts:t0"] }],
      tests: [{ id: "msg/x.spec.ts:t0", requirements: ["MSG-001"], outcome: { kind: "failed", message: "no" }, durationMs: 1, waived: false, evidence: null }],
    }],
    canaries: { right: 1, planned: 1, all: [{ target: TARGET, test: "canary/c.spec.ts:p", expected: "crashed", actual: "crashed: panic", right: true }] },
    scope: { complete: true, must: 1, mustWithTest: 1, mustWithoutTest: [], statement: "s" },
    records: { read: 1, torn: 0, gaps: [], unplanned: [] }, waivers: { digest: "sha256:w", used: [], expired: [], unused: [] }, startedAt: null, endedAt: null,
  };
}

/** The same statements must hold on both engines. */
function contract(name: string, open: () => Promise<Store>, skip: string | false): void {
  describe(name, { skip }, () => {
    test("a run is stored, and storing it again changes nothing", async () => {
      await using store = await open();
      await migrate(store.db);
      assert.deepEqual(await migrate(store.db), []);
      const dir = folder();
      const run = "20260101-000000-aaaaaa";
      writeFileSync(join(dir, "records.jsonl"), recordLines(run, 3).join(""));
      writeFileSync(join(dir, "verdict.json"), JSON.stringify(verdict(run)));
      assert.deepEqual(await ingestRun(store.db, run, dir), { records: 14, torn: 0, judged: true });
      const tables = ["run", "run_target", "artifact", "fact", "attempt", "kernel_event", "result", "requirement_state", "test_name"] as const;
      const counts = async (): Promise<number[]> => Promise.all(tables.map((table) => countRows(store.db, table)));
      const once = await counts();
      assert.deepEqual(once, [1, 1, 1, 1, 3, 2, 2, 1, 4]);
      await ingestRun(store.db, run, dir);
      await store.db.updateTable("ingest").set({ bytes_read: 0, records: 0, torn: 0 }).execute(); // as if the mark had been lost
      await ingestRun(store.db, run, dir);
      assert.deepEqual(await counts(), once);

      const { rows: [row], total } = await listRuns(store.db);
      assert.equal(total, 1);
      assert.deepEqual([row?.run, row?.verdict, row?.targets[0]?.counts?.failed, row?.startedAt], [run, "violated", 1, "2026-01-01T00:00:00.000Z"]);
      assert.equal((await verdictOfRun(store.db, run)).targets[0]?.violated[0], "MSG-001");
      await assert.rejects(verdictOfRun(store.db, "nope"), (error: unknown) => error instanceof SuiteError && error.code === "RUN_UNKNOWN");
      const attempt = await store.db.selectFrom("attempt").selectAll().where("runner", "is not", null).executeTakeFirstOrThrow();
      assert.deepEqual([attempt.duration_ms, attempt.begun_at instanceof Date], [1.5, true]);
      assert.equal((await store.db.selectFrom("kernel_event").select("console_offset").executeTakeFirstOrThrow()).console_offset, 4_000_000_000);
    });

    test("a file that grows is read on from where it was, torn lines are counted, half a record waits", async () => {
      await using store = await open();
      await migrate(store.db);
      const dir = folder();
      const run = "20260101-000000-bbbbbb";
      const path = join(dir, "records.jsonl");
      const lines = recordLines(run, 400);
      const half = lines[700] ?? "";
      writeFileSync(path, lines.slice(0, 700).join("") + half.slice(0, 60));
      const first = await ingestRun(store.db, run, dir);
      assert.equal(first.records, 700);
      appendFileSync(path, half.slice(60) + '\n{"torn' + lines.slice(701).join(""));
      assert.deepEqual(await ingestRun(store.db, run, dir), { records: lines.length, torn: 1, judged: false });
      const { n } = await store.db.selectFrom("attempt").select((eb) => eb.fn.countAll<number>().as("n")).where("run", "=", run).executeTakeFirstOrThrow();
      assert.equal(n, 400);
    });

    test("two that store the same run at once store it once", async () => {
      await using store = await open();
      await migrate(store.db);
      const dir = folder();
      const run = "20260101-000000-cccccc";
      writeFileSync(join(dir, "records.jsonl"), recordLines(run, 2_500).join(""));
      await Promise.all([ingestRun(store.db, run, dir), ingestRun(store.db, run, dir)]);
      const { records } = await store.db.selectFrom("ingest").select("records").where("run", "=", run).executeTakeFirstOrThrow();
      assert.equal(records, 7_505);
    });

    test("an applied migration that was edited is refused", async () => {
      await using store = await open();
      await migrate(store.db);
      const dir = folder();
      writeFileSync(join(dir, "000001.sql"), "create table other (id integer);\n");
      await assert.rejects(migrate(store.db, dir), /followed, never edited/);
      await assert.rejects(sql`select 1 from other`.execute(store.db));
    });
  });
}

const pgliteDir = folder();
contract("PGlite", () => openPglite(pgliteDir), false);

const bin = "/usr/lib/postgresql/15/bin";
const server = startPostgres();
contract("PostgreSQL", async () => openPostgres((await server) ?? ""), existsSync(join(bin, "initdb")) && process.getuid?.() === 0 ? false : "Debian's postgresql-15 and root are needed to start a server");

/** A server of our own on a free port, with its data in a temporary folder. */
async function startPostgres(): Promise<string | null> {
  if (!existsSync(join(bin, "initdb")) || process.getuid?.() !== 0) return null;
  const dir = folder();
  const data = join(dir, "data");
  const user = spawnSync("id", ["-u", "postgres"], { encoding: "utf8" }).stdout.trim();
  mkdirSync(data);
  chmodSync(dir, 0o755);
  chownSync(data, Number(user), Number(user));
  const as = ["setpriv", "--reuid", user, "--clear-groups", "--"] as const;
  const made = spawnSync(as[0], [...as.slice(1), join(bin, "initdb"), "-D", data, "-U", "lab", "-A", "trust", "--no-sync"], { encoding: "utf8" });
  assert.equal(made.status, 0, made.stderr);
  const port = await freePort();
  const child = spawn("setpriv", ["--reuid", user, "--clear-groups", "--pdeathsig", "KILL", "--", join(bin, "postgres"), "-D", data, "-p", String(port), "-k", data, "-c", "fsync=off"], { stdio: "ignore" });
  undo.push(() => child.kill("SIGINT"));
  for (let tries = 0; tries < 100; tries += 1) {
    if (spawnSync(join(bin, "pg_isready"), ["-h", "127.0.0.1", "-p", String(port)]).status === 0) return `postgres://lab@127.0.0.1:${port}/postgres`;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("PostgreSQL did not start");
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

test("the lock of a folder is held against others, names its holder, and dies with its process", async () => {
  const dir = folder();
  const program = `import { lockFolder } from ${JSON.stringify(join(import.meta.dirname, "lock.ts"))}; await lockFolder(${JSON.stringify(dir)}, 0); console.log("held"); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", "pipe", "ignore"] });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  await assert.rejects(lockFolder(dir, 250), (error: unknown) => error instanceof SuiteError && error.code === "STORE_LOCKED" && error.message.includes(`process ${child.pid}`));
  child.kill("SIGKILL");
  using _lock = await lockFolder(dir, 5_000);
  assert.equal(readFileSync(join(dir, "owner.pid"), "utf8"), `${process.pid}\n`);
});

test("an open database refuses a second opener before it touches a file", async () => {
  await using store = await openPglite(pgliteDir);
  await assert.rejects(openPglite(pgliteDir, 100), (error: unknown) => error instanceof SuiteError && error.code === "STORE_LOCKED");
  assert.ok((await countRows(store.db, "run")) > 0);
});
