import assert from "node:assert/strict";
import { test } from "node:test";
import type { Plan, PlannedTest } from "../plan/plan.ts";
import { chooseLeakTests } from "./leak-choice.ts";

const IDS = Array.from({ length: 400 }, (_, index) => `msg/a.spec.ts:MSG-001 ${index}`);
const RELEASES = "scn/a.spec.ts:SCN-024 nothing stays";
const PLANTED = "canary/c.spec.ts:leak";
const canary = { expect: "crashed" as const };
const planWith = (seed: number): Plan =>
  ({ seed, tests: [...IDS.map((id) => ({ id, requirements: ["MSG-001"] })), { id: RELEASES, requirements: ["SCN-024"] }, { id: PLANTED, canary: { ...canary, detail: "leak" } }, { id: "canary/c.spec.ts:warn", canary: { ...canary, detail: "warn" } }] as PlannedTest[] }) as Plan;
const asked = (seed: number, text: string): string[] => IDS.filter((id) => chooseLeakTests(planWith(seed), text).wanted("t", id));

test("a share of the tests is asked for leaks, others with another seed, the same with the same", () => {
  const first = asked(1, "1/16");

  assert.ok(first.length > 10 && first.length < 45, String(first.length));
  assert.deepEqual(asked(1, "1/16"), first);
  assert.notDeepEqual(asked(2, "1/16"), first);
  assert.match(chooseLeakTests(planWith(1), "1/16").says, new RegExp(`end of ${first.length + 1} of 401 tests \\(--leaks 1/16, seed 1\\)`));
});

test("all, none, and the canary that plants a leak in any case", () => {
  assert.equal(asked(1, "all").length, 400);
  assert.equal(asked(1, "none").length, 0);
  const none = chooseLeakTests(planWith(1), "none");
  assert.deepEqual([none.wanted("t", PLANTED), none.wanted("t", "canary/c.spec.ts:warn")], [true, false]);
});

test("what is about memory that comes back is asked whatever the share, unless none is", () => {
  assert.deepEqual(["1/9999", "none"].map((text) => chooseLeakTests(planWith(1), text).wanted("t", RELEASES)), [true, false]);
});

for (const text of ["some", "1/0", "2/3", ""]) {
  test(`--leaks "${text}" is refused by name`, () => {
    assert.throws(() => chooseLeakTests(planWith(1), text), { code: "USAGE" });
  });
}
