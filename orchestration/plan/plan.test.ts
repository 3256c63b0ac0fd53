import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import fc from "fast-check";
import type { Requirement } from "../../conformance/catalogue/index.ts";
import { digestOf } from "../base/digest.ts";
import { SuiteError } from "../base/errors.ts";
import type { ListedTest } from "./list-reporter.ts";
import { makePlan, planDigest, plannedFor, plannedOn, readPlan, type PlanInput } from "./plan.ts";
import { EVERYTHING, parseShard, select, shardOf } from "./select.ts";
import { testId } from "./test-id.ts";

const row = (id: string, given: Partial<Requirement> = {}): Requirement => ({ id, level: "must", text: `text of ${id}`, source: "s", verify: "v", ...given });
const ROWS = [row("MSG-001"), row("MSG-002"), row("MSG-003", { level: "should" }), row("BUS-001", { generations: ["2015-03"] }), row("BUS-002", { generations: ["2015-08"] }), row("BUS-003", { untestable: "no door" })];

function listed(id: string, requirements: readonly string[], given: Partial<ListedTest> = {}): ListedTest {
  const [file = "", title = ""] = id.split(":", 2);
  return { id, file: `tests/${file}`, titles: [title], requirements, generations: [], canary: null, ...given };
}
const CANARY = listed("canary/panic.spec.ts:a panic", [], { canary: "crashed: panic" });
const TESTS = [
  listed("msg/a.spec.ts:MSG-001 one", ["MSG-001"]),
  listed("msg/a.spec.ts:MSG-001 two", ["MSG-001", "MSG-003"]),
  listed("bus/b.spec.ts:BUS-001 old", ["BUS-001"]),
  listed("bus/b.spec.ts:BUS-002 new", ["BUS-002", "MSG-001"]),
  CANARY,
];

function input(given: Partial<PlanInput> = {}): PlanInput {
  return { tests: TESTS, suite: digestOf("s"), waivers: digestOf(""), targets: ["a/b/c/d", "a/b/c/e"], generation: "auto", selection: EVERYTHING, seed: 7, catalogue: { rows: ROWS, digest: digestOf("c") }, ...given };
}
const code = (wanted: string) => (error: unknown) => error instanceof SuiteError && error.code === wanted;

test("the plan pairs every target with every test and counts the requirements", () => {
  const plan = makePlan(input());
  assert.deepEqual(plan.catalogue, { digest: digestOf("c"), must: 5, should: 1, may: 0 });
  assert.deepEqual(plan.expected, { pairs: 10, triples: 12 });
  assert.deepEqual(plan.mustWithoutTest, { "2015-03": ["MSG-002"], "2015-08": ["MSG-002"] });
  assert.deepEqual(plan.requirements.find((each) => each.id === "MSG-001")?.tests, { planned: 3, suite: 3 });
  assert.equal(plan.requirements.length, ROWS.length);
  assert.deepEqual(plan.tests.at(-1)?.canary, { expect: "crashed", detail: "panic" });
});

test("a machine that others use gets only canaries that leave it as it is, and more when somebody can reboot it", () => {
  const tests = [...TESTS, listed("canary/lost.spec.ts:a lost result", [], { canary: "infra-error: RESULT_LOST", machine: "any" }), listed("canary/panic.spec.ts:a remote panic", [], { canary: "crashed: panic", machine: "rebootable" })];
  const canaries = (shared?: { readonly rebootable: boolean }): string[] =>
    makePlan(input({ tests, ...(shared === undefined ? {} : { shared }) })).tests.filter((each) => each.canary !== undefined).map(({ title }) => title);
  assert.deepEqual(canaries({ rebootable: false }), ["a lost result"]);
  assert.deepEqual(canaries({ rebootable: true }), ["a lost result", "a remote panic"]);
  assert.deepEqual(canaries(), ["a panic", "a lost result", "a remote panic"]);
});

