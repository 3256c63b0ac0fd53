import assert from "node:assert/strict";
import { join } from "node:path";
import test, { after, before } from "node:test";
import { storeBench } from "./bench.ts";
import { indexEvidence, markPruned } from "./evidence.ts";
import { ingestRun } from "./ingest.ts";
import { OTHER, TARGET, temporaryFolder } from "./ingest.contract.ts";
import { testName, writeMadeUpRun, type MadeUpRun } from "./made-up.ts";
import { compareRuns } from "./queries/compare.ts";
import { crashes, crashEvents } from "./queries/crashes.ts";
import { figureNames, figuresOverTime } from "./queries/figures.ts";
import { requirementHistory, runRequirements, testHistory } from "./queries/history.ts";
import { matrix } from "./queries/matrix.ts";
import { runOverview } from "./queries/overview.ts";
import { listRuns, resolveRun } from "./queries/runs.ts";
import { evidenceOfTest, runTests, testDetail } from "./queries/tests.ts";
import { waivers } from "./queries/waivers.ts";
import type { Store } from "./store.ts";
import { storeWaivers } from "./waivers.ts";

const AREAS = ["qry", "ord"];
/** Three runs; the last is of one target alone. Test 0 fails, then crashes, then passes; test 1 passes, then fails; 5 is new in B, 4 is not run there. */
const FIRST: MadeUpRun = { run: "20270101-000000-00000a", targets: [TARGET, OTHER], tests: 5, areas: AREAS, at: "2027-01-01T00:00:00.000Z", outcome: (index) => (index === 0 ? "failed" : "passed"), module: "module-a" };
const SECOND: MadeUpRun = {
  ...FIRST, run: "20270102-000000-00000b", tests: 6, at: "2027-01-02T00:00:00.000Z", module: "module-b",
  outcome: (index, target) => (target === OTHER ? "passed" : (["crashed", "failed", "passed", "timed-out", "not-run", "unsupported"] as const)[index] ?? "passed"),
  waived: (index) => index === 3,
};
const THIRD: MadeUpRun = { ...FIRST, run: "20270103-000000-00000c", targets: [TARGET], at: "2027-01-03T00:00:00.000Z", outcome: () => "passed", module: "module-b" };

