import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { digestOf } from "../base/digest.ts";
import { SuiteError } from "../base/errors.ts";
import { silent } from "../base/progress.ts";
import { makePlan, planDigest, readPlan, type Plan } from "../plan/plan.ts";
import { EVERYTHING } from "../plan/select.ts";
import { readRecords } from "../record/jsonl.ts";
import type { RunRecord } from "../record/v1.ts";
import { makeRunFolder, type RunFolder } from "./run-folder.ts";
import { runAll, type Ready, type RunOptions } from "./run.ts";
import { testList } from "./runner.ts";
import { testsFor } from "./target-tests.ts";

const A = "x86_64/a/none/plain";
const B = "x86_64/b/none/plain";
const FOUND = { detected: "2015-08", signs: { A: "2015-08", B: "2015-08" } } as const;

function planOf(targets: readonly string[]): Plan {
  const listed = (id: string, requirements: string[], canary: string | null = null) => ({ id, file: "tests/x.spec.ts", titles: [id.split(":")[1] ?? ""], requirements, generations: [], canary });
  const row = (id: string, generations?: ["2015-03"]) => ({ id, level: "must" as const, text: id, source: "", verify: "", ...(generations === undefined ? {} : { generations }) });
  return makePlan({
    tests: [listed("msg/x.spec.ts:one", ["MSG-001"]), listed("msg/x.spec.ts:old", ["MSG-002"]), listed("canary/c.spec.ts:c", [], "passed")],
    suite: digestOf(""), waivers: digestOf(""), targets, generation: "auto", selection: EVERYTHING, seed: 5,
    catalogue: { rows: [row("MSG-001"), row("MSG-002", ["2015-03"])], digest: digestOf("") },
  });
}