test("the same input gives the same digest, another seed another one", () => {
  assert.equal(planDigest(makePlan(input())), planDigest(makePlan(input())));
  assert.notEqual(planDigest(makePlan(input())), planDigest(makePlan(input({ seed: 8 }))));
});

test("a test holds for the generations that all its requirements share", () => {
  const plan = makePlan(input());
  assert.deepEqual(plan.tests.map((each) => each.generations), [undefined, undefined, ["2015-03"], ["2015-08"], undefined]);
  assert.deepEqual(makePlan(input({ generation: "2015-03" })).tests.map((each) => each.title), ["MSG-001 one", "MSG-001 two", "BUS-001 old", "a panic"]);
  assert.equal(plannedFor({ generations: ["2015-08"] }, "2015-03"), false);
});

test("a canary for one build is planned on its targets alone, and no ordinary test may be narrowed so", () => {
  const tests = [...TESTS, listed("canary/kasan.spec.ts:a use after free", [], { canary: "crashed: kasan", builds: ["debug"] })];
  const mixed = makePlan(input({ tests, targets: ["a/b/c/plain", "a/b/c/debug"] }));
  assert.deepEqual([mixed.tests.length, mixed.expected.pairs], [6, 11]);
  assert.deepEqual(mixed.tests.at(-1)?.builds, ["debug"]);
  assert.deepEqual(mixed.targets.map((target) => plannedOn(mixed.tests.at(-1) ?? {}, target)), [false, true]);
  assert.equal(makePlan(input({ tests, targets: ["a/b/c/plain"] })).tests.length, 5);
  assert.throws(() => makePlan(input({ tests: [listed("msg/a.spec.ts:MSG-001 one", ["MSG-001"], { builds: ["debug"] })] })), code("RUNNER_FAILED"));
});

test("a requirement whose tests are all planned for the generation counts as wholly planned", () => {
  assert.deepEqual(makePlan(input({ generation: "2015-03" })).requirements.find((each) => each.id === "MSG-001")?.tests, { planned: 2, suite: 2 });
});

test("a selection keeps the canaries and its scope, and says what is only partly planned", () => {
  const plan = makePlan(input({ selection: { ...EVERYTHING, grep: "BUS-002" } }));
  assert.deepEqual(plan.tests.map((each) => each.title), ["BUS-002 new", "a panic"]);
  assert.deepEqual(plan.requirements.map((each) => [each.id, each.tests]), [["MSG-001", { planned: 1, suite: 3 }], ["BUS-002", { planned: 1, suite: 1 }]]);
  assert.equal(plan.selection.everything, false);
});

test("the pattern finds tests by the ids they cover, not only by their titles", () => {
  assert.deepEqual(select(TESTS, { ...EVERYTHING, grep: "msg-003" }).map((each) => each.id), ["msg/a.spec.ts:MSG-001 two", CANARY.id]);
});

test("an area has its requirements without a test in scope", () => {
  const plan = makePlan(input({ selection: { ...EVERYTHING, areas: ["MSG"] } }));
  assert.deepEqual(plan.requirements.map((each) => each.id), ["MSG-001", "MSG-002", "MSG-003"]);
});

