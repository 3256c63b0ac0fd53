import assert from "node:assert/strict";
import { test } from "node:test";
import type { Outcome } from "../record/v1.ts";
import { exitCodeOf } from "./report.ts";
import { fateOf, toRepeat, type FateKind, type Observed } from "./verdict.ts";

const MUTANT = { breaks: ["LIM-007", "LIM-010"] as const };
const PASSED: Outcome = { kind: "passed" };
const FAILED: Outcome = { kind: "failed", message: "expected 4, received 5\n  at x" };
const CRASHED: Outcome = { kind: "crashed", signature: "s", message: "BUG: KASAN" };
const TIMED_OUT: Outcome = { kind: "timed-out", limitMs: 1, message: "no answer" };
const INFRA: Outcome = { kind: "infra-error", code: "VM_DIED", message: "killed" };
const NOT_RUN: Outcome = { kind: "not-run", because: "there is no record of it" };
const UNSUPPORTED: Outcome = { kind: "unsupported", missing: ["SELinux"] };

function seen(outcome: Outcome, requirements: string[] = ["LIM-007"], title = outcome.kind): Observed {
  return { test: { id: `lim/a.spec.ts:${title}`, file: "lim/a.spec.ts", title, requirements }, outcome };
}

for (const outcome of [FAILED, CRASHED, TIMED_OUT]) {
  test(`a test of a claimed id that is ${outcome.kind} kills`, () => {
    const fate = fateOf(MUTANT, [seen(PASSED), seen(outcome, ["MSG-001", "LIM-010"]), seen(NOT_RUN)]);
    assert.equal(fate.outcome, "killed");
    assert.deepEqual(fate.killedBy, ["LIM-010"]);
    assert.equal(fate.test, `lim/a.spec.ts:${outcome.kind}`);
  });
}

test("a test that names none of the claimed ids kills nothing", () => {
  assert.equal(fateOf(MUTANT, [seen(FAILED, ["LIM-001"]), seen(PASSED)]).outcome, "survived");
});

for (const outcome of [INFRA, NOT_RUN]) {
  test(`${outcome.kind} is no kill, is repeated, and leaves the mutant undecided`, () => {
    const observed = [seen(PASSED), seen(outcome)];
    assert.equal(fateOf(MUTANT, observed).outcome, "undecided");
    assert.deepEqual(toRepeat(MUTANT, observed).map(({ title }) => title), [outcome.kind]);
  });
}

test("a killed mutant needs no repetition, whatever else was not learnt", () => {
  assert.deepEqual(toRepeat(MUTANT, [seen(INFRA), seen(FAILED), seen(NOT_RUN)]), []);
});

test("a mutant that every test passes survives, and so does one that no test names", () => {
  assert.equal(fateOf(MUTANT, [seen(PASSED), seen(UNSUPPORTED)]).outcome, "survived");
  assert.equal(fateOf(MUTANT, []).outcome, "survived");
});

test("a mutant whose tests all lack something on the target is undecided, not a survivor", () => {
  const fate = fateOf(MUTANT, [seen(UNSUPPORTED)]);
  assert.equal(fate.outcome, "undecided");
  assert.match(fate.reason, /SELinux/);
});

for (const [outcomes, code] of [
  [["killed", "killed"], 0],
  [["killed", "survived", "undecided", "invalid"], 1],
  [["killed", "undecided", "invalid"], 3],
  [["killed", "invalid"], 2],
] as readonly (readonly [readonly FateKind[], number])[]) {
  test(`${outcomes.join(", ")} end with exit code ${code}`, () => {
    assert.equal(exitCodeOf(outcomes.map((outcome) => ({ fate: { outcome, killedBy: [], test: null, reason: "", seenBy: [] } }))), code);
  });
}