async function folderFor(t: { after(undo: () => void): void }): Promise<RunFolder> {
  const dir = mkdtempSync(join(tmpdir(), "buslab-run-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return makeRunFolder("20260101-000000-abcdef", dir);
}

const ready = (given: Partial<Ready<string>> = {}): Ready<string> => ({
  template: "template", accel: { kind: "tcg", why: "test" }, artifacts: {}, facts: { release: "6.1" }, generation: FOUND, events: [], slowdown: 1, env: { GIVEN: "yes" }, durationsMs: { build: 1, boot: 2 }, ...given,
});

/** A runner that appends one record of its own; `body` is what it does besides. */
function runner(body: string): readonly [string, ...string[]] {
  const program = `
    import { appendFileSync } from "node:fs";
    const record = (fields) => appendFileSync(process.env.BUSLAB_RECORDS, "\\n" + JSON.stringify({ schema: "buslab.record/1", run: process.env.BUSLAB_RUN, at: "", writer: "fake", seq: 0, ...fields }));
    const end = (test) => record({ type: "test-end", target: ${JSON.stringify(A)}, test, attempt: 1, runner: "passed", unsupported: [], errors: [], durationMs: 1, limitMs: 1, evidence: null });
    ${body}`;
  return [process.execPath, "--input-type=module", "-e", program];
}

async function go(t: { after(undo: () => void): void }, given: Partial<RunOptions<string>> = {}): Promise<{ folder: RunFolder; records: readonly RunRecord[]; interrupted: boolean; disposed: number }> {
  const folder = await folderFor(t);
  let disposed = 0;
  const { interrupted } = await runAll<string>({
    plan: planOf([A]), folder, slots: 1, progress: silent, signal: new AbortController().signal,
    bringUp: () => Promise.resolve(ready()),
    startPool: () => Promise.resolve({ socketPath: "/no/socket", [Symbol.asyncDispose]: () => ((disposed += 1), Promise.resolve()) }),
    runnerArgv: runner('end("msg/x.spec.ts:one")'),
    ...given,
  });
  const log = await readRecords(folder.records);
  assert.deepEqual([log.torn, log.gaps], [[], []]);
  return { folder, records: log.records, interrupted, disposed };
}
const types = (records: readonly RunRecord[]): string[] => records.map((record) => (record.type === "fact" ? `fact ${record.name}` : record.type));

test("a run leaves plan and records, from its begin to its end", async (t) => {
  const { folder, records, disposed } = await go(t);
  assert.deepEqual(types(records), ["run-begin", "target-begin", "fact release", "fact generation", "test-end", "target-end", "run-end"]);
  const plan = await readPlan(folder.plan);
  assert.deepEqual(records[0]?.type === "run-begin" && [records[0].planDigest, records[0].seed], [planDigest(plan), 5]);
  assert.equal(disposed, 1);
});

test("the runner gets the planned tests of the generation found, and its environment", async (t) => {
  const { folder } = await go(t, { runnerArgv: runner('end("x"); const { GIVEN, BUSLAB_WORKERS, BUSLAB_POOL, BUSLAB_RUN } = process.env; console.log([GIVEN, BUSLAB_WORKERS, BUSLAB_POOL, BUSLAB_RUN].join(" "))') });
  assert.equal(readFileSync(join(folder.dir, "test-list.txt"), "utf8"), `[${A}] \u203a tests/x.spec.ts \u203a one\n[${A}] \u203a tests/x.spec.ts \u203a c`);
  assert.match(readFileSync(folder.runnerLog, "utf8"), /yes 1 \/no\/socket 20260101-000000-abcdef/);
});

test("a runner that dies is recorded, with its last lines, and the run ends in order", async (t) => {
  const { records } = await go(t, { runnerArgv: runner('end("x"); console.error("last words"); process.exitCode = 7;') });
  const trouble = records.find((record) => record.type === "run-error");
  assert.match(trouble?.type === "run-error" ? trouble.message : "", /exit code 7[^]*last words/);
  assert.equal(records.at(-1)?.type, "run-end");
});

test("a runner killed by a signal, and one that runs nothing, are recorded", async (t) => {
  const killed = await go(t, { runnerArgv: runner('end("x"); process.kill(process.pid, "SIGKILL")') });
  assert.match(JSON.stringify(killed.records.find((record) => record.type === "run-error")), /SIGKILL/);
  const idle = await go(t, { runnerArgv: runner("") });
  assert.match(JSON.stringify(idle.records.find((record) => record.type === "run-error")), /ran no test/);
});

test("a target that does not come up is recorded with its blame, and the others go on", async (t) => {
  const { records } = await go(t, {
    plan: planOf([B, A]),
    bringUp: (target) => (target === B ? Promise.reject(new SuiteError("MODULE_BUILD_FAILED", "1 error", { details: "x.c:1: no" })) : Promise.resolve(ready())),
  });
  const ends = records.filter((record) => record.type === "target-end");
  assert.deepEqual(ends.map((record) => [record.target, record.ended, record.error?.code, record.error?.blame, record.error?.details]), [[B, "failed", "MODULE_BUILD_FAILED", "subject", "x.c:1: no"], [A, "complete", undefined, undefined, undefined]]);
  assert.ok(records.some((record) => record.type === "test-end" && record.target === A));
});

test("targets are built one after the other before any is booted, then tested side by side within the lanes", async (t) => {
  const order: string[] = [];
  const lanes = new Map<string, number>();
  await go(t, {
    plan: planOf([A, B]), slots: 3,
    build: (target) => Promise.resolve(void order.push(`build ${target}`)),
    bringUp: (target) => (order.push(`boot ${target}`), Promise.resolve(ready())),
    startPool: ({ templates, name, slots }) => {
      lanes.set(`${name ?? ""} ${[...templates.keys()].join()}`, slots);
      return Promise.resolve({ socketPath: "/no", [Symbol.asyncDispose]: () => Promise.resolve() });
    },
  });
  assert.deepEqual(order, [`build ${A}`, `build ${B}`, `boot ${A}`, `boot ${B}`]);
  assert.deepEqual([...lanes.keys()].sort(), [`t1 ${A}`, `t2 ${B}`]);
  assert.equal([...lanes.values()].reduce((sum, own) => sum + own), 3);
});

test("trouble of one target's runner is that target's, and the other is complete", async (t) => {
  const { records } = await go(t, { plan: planOf([A, B]), runnerArgv: runner(`if (process.env.BUSLAB_TARGETS === ${JSON.stringify(B)}) process.exit(7); end("msg/x.spec.ts:one")`) });
  assert.deepEqual(records.filter((record) => record.type === "run-error").map((record) => record.target), [B]);
  assert.equal(records.filter((record) => record.type === "target-end").length, 2);
});

test("a subject of unknown generation is not tested, and the signs are recorded", async (t) => {
  const generation = { detected: "unknown", signs: { A: "2015-03", B: "2015-08" } } as const;
  const { records } = await go(t, { bringUp: () => Promise.resolve(ready({ generation })) });
  assert.deepEqual(types(records), ["run-begin", "target-begin", "fact release", "fact generation", "target-end", "run-end"]);
  const end = records.find((record) => record.type === "target-end");
  assert.match(end?.type === "target-end" ? (end.error?.message ?? "") : "", /sign A: 2015-03; sign B: 2015-08/);
  const named = { ...planOf([A]), generation: "2015-08" as const };
  assert.deepEqual(testsFor(named, A, generation).map((each) => each.title), ["one", "c"]);
});

test("a pool that does not start makes a record, not an exception", async (t) => {
  const { records } = await go(t, { startPool: () => Promise.reject(new SuiteError("VM_START_FAILED", "no QEMU")) });
  assert.match(JSON.stringify(records.find((record) => record.type === "run-error")), /VM_START_FAILED.*no QEMU/);
  assert.equal(records.at(-1)?.type, "run-end");
});

test("Ctrl-C ends the runner and what it started, and says so in the records", async (t) => {
  const abort = new AbortController();
  const { folder, records, interrupted, disposed } = await go(t, {
    signal: abort.signal,
    startPool: ({ folder: { runnerLog } }) => {
      const looking = setInterval(() => {
        if (!existsSync(runnerLog) || !/pids \d+ \d+\n/.test(readFileSync(runnerLog, "utf8"))) return;
        clearInterval(looking);
        abort.abort();
      }, 20);
      return Promise.resolve({ socketPath: "/no", [Symbol.asyncDispose]: () => Promise.resolve() });
    },
    runnerArgv: runner('import { spawn } from "node:child_process"; end("x"); const child = spawn("sleep", ["1000"]); console.log("pids " + process.pid + " " + child.pid); setInterval(() => {}, 1000);'),
  });
  assert.ok(interrupted && disposed === 0);
  assert.deepEqual(records.slice(-2).map((record) => "ended" in record && record.ended), ["interrupted", "interrupted"]);
  const pids = /pids (\d+) (\d+)/.exec(readFileSync(folder.runnerLog, "utf8"))?.slice(1) ?? [];
  assert.equal(pids.length, 2);
  for (const pid of pids) assert.ok(!existsSync(`/proc/${pid}`) || readFileSync(`/proc/${pid}/stat`, "utf8").includes(" Z "), `process ${pid} is still there`);
});

test("an interruption before any target leaves a complete record of it", async (t) => {
  const { records } = await go(t, { signal: AbortSignal.abort() });
  assert.deepEqual(types(records), ["run-begin", "target-end", "run-end"]);
});

test("the list of tests names project, file and titles", () => {
  assert.equal(testList(new Map([[A, planOf([A]).tests.slice(0, 1)]])), `[${A}] \u203a tests/x.spec.ts \u203a one`);
});