/** What the queries answer, on every engine. The database holds other runs as well. */
export function queriesContract(open: () => Promise<Store>): void {
  const folders = new Map<string, string>();
  let store: Store;
  before(async () => {
    store = await open();
    for (const made of [FIRST, SECOND, THIRD]) {
      const dir = join(temporaryFolder(), made.run);
      folders.set(made.run, dir);
      await writeMadeUpRun(dir, made);
      await ingestRun(store.db, made.run, dir);
    }
  });
  after(() => store[Symbol.asyncDispose]());
  const [t0, t1, t3, t4, t5] = [0, 1, 3, 4, 5].map((index) => testName(FIRST, index)) as [string, string, string, string, string];

  test("runs are listed newest first, by pages, and filtered", async () => {
    const page = await listRuns(store.db, { limit: 2 });
    assert.deepEqual(page.rows.map((row) => row.run), [THIRD.run, SECOND.run]);
    assert.equal((await listRuns(store.db, { limit: 2, offset: 2 })).rows[0]?.run, FIRST.run);
    assert.ok(page.total >= 3);
    assert.deepEqual((await listRuns(store.db, { target: OTHER, text: "2027" })).rows.map((row) => row.run), [SECOND.run, FIRST.run]);
    assert.deepEqual((await listRuns(store.db, { verdict: "conformant", text: "2027" })).rows.map((row) => row.run), [THIRD.run]);
    assert.equal((await listRuns(store.db, { text: "100%_" })).total, 0);
    assert.equal((await listRuns(store.db, { text: "' or 1=1 --" })).total, 0);
  });

  test("a run is named by its id, a piece of it, latest and previous", async () => {
    assert.equal(await resolveRun(store.db, "latest"), THIRD.run);
    assert.equal(await resolveRun(store.db, "previous"), SECOND.run);
    assert.equal(await resolveRun(store.db, "00000a"), FIRST.run);
    assert.equal(await resolveRun(store.db, "20270102"), SECOND.run);
    assert.equal(await resolveRun(store.db, "latest", ["20280101-000000-ffffff"]), "20280101-000000-ffffff");
    await assert.rejects(resolveRun(store.db, "2027"), /names 3 of the \d+ runs.*it fits 20270101-000000-00000a, /);
    await assert.rejects(resolveRun(store.db, ""), /names 0 of/);
  });

  test("a run's page tells targets, counts, artifacts and facts", async () => {
    const page = await runOverview(store.db, { run: SECOND.run });
    assert.deepEqual(page.targets.map((each) => [each.target, each.verdict]), [[OTHER, "conformant"], [TARGET, "violated"]]);
    const target = page.targets[1];
    assert.deepEqual(target?.counts, { planned: 6, passed: 1, failed: 1, crashed: 1, timedOut: 1, unsupported: 1, infraError: 0, notRun: 1, waived: 1 });
    assert.deepEqual(target?.requirements, { held: 1, violated: 2, unjudged: 2, waived: 1 });
    assert.deepEqual([target?.artifacts[0]?.key, target?.facts["generation"], target?.attempts], ["module-b", { detected: "2015-08", signs: {} }, { begun: 5, ended: 5 }]);
    assert.deepEqual([page.verdict, page.ended, page.seed, page.canaries], ["violated", "complete", 1, { right: 2, planned: 2 }]);
    await assert.rejects(runOverview(store.db, { run: "nope" }), /"nope" is not in the results database/);
    assert.deepEqual(JSON.parse(JSON.stringify(page)), page);
  });

  test("the matrix is of one run, or of the latest run of each target", async () => {
    const one = await matrix(store.db, { run: SECOND.run });
    assert.deepEqual(one.areas, ["ord", "qry"]);
    assert.deepEqual(one.cells.find((cell) => cell.target === TARGET && cell.area === "qry"), {
      target: TARGET, area: "qry", run: SECOND.run, planned: 3, passed: 1, failed: 0, crashed: 1, timedOut: 0, unsupported: 0, infraError: 0, notRun: 1, waived: 0,
    });
    const latest = await matrix(store.db);
    assert.deepEqual(latest.targets.map(({ target, run }) => [target, run]), [[OTHER, SECOND.run], [TARGET, THIRD.run]]);
    assert.equal(latest.cells.filter((cell) => cell.target === TARGET).reduce((sum, cell) => sum + cell.passed, 0), 5);
  });

  test("tests of a run are filtered by outcome, area, target and text", async () => {
    const bad = await runTests(store.db, { run: SECOND.run, outcome: "bad" });
    assert.deepEqual(bad.rows.map((row) => [row.test, row.outcome]), [[t1, "failed"], [t3, "timed-out"], [t0, "crashed"]]);
    assert.deepEqual([bad.total, bad.rows[1]?.waived, bad.rows[0]?.requirements], [3, true, ["ORD-001"]]);
    assert.equal((await runTests(store.db, { run: SECOND.run, area: "ord", target: TARGET })).total, 3);
    assert.equal((await runTests(store.db, { run: SECOND.run, outcome: "not-run" })).rows[0]?.test, t4);
    assert.equal((await runTests(store.db, { run: SECOND.run, text: "behaviour 5" })).total, 2);
    const paged = await runTests(store.db, { run: SECOND.run, limit: 5, offset: 10 });
    assert.deepEqual([paged.rows.length, paged.total], [2, 12]);
    assert.equal((await runTests(store.db, { run: SECOND.run, canaries: true })).total, 2);
  });

  test("a test is shown with its attempts, kernel events and files, and a pruned file says so", async () => {
    const where = { run: SECOND.run, target: TARGET, test: t0 };
    const detail = await testDetail(store.db, where);
    assert.deepEqual([detail?.outcome, detail?.attempts[0]?.runner, detail?.events[0]?.kind, detail?.events.length], ["crashed", "failed", "oops", 1]);
    assert.equal(await testDetail(store.db, { ...where, test: "no such test" }), null);
    const [file] = await evidenceOfTest(store.db, where);
    assert.deepEqual([file?.path.endsWith("/console.log"), (file?.bytes ?? 0) > 0, file?.prunedAt], [true, true, null]);
    await markPruned(store.db, SECOND.run, [file?.path ?? ""], "2027-02-01T00:00:00.000Z");
    assert.equal((await evidenceOfTest(store.db, where))[0]?.prunedAt, "2027-02-01T00:00:00.000Z");
    await indexEvidence(store.db, SECOND.run, folders.get(SECOND.run) ?? ""); // the file is there again
    assert.equal((await evidenceOfTest(store.db, where))[0]?.prunedAt, null);
  });

  test("histories of a test and of a requirement tell run, kernel and module", async () => {
    const history = await testHistory(store.db, { test: t0, target: TARGET });
    assert.deepEqual(history.rows.map((row) => [row.run, row.kernel, row.module, row.outcome]), [
      [THIRD.run, "debian-6.1", "module-b", "passed"], [SECOND.run, "debian-6.1", "module-b", "crashed"], [FIRST.run, "debian-6.1", "module-a", "failed"],
    ]);
    assert.equal((await testHistory(store.db, { test: t0 })).total, 5);
    const requirement = await requirementHistory(store.db, { requirement: "QRY-000" });
    assert.deepEqual([requirement.text, requirement.level, requirement.tests, requirement.total], ["what QRY-000 says", "must", [t0], 5]);
    assert.deepEqual((await requirementHistory(store.db, { requirement: "QRY-000", kernel: "debian-6.12" })).rows.map((row) => row.state), ["held", "violated"]);
    assert.deepEqual((await requirementHistory(store.db, { requirement: "QRY-000", module: "module-a" })).total, 2);
    assert.deepEqual(await requirementHistory(store.db, { requirement: "NONE-001" }), { requirement: "NONE-001", text: null, level: null, tests: [], total: 0, rows: [] });
    const states = await runRequirements(store.db, { run: SECOND.run, state: "violated" });
    assert.deepEqual(states.rows.map((row) => [row.requirement, row.text]), [["ORD-001", "what ORD-001 says"], ["QRY-000", "what QRY-000 says"]]);
  });

  test("crashes are one row a fingerprint, and planted ones are left out", async () => {
    const found = await crashes(store.db);
    const own = found.rows.find((row) => row.fingerprint === "oops:made_up");
    assert.deepEqual([own?.lastRun, own?.lastSeen, own?.kind, own?.title], [SECOND.run, "2027-01-02T00:00:00.000Z", "oops", "BUG: made up"]);
    assert.equal(found.rows.some((row) => row.fingerprint === "panic:planted"), false);
    assert.equal((await crashes(store.db, { canaries: true })).rows.some((row) => row.fingerprint === "panic:planted"), true);
    const [event] = (await crashEvents(store.db, { fingerprint: "oops:made_up" })).rows;
    assert.deepEqual([event?.run, event?.target, event?.test], [SECOND.run, TARGET, t0]);
  });

  test("two runs are compared by tests and requirements", async () => {
    const compared = await compareRuns(store.db, { a: FIRST.run, b: SECOND.run });
    const tests = (rows: readonly { kind: string; target: string; id: string; before: string | null; after: string | null }[]): unknown[] => rows.filter((row) => row.kind === "test").map((row) => [row.target === TARGET ? "T" : "O", row.id, row.before, row.after]);
    assert.deepEqual(tests(compared.broke), [["T", t1, "passed", "failed"], ["T", t3, "passed", "timed-out"]]);
    assert.deepEqual(tests(compared.mended), [["O", t0, "failed", "passed"]]);
    assert.deepEqual(tests(compared.appeared), [["O", t5, null, "passed"], ["T", t5, null, "unsupported"]]);
    assert.deepEqual(tests(compared.notRun), [["T", t4, "passed", "not-run"]]);
    assert.deepEqual(tests(compared.changed), [["T", t0, "failed", "crashed"]]);
    assert.deepEqual(compared.broke.filter((row) => row.kind === "requirement").map((row) => [row.id, row.before, row.after, row.waived]), [["ORD-001", "held", "violated", false], ["ORD-003", "held", "waived", true]]);
    assert.deepEqual([compared.same, compared.stillBad], [5 + 6, 1]);
    const back = await compareRuns(store.db, { a: SECOND.run, b: THIRD.run });
    assert.equal(back.vanished.filter((row) => row.target === OTHER && row.kind === "test").length, 6);
    assert.deepEqual([(await compareRuns(store.db, { a: FIRST.run, b: FIRST.run })).same, back.a.run], [20, SECOND.run]);
    await assert.rejects(compareRuns(store.db, { a: "nope", b: FIRST.run }), /"nope" is not in the results database/);
  });

  test("figures are kept over time, and the same document once", async () => {
    const document = (value: number) => ({ schema: "buslab.bench/1", target: TARGET, accel: { kind: "tcg", why: "w" }, figures: [{ name: "send", value, unit: "ns", exact: false, against: "memcpy", ratio: 2 }, { name: "records", value: 3, unit: "", exact: true }] });
    assert.equal((await storeBench(store.db, document(2), "2027-01-02T00:00:00.000Z")).stored, true);
    assert.equal((await storeBench(store.db, document(1), "2027-01-01T00:00:00.000Z")).stored, true);
    assert.equal((await storeBench(store.db, document(1), "2027-01-05T00:00:00.000Z")).stored, false);
    const { rows, total } = await figuresOverTime(store.db, { name: "send" });
    assert.deepEqual([total, rows.map((row) => [row.measuredAt, row.value, row.ratio])], [2, [["2027-01-01T00:00:00.000Z", 1, 2], ["2027-01-02T00:00:00.000Z", 2, 2]]]);
    assert.deepEqual(await figureNames(store.db), [{ name: "records", unit: "", target: TARGET, count: 2 }, { name: "send", unit: "ns", target: TARGET, count: 2 }]);
    await assert.rejects(storeBench(store.db, { schema: "buslab.bench/1", figures: [{ name: "x" }] }, "2027-01-01T00:00:00.000Z"), /figures\.0\.value/);
  });

  test("waivers count their days, and those that left the file stay known", async () => {
    const row = { requirement: "ORD-003", target: "*", owner: "someone", reason: "a reason of length", lastDay: "2027-01-10", text: "w1" };
    await storeWaivers(store.db, [row, { ...row, text: "w2", lastDay: "2026-12-31" }]);
    assert.deepEqual((await waivers(store.db, { today: "2027-01-08" })).map(({ text, daysLeft, lastDay, usedInRuns }) => [text, daysLeft, lastDay, usedInRuns]), [["w2", -8, "2026-12-31", 0], ["w1", 2, "2027-01-10", 0]]);
    await storeWaivers(store.db, [row]);
    assert.deepEqual((await waivers(store.db, { today: "2027-01-08" })).map((each) => each.present), [false, true]);
    assert.equal((await waivers(store.db, { today: "2027-01-08", presentOnly: true })).length, 1);
  });
}
