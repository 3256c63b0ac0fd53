import assert from "node:assert/strict";
import { test } from "node:test";
import type { RequirementId } from "../../../conformance/catalogue/index.ts";
import { SuiteError } from "../../base/errors.ts";
import { silent } from "../../base/progress.ts";
import type { Plan, PlannedTest } from "../../plan/plan.ts";
import type { Outcome } from "../../record/v1.ts";
import type { Observed } from "../verdict.ts";
import { tryLawful, type LawfulProof } from "./lawful.ts";
import { lawfulDocument } from "./report.ts";
import type { Variant } from "./variant.ts";

const FAILED: Outcome = { kind: "failed", message: "it is not so" };
const row = (id: string, level: "must" | "should"): Plan["requirements"][number] => ({ id, level, text: id, tests: { planned: 1, suite: 1 } });
const planned = (id: string, ...requirements: string[]): PlannedTest => ({ id, title: id, file: "x.spec.ts", requirements }) as Partial<PlannedTest> as PlannedTest;
const variant = (name: string, ...leaves: string[]): Variant => ({ name, what: "It differs.", permitted: "here", leaves: leaves as RequirementId[], patch: "" });

const PLAN = { requirements: [row("MSG-001", "must"), row("META-015", "should"), row("ABI-030", "should")] };
const TESTS = [planned("must", "MSG-001"), planned("both", "MSG-001", "META-015"), planned("left", "META-015"), planned("kept", "ABI-030")];
const VARIANTS = [variant("a", "META-015"), variant("b")];

/** Outcomes that are not passed, by the name of the run and the test. */
async function proofOf(outcomes: Readonly<Record<string, Readonly<Record<string, Outcome>>>>, broken = "none"): Promise<LawfulProof> {
  return tryLawful({
    variants: VARIANTS,
    generation: "2015-08",
    plan: PLAN,
    tests: TESTS,
    run: (_variants, tests, name) => name === broken ? Promise.reject(new SuiteError("MODULE_BUILD_FAILED", "it does not build")) : Promise.resolve(tests.map((each): Observed => ({ test: each, outcome: outcomes[name]?.[each.id] ?? { kind: "passed" } }))),
    progress: silent,
    signal: new AbortController().signal,
  });
}

const exitCodeOf = (proof: LawfulProof): number => lawfulDocument(proof, { target: "t", generation: "2015-08", variants: VARIANTS, durationMs: 0, interrupted: false }).exitCode;

test("what a variant leaves may be red, and is named as seen", async () => {
  const proof = await proofOf({ together: { left: FAILED } });
  assert.deepEqual(proof.accusations, []);
  assert.deepEqual(proof.seenLeft, ["META-015"]);
  assert.equal(exitCodeOf(proof), 0);
});

test("a red test of a must accuses, also if it names what is left, and the variant is found", async () => {
  const proof = await proofOf({ together: { both: FAILED }, b: { both: FAILED } });
  assert.deepEqual(proof.accusations.map(({ test: id, requirements, accused, onReference }) => [id, requirements, accused, onReference]), [["both", ["MSG-001"], ["b"], false]]);
  assert.equal(exitCodeOf(proof), 1);
});

test("a should that no variant leaves accuses too", async () => {
  assert.equal(exitCodeOf(await proofOf({ together: { kept: FAILED } })), 1);
});

test("a kernel that complains accuses whatever the test is about", async () => {
  const proof = await proofOf({ together: { left: { kind: "crashed", signature: "s", message: "WARNING" } } });
  assert.deepEqual(proof.accusations.map(({ test: id }) => id), ["left"]);
});

test("a test that fails on the reference too, or did not run, leaves it undecided", async () => {
  assert.equal(exitCodeOf(await proofOf({ together: { must: FAILED }, reference: { must: FAILED } })), 3);
  assert.equal(exitCodeOf(await proofOf({ together: { must: { kind: "infra-error", code: "X", message: "m" } } })), 3);
});

test("a variant that cannot be tried alone does not hide what the others showed", async () => {
  const proof = await proofOf({ together: { must: FAILED }, b: { must: FAILED } }, "a");
  assert.deepEqual(proof.untried, [{ variant: "a", reason: "it does not build" }]);
  assert.deepEqual(proof.accusations.map(({ accused }) => accused), [["b"]]);
  assert.equal(exitCodeOf(proof), 1);
});
