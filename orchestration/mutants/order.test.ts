import assert from "node:assert/strict";
import { test } from "node:test";
import type { PlannedTest } from "../plan/plan.ts";
import { wavesOf } from "./order.ts";

function planned(id: string, requirements: string[], more: Partial<PlannedTest> = {}): PlannedTest {
  return { id, file: id.split(":")[0] ?? "", title: id, requirements, ...more };
}

const TESTS = [
  planned("msg/a.spec.ts:other", ["MSG-001"]),
  planned("lim/a.spec.ts:beside", ["LIM-001"]),
  planned("lim/a.spec.ts:wide", ["LIM-002", "LIM-003", "LIM-007"]),
  planned("scn/a.spec.ts:elsewhere", ["SCN-001", "LIM-010"]),
  planned("lim/a.spec.ts:second", ["LIM-010"]),
  planned("lim/a.spec.ts:first", ["LIM-007"]),
  planned("lim/a.spec.ts:old", ["LIM-007"], { generations: ["2015-03"] }),
  planned("canary/a.spec.ts:panic", [], { canary: { expect: "crashed" } }),
];

test("tests of the claimed ids come first, the first claimed id before the others, the narrow before the wide", () => {
  const waves = wavesOf({ breaks: ["LIM-007", "LIM-010"] }, TESTS, "2015-08");
  assert.deepEqual(waves.naming.map((each) => each.title.split(":")[1]), ["first", "second", "elsewhere", "wide"]);
});

test("then the other tests of the areas, then the rest, and no test twice", () => {
  const waves = wavesOf({ breaks: ["LIM-007", "LIM-010"] }, TESTS, "2015-08");
  assert.deepEqual(waves.area.map((each) => each.title.split(":")[1]), ["beside"]);
  assert.deepEqual(waves.rest.map((each) => each.title.split(":")[1]), ["other"]);
});

test("tests of the other generation and canaries are in no wave", () => {
  const { naming, area, rest } = wavesOf({ breaks: ["LIM-007"] }, TESTS, "2015-08");
  assert.equal([...naming, ...area, ...rest].length, TESTS.length - 2);
});
