import assert from "node:assert/strict";
import test from "node:test";
import { parseAge, parseSize } from "./retention.ts";

test("ages and sizes that are none are refused by name", () => {
  assert.deepEqual([parseAge("36h"), parseSize("20G"), parseSize("1.5K"), parseSize("0")], [129_600_000, 21_474_836_480, 1_536, 0]);
  for (const text of ["", "30", "d", "-1d", "30m"]) assert.throws(() => parseAge(text), /is no age; give a number with h, d or w/);
  for (const text of ["", "G", "1GB", "-1"]) assert.throws(() => parseSize(text), /is no size/);
});
