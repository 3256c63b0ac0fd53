import assert from "node:assert/strict";
import { test } from "node:test";
import { taintEvent } from "./taint.ts";

test("a new warning taint is an event, one that was there before is none", () => {
  assert.equal(taintEvent(4096, 4096 | 512)?.fingerprint, "taint: W");
  assert.equal(taintEvent(4096 | 512, 4096 | 512), undefined);
});

test("loading an out-of-tree module accuses nobody", () => {
  assert.equal(taintEvent(0, 4096 | 8192), undefined);
});
