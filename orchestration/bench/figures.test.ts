import assert from "node:assert/strict";
import test from "node:test";
import { median, percentile, renderFigures, timed } from "./figures.ts";

test("the median of an odd and an even number of values, in any order", () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([10, 1, 2, 4]), 3);
  assert.equal(median([7]), 7);
});

test("a percentile is a value that was measured", () => {
  const values = Array.from({ length: 200 }, (_, index) => 200 - index);
  assert.equal(percentile(values, 95), 190);
  assert.equal(percentile(values, 100), 200);
  assert.equal(percentile([3], 1), 3);
});

test("nothing measured is no number", () => {
  assert.throws(() => median([]), RangeError);
  assert.throws(() => percentile([], 95), RangeError);
});

test("a timed figure carries three digits and never calls itself exact", () => {
  assert.deepEqual(timed("a", 1234.567, "us"), { name: "a", value: 1230, unit: "us", exact: false });
  assert.deepEqual(timed("a", 0.0123456, "ms", { what: "b", ratio: 2.3456 }), { name: "a", value: 0.0123, unit: "ms", against: "b", ratio: 2.35, exact: false });
});

test("the table puts numbers below each other and says what a ratio is against", () => {
  const table = renderFigures([timed("long name", 1_234_000, "operations/s", { what: "getppid", ratio: 6.5 }), { name: "calls", value: 4, unit: "", exact: true }]);
  assert.deepEqual(table.split("\n"), ["long name  1 230 000 operations/s  6.5 times getppid", "calls              4               exact"]);
});

test("no figures make no lines", () => {
  assert.equal(renderFigures([]), "");
});