for (const [title, given, expected] of [
  ["an unknown requirement asked for", { selection: { ...EVERYTHING, requirements: ["MSG-999"] } }, "REQUIREMENT_UNKNOWN"],
  ["an unknown requirement covered", { tests: [...TESTS, listed("msg/a.spec.ts:x", ["MSG-998"])] }, "REQUIREMENT_UNKNOWN"],
  ["an unknown area", { selection: { ...EVERYTHING, areas: ["nosuch"] } }, "USAGE"],
  ["a pattern that is none", { selection: { ...EVERYTHING, grep: "(" } }, "USAGE"],
  ["a pattern that fits nothing", { selection: { ...EVERYTHING, grep: "zzz" } }, "SELECTION_EMPTY"],
  ["a selection of the other generation only", { generation: "2015-03", selection: { ...EVERYTHING, grep: "BUS-002" } }, "SELECTION_EMPTY"],
  ["no target", { targets: [] }, "TARGET_UNKNOWN"],
  ["a test that covers nothing", { tests: [...TESTS, listed("msg/a.spec.ts:x", [])] }, "RUNNER_FAILED"],
  ["a suite without canaries", { tests: TESTS.slice(0, -1) }, "RUNNER_FAILED"],
  ["a canary that expects no outcome", { tests: [...TESTS, listed("canary/x.spec.ts:x", [], { canary: "fine" })] }, "RUNNER_FAILED"],
  ["a canary that covers a requirement", { tests: [...TESTS, listed("canary/x.spec.ts:x", ["MSG-001"], { canary: "passed" })] }, "RUNNER_FAILED"],
  ["a test among the canaries without an outcome", { tests: [...TESTS, listed("canary/x.spec.ts:x", ["MSG-001"])] }, "RUNNER_FAILED"],
  ["requirements that exclude each other", { tests: [...TESTS, listed("bus/b.spec.ts:x", ["BUS-001", "BUS-002"])] }, "RUNNER_FAILED"],
  ["a title with the separator of titles", { tests: [...TESTS, listed("bus/b.spec.ts:a \u203a b", ["BUS-001"])] }, "RUNNER_FAILED"],
] as const) {
  test(`${title} is refused with ${expected}`, () => {
    assert.throws(() => makePlan(input(given)), code(expected));
  });
}

test("a requirement named in an error is the one that is unknown", () => {
  assert.throws(() => makePlan(input({ selection: { ...EVERYTHING, requirements: ["MSG-001", "NOPE-001"] } })), /"NOPE-001" is no requirement/);
});

test("shards share out all tests, each once, and a test keeps its shard when others come", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 9 }), (ids, count) => {
      const shards = ids.map((id) => shardOf(id, count));
      assert.ok(shards.every((index) => index >= 1 && index <= count));
      assert.deepEqual(ids.slice(1).map((id) => shardOf(id, count)), shards.slice(1));
    }),
  );
  const tests = Array.from({ length: 100 }, (_, n) => listed(`msg/a.spec.ts:MSG-001 ${n}`, ["MSG-001"]));
  const all = [1, 2, 3].flatMap((index) => select([...tests, CANARY], { ...EVERYTHING, shard: { index, count: 3 } }).filter((each) => each.canary === null));
  assert.deepEqual(all.map((each) => each.id).sort(), tests.map((each) => each.id).sort());
});

test("a shard is i/n with i within n", () => {
  assert.deepEqual(parseShard("2/3"), { index: 2, count: 3 });
  for (const wrong of ["0/3", "4/3", "a/b", "1", "1/0", "-1/2", "1/2/3"]) assert.throws(() => parseShard(wrong), code("USAGE"));
});

test("the id of a test is its file below conformance/tests and its titles", () => {
  const file = join(import.meta.dirname, "../../conformance/tests/msg/unicast.spec.ts");
  assert.equal(testId(file, "MSG-001 a"), "msg/unicast.spec.ts:MSG-001 a");
  assert.equal(testId(file, ["group", "MSG-001 a"]), "msg/unicast.spec.ts:group \u203a MSG-001 a");
});

test("a plan file is read back with its digest, and a denominator that was cut is refused", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "buslab-plan-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "plan.json");
  const plan = makePlan(input());
  writeFileSync(path, JSON.stringify(plan));
  assert.equal(planDigest(await readPlan(path)), planDigest(plan));
  writeFileSync(path, JSON.stringify({ ...plan, tests: plan.tests.slice(1) }));
  await assert.rejects(readPlan(path), /expects 10 outcomes but names 8 pairs/);
  writeFileSync(path, "{");
  await assert.rejects(readPlan(path), code("FILE_INVALID"));
});
