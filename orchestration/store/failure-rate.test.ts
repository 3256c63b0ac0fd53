import assert from "node:assert/strict";
import test from "node:test";
import { describeRate, failureRate } from "./failure-rate.ts";

test("the bounds are those of the textbook", () => {
  // no failure: 1 - 0.05^(1/n), near to the rule of three
  for (const runs of [1, 10, 100, 1000]) assert.ok(Math.abs(failureRate(0, runs).below - (1 - 0.05 ** (1 / runs))) < 1e-9, `${runs}`);
  assert.ok(Math.abs(failureRate(0, 1000).below - 3 / 1000) < 1e-5);
  // 1 in 10: one-sided 95 % bounds of a binomial proportion, 0.00512 and 0.39416
  const one = failureRate(1, 10);
  assert.ok(Math.abs(one.above - 0.0051162) < 1e-6 && Math.abs(one.below - 0.3941633) < 1e-6, JSON.stringify(one));
  assert.deepEqual([failureRate(10, 10).below, failureRate(0, 10).above, failureRate(0, 0).below], [1, 0, 1]);
  assert.ok(failureRate(5, 100_000).below > 5e-5, "small rates do not vanish");
  assert.throws(() => failureRate(3, 2), RangeError);
});

test("the sentence says only what was seen", () => {
  assert.equal(describeRate(failureRate(0, 100)), "0 failures in 100 runs: below 3.0 % at 95 % confidence");
  assert.equal(describeRate(failureRate(1, 1)), "1 failure in 1 run: above 5.0 % at 95 % confidence");
  assert.equal(describeRate(failureRate(0, 0)), "no run says anything");
  assert.match(describeRate(failureRate(1, 10)), /above 0\.51 % and below 39 %/);
});
