import assert from "node:assert/strict";
import { test } from "node:test";
import { derivedDocument, renderDerived, type DerivedDocument } from "./report.ts";
import type { RequirementProof } from "./derived.ts";

const bug = { place: 7, rule: "never", file: "a.c", line: 3, code: "size > limit" } as const;
const killer = { id: "lim/a.spec.ts:LIM-001 a", file: "lim/a.spec.ts", title: "LIM-001 a", requirements: ["LIM-001"] };
const red: RequirementProof = { requirement: "LIM-001", red: { trial: { test: killer, bug, requirement: "LIM-001", reachedBy: 1 }, reason: "failed" }, tests: 2, tried: 1, possible: 5 };
const survived: RequirementProof = { requirement: "LIM-002", red: null, tests: 1, tried: 4, possible: 4 };
const untried: RequirementProof = { requirement: "LIM-003", red: null, tests: 1, tried: 0, possible: 0 };

function document(proofs: readonly RequirementProof[], mutants: Parameters<typeof derivedDocument>[1]["mutants"] = [], interrupted = false): DerivedDocument {
  return derivedDocument(proofs, { target: "t", generation: "2015-08", bugs: [bug], mutants, durationMs: 60_000, interrupted });
}

test("every requirement red is a proof", () => {
  assert.equal(document([red]).exitCode, 0);
  assert.match(renderDerived(document([red])), /LIM-001 +seen-red +a\.c:3 never \(size > limit\), which 1 test reaches/);
});

test("a requirement that was never red, or not tried, leaves the proof open", () => {
  assert.equal(document([red, survived]).exitCode, 3);
  assert.equal(document([red, untried]).exitCode, 3);
  assert.match(renderDerived(document([red, survived, untried])), /3 requirements: 1 seen red, 0 left to planted bugs, 1 never red, 1 not tried/);
});

test("a requirement that this target cannot show is told from one whose tests meet no bug", () => {
  const reasons = document([{ ...untried, tests: 0 }, untried]).requirements.map(({ reason }) => reason);
  assert.deepEqual(reasons, ["no test of it passes on this target with no bug on", "0 of 0 trials made, with 1 test"]);
});

test("what a planted bug claims to break is left to it, and named", () => {
  const { exitCode, requirements } = document([survived, untried], [{ name: "lim/x", breaks: ["LIM-002", "LIM-003"] }]);
  assert.equal(exitCode, 0);
  assert.deepEqual(requirements.map(({ outcome, planted }) => [outcome, planted]), [["planted", ["lim/x"]], ["planted", ["lim/x"]]]);
});

test("an interrupted proof says so", () => {
  assert.equal(document([red], [], true).exitCode, 130);
});
