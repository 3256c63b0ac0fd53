import assert from "node:assert/strict";
import { test } from "node:test";
import { Lanes } from "./lanes.ts";

test("a single target gets every lane", async () => {
  assert.equal(await new Lanes(3).share(() => 0), 3);
});

test("free lanes are split with the targets that are still to come", async () => {
  const lanes = new Lanes(3);
  assert.equal(await lanes.share(() => 4), 1);
  assert.equal(await lanes.share(() => 1), 1);
  assert.equal(await lanes.share(() => 0), 1);
});

test("tests go before boots, and nobody gets more than there is", async () => {
  const lanes = new Lanes(1);
  const order: string[] = [];
  const first = await lanes.one();
  const boot = lanes.one().then((own) => (order.push("boot"), own));
  const tests = lanes.share(() => 2).then((own) => (order.push("tests"), own));
  lanes.give(first);
  lanes.give(await tests);
  assert.equal(await boot, 1);
  assert.deepEqual(order, ["tests", "boot"]);
});
