import assert from "node:assert/strict";
import { test } from "node:test";
import type { TargetVerdict, TestVerdict } from "../record/verdict.ts";
import { renderAreas } from "./area-table.ts";

const PASSED = { kind: "passed" } as const;
const ofTest = (id: string, outcome: TestVerdict["outcome"], waived = false): TestVerdict => ({ id, requirements: [], outcome, durationMs: 1, waived, evidence: null });

const ROWS: readonly Pick<TargetVerdict, "id" | "verdict" | "tests">[] = [
  { id: "x86_64/debian-6.1/none/plain", verdict: "conformant", tests: [ofTest("lsm/a.spec.ts:1", PASSED), ofTest("lsm/a.spec.ts:2", { kind: "unsupported", missing: ["SELinux in force"] }), ofTest("msg/a.spec.ts:1", PASSED)] },
  { id: "x86_64/debian-6.1/selinux/plain", verdict: "violated", tests: [ofTest("lsm/a.spec.ts:1", { kind: "failed", message: "no" }), ofTest("lsm/a.spec.ts:2", { kind: "not-run", because: "lost" })] },
];

test("a table has a row for each target, and marks what is broken and what was not learnt", () => {
  assert.deepEqual(renderAreas(ROWS, 118), [
    "target                                          lsm    msg",
    "x86_64/debian-6.1/none/plain     conformant     1/2    1/1",
    "x86_64/debian-6.1/selinux/plain  violated     0/2!?      -",
  ]);
});

test("a narrow terminal gets the columns in blocks", () => {
  const lines = renderAreas(ROWS, 54);
  assert.equal(lines.length, 7);
  assert.ok(lines.every((line) => line.length <= 54), lines.join("\n"));
});

test("what a waiver excuses is not marked", () => {
  const [, row] = renderAreas([{ id: "a", verdict: "conformant", tests: [ofTest("msg/x:1", { kind: "failed", message: "no" }, true)] }], 80);
  assert.match(row ?? "", / 0\/1$/);
});
