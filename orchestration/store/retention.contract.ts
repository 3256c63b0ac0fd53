import assert from "node:assert/strict";
import { existsSync, readdirSync, rmSync, utimesSync } from "node:fs";
import { join } from "node:path";
import test, { after, before } from "node:test";
import { ingestRun } from "./ingest.ts";
import { TARGET, temporaryFolder } from "./ingest.contract.ts";
import { writeMadeUpRun } from "./made-up.ts";
import { runOverview } from "./queries/overview.ts";
import { evidenceOfTest } from "./queries/tests.ts";
import { describePruned, mirrorRetention, parseAge, pinRun, planPrune, prunedOf, pruneRun, unpinRun } from "./retention.ts";
import type { Store } from "./store.ts";

const [OLD, MIDDLE, NEW] = ["20260101-000000-0a0a0a", "20260201-000000-0b0b0b", "20260301-000000-0c0c0c"] as const;
const NOW = new Date("2026-03-02T00:00:00.000Z");

/** What pruning and pins do to folders and database, on every engine. */
export function retentionContract(open: () => Promise<Store>): void {
  const runs = temporaryFolder();
  let store: Store;
  before(async () => {
    for (const run of [OLD, MIDDLE, NEW]) await writeMadeUpRun(join(runs, run), { run, targets: [TARGET], tests: 2, outcome: () => "failed" });
    store = await open();
    await ingestRun(store.db, OLD, join(runs, OLD));
  });
  after(() => store[Symbol.asyncDispose]());

  const chosen = async (rule: { olderThanMs?: number; maxBytes?: number }): Promise<string[]> => (await planPrune(runs, { ...rule, now: NOW })).prune.map((each) => each.run);

  test("age and size choose the oldest, and pins and living runs are left alone", async () => {
    assert.deepEqual(await chosen({ olderThanMs: parseAge("30d") }), [OLD]);
    assert.deepEqual(await chosen({ olderThanMs: parseAge("20d") }), [OLD, MIDDLE]);
    const { before: all } = await planPrune(runs, { now: NOW });
    assert.deepEqual(await chosen({ maxBytes: all - 1 }), [OLD]);
    assert.deepEqual(await chosen({ maxBytes: 0 }), [OLD, MIDDLE, NEW]);
    assert.deepEqual(await chosen({}), []);

    await pinRun(join(runs, OLD), "the release was judged by it", NOW);
    const plan = await planPrune(runs, { maxBytes: 0, now: NOW });
    assert.deepEqual([plan.prune.map((each) => each.run), plan.kept, plan.after > 0], [[MIDDLE, NEW], [{ run: OLD, why: "pinned: the release was judged by it" }], true]);
    await unpinRun(join(runs, OLD));

    const living = "20260102-000000-00000d";
    await writeMadeUpRun(join(runs, living), { run: living, targets: [TARGET], tests: 1, outcome: () => "failed" });
    rmSync(join(runs, living, "verdict.json"));
    utimesSync(join(runs, living, "records.jsonl"), NOW, NOW);
    assert.deepEqual((await planPrune(runs, { olderThanMs: 0, now: NOW })).kept.map((each) => each.run), [living]);
    utimesSync(join(runs, living, "records.jsonl"), 0, 0);
    assert.deepEqual((await planPrune(runs, { olderThanMs: 0, now: NOW })).kept, []);
    rmSync(join(runs, living), { recursive: true });
  });

  test("a pruned run says so in its folder and in the database, also when it is stored again, and keeps its results", async () => {
    const { prune: [candidate] } = await planPrune(runs, { olderThanMs: parseAge("30d"), now: NOW });
    assert.ok(candidate !== undefined);
    await pruneRun(store.db, candidate, NOW);
    const tombstone = await prunedOf(join(runs, OLD));
    assert.ok(tombstone !== null);
    assert.match(describePruned(tombstone), /^evidence was pruned on 2026-03-02 \(older than 30 days\): 2 files, \d+ bytes$/);
    assert.deepEqual(readdirSync(join(runs, OLD)).sort(), ["pruned.json", "records.jsonl", "verdict.json"]);
    for (const _turn of [1, 2]) {
      assert.equal((await runOverview(store.db, { run: OLD })).prunedAt, NOW.toISOString());
      const files = await evidenceOfTest(store.db, { run: OLD, target: TARGET, test: "msg/made-up.spec.ts:behaviour 0" });
      assert.deepEqual(files.map((file) => file.prunedAt), [NOW.toISOString()]);
      await ingestRun(store.db, OLD, join(runs, OLD));
    }
    assert.equal((await runOverview(store.db, { run: OLD })).targets[0]?.counts?.failed, 2);
    assert.deepEqual(await chosen({ olderThanMs: parseAge("30d") }), []);
    assert.ok(existsSync(join(runs, NEW, "evidence")));
    await mirrorRetention(store.db, OLD, join(runs, OLD));
  });
}
