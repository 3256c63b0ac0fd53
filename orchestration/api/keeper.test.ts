import assert from "node:assert/strict";
import { mkdir, rm } from "node:fs/promises";
import test from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Keeper } from "./keeper.ts";
import { openTestCentre } from "./testing/test-centre.ts";

test("run folders that are removed under a centre are told once, and no log is filled", async () => {
  await using tested = await openTestCentre();
  const { db, runsDir } = tested.centre;
  await mkdir(runsDir);
  await using keeper = new Keeper(db, runsDir, (line) => tested.logged.push(line));
  let gone = false;
  void keeper.gone.then(() => (gone = true));
  await keeper.sweep();
  await turn();
  assert.equal(gone, false);
  await rm(runsDir, { recursive: true });
  await keeper.sweep();
  await keeper.gone;
  assert.deepEqual(tested.logged, []);
});
