import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { Requirement } from "../../conformance/catalogue/index.ts";
import { digestOf } from "../../orchestration/base/digest.ts";
import { makePlan, planDigest, type Plan } from "../../orchestration/plan/plan.ts";
import { EVERYTHING } from "../../orchestration/plan/select.ts";
import type { KernelEvent, RecordFields, RecordOf, RunRecord } from "../../orchestration/record/v1.ts";
import { verdictSchema, type Verdict } from "../../orchestration/record/verdict.ts";
import { renderReport } from "../../orchestration/store/report.ts";
import { judge } from "./judge.ts";
import { NO_WAIVERS, type Waiver } from "./waivers.ts";

const A = "x86_64/debian-6.1/none/plain";
const B = "x86_64/debian-6.12/none/plain";
const PANIC: KernelEvent = { kind: "panic", fingerprint: "panic:x", title: "Kernel panic - not syncing", consoleOffset: 0, excerpt: "" };
const WARN: KernelEvent = { ...PANIC, kind: "warn", fingerprint: "warn:y", title: "WARNING: at kdbus" };
const row = (id: string, level: Requirement["level"] = "must"): Requirement => ({ id, level, text: `text of ${id}`, source: "s", verify: "v" });

const T1 = "msg/a.spec.ts:MSG-001 one";
const T2 = "msg/a.spec.ts:MSG-002 two";
const T3 = "msg/a.spec.ts:MSG-003 three";
const C1 = "canary/c.spec.ts:a panic";
const C2 = "canary/c.spec.ts:a killed machine";

function planOf(targets: readonly string[] = [A], given: Partial<Parameters<typeof makePlan>[0]> = {}): Plan {
  const listed = (id: string, requirements: string[], canary: string | null = null) => ({ id, file: "tests/x", titles: [id.split(":")[1] ?? ""], requirements, generations: [], canary });
  return makePlan({
    tests: [listed(T1, ["MSG-001"]), listed(T2, ["MSG-002"]), listed(T3, ["MSG-003"]), listed(C1, [], "crashed: panic"), listed(C2, [], "infra-error: VM_DIED")],
    suite: digestOf("s"),
    waivers: NO_WAIVERS.digest,
    targets,
    generation: "auto",
    selection: EVERYTHING,
    seed: 1,
    catalogue: { rows: [row("MSG-001"), row("MSG-002"), row("MSG-003", "should")], digest: digestOf("c") },
    ...given,
  });
}

type End = Partial<RecordOf<"test-end">> | null;
type Lease = Partial<RecordOf<"lease">> | null;
interface Story {
  /** What differs from a good test, by test id; null for a record that is missing, "none" for no record at all. */
  tests?: Record<string, { end?: End; lease?: Lease } | "none">;
  target?: Partial<RecordOf<"target-end">> | null;
  noBegin?: boolean;
  generation?: unknown;
}
const GOOD_CANARIES: Story["tests"] = { [C1]: { lease: { events: [PANIC] }, end: { runner: "failed" } }, [C2]: { lease: { death: { kind: "killed", detail: "" } }, end: { runner: "failed" } } };

function recordsOf(plan: Plan, stories: Record<string, Story> = {}, given: { end?: RecordFields | null; more?: RecordFields[]; planDigest?: string } = {}): RunRecord[] {
  const fields: RecordFields[] = [{ type: "run-begin", planDigest: given.planDigest ?? planDigest(plan), seed: 1 }];
  for (const target of plan.targets) {
    const story = stories[target] ?? {};
    if (story.noBegin !== true) {
      fields.push({ type: "target-begin", target, accel: { kind: "tcg", why: "no /dev/kvm" }, artifacts: { kernel: { key: "k", state: "reused", because: "same inputs" } } });
      if (story.generation !== null) fields.push({ type: "fact", target, name: "generation", value: story.generation ?? { detected: "2015-08", signs: { A: "2015-08", B: "2015-08" } } });
      for (const { id } of plan.tests) {
        const how = { ...GOOD_CANARIES, ...story.tests }[id] ?? {};
        if (how === "none") continue;
        fields.push({ type: "test-begin", target, test: id, attempt: 1 });
        if (how.lease !== null) fields.push({ type: "lease", target, test: id, machine: "m", events: [], death: null, consoleRead: true, heldMs: 1, ...how.lease });
        if (how.end !== null) fields.push({ type: "test-end", target, test: id, attempt: 1, runner: "passed", unsupported: [], errors: [], durationMs: 5, limitMs: 100, evidence: null, ...how.end });
      }
    }
    if (story.target !== null) fields.push({ type: "target-end", target, ended: "complete", error: null, events: [], durationsMs: { build: 1, boot: 2, run: 3, total: 6 }, ...story.target });
  }
  fields.push(...(given.more ?? []));
  if (given.end !== null) fields.push(given.end ?? { type: "run-end", ended: "complete" });
  return fields.map((each, seq) => ({ schema: "buslab.record/1", run: "r1", at: "2026-01-01T00:00:00Z", writer: "w", seq, ...each }));
}

function verdictOf(stories: Record<string, Story> = {}, given: { plan?: Plan; waivers?: Waiver[]; torn?: number; gaps?: string[]; drop?: (record: RunRecord) => boolean } & Parameters<typeof recordsOf>[2] = {}): Verdict {
  const plan = given.plan ?? planOf();
  const records = recordsOf(plan, stories, given).filter((each) => given.drop?.(each) !== true);
  const verdict = judge({
    plan,
    log: { records, torn: Array.from({ length: given.torn ?? 0 }, (_, line) => ({ line, text: "{" })), gaps: given.gaps ?? [] },
    waivers: { rows: given.waivers ?? [], digest: NO_WAIVERS.digest },
    today: "2026-06-01",
  });
  assert.deepEqual(verdictSchema.parse(JSON.parse(JSON.stringify(verdict))), verdict, "the verdict is the document that its schema says");
  assert.ok(renderReport(verdict).endsWith(`(exit code ${verdict.exitCode})`));
  const counts = verdict.targets[0]?.counts;
  if (counts !== undefined) assert.equal(counts.planned, counts.passed + counts.failed + counts.crashed + counts.timedOut + counts.unsupported + counts.infraError + counts.notRun);
  return verdict;
}
const short = (verdict: Verdict) => [verdict.verdict, verdict.exitCode];
const FAILED = { end: { runner: "failed", errors: [{ code: null, message: "expected 1\nreceived 2" }] } } satisfies { end: End };
const failing = (...ids: string[]): Story => ({ tests: Object.fromEntries(ids.map((id) => [id, FAILED])) });

test("everything passed is conformant, and the canaries are in no number", () => {
  const verdict = verdictOf();
  assert.deepEqual(short(verdict), ["conformant", 0]);
  assert.deepEqual(verdict.targets[0]?.counts, { planned: 3, passed: 3, failed: 0, crashed: 0, timedOut: 0, unsupported: 0, infraError: 0, notRun: 0, waived: 0 });
  assert.deepEqual(verdict.targets[0]?.requirements, { held: 2, violated: 0, unjudged: 0, waived: 0 });
  assert.deepEqual(verdict.targets[0]?.advisory, { held: 1, violated: 0, unjudged: 0, waived: 0 });
  assert.deepEqual(verdict.canaries.all.map((canary) => canary.actual), ["crashed: panic", "infra-error: VM_DIED"]);
  assert.equal(verdict.scope.complete, true);
  assert.equal(verdict.targets[0]?.artifacts["kernel"], "reused");
});

for (const [title, how, outcome] of [
  ["a failure", FAILED, "failed"],
  ["a kernel report under a pass", { lease: { events: [WARN] } }, "crashed"],
  ["a time-out", { end: { runner: "timedOut" } }, "timedOut"],
] as const) {
  test(`${title} of a must is violated`, () => {
    const verdict = verdictOf({ [A]: { tests: { [T1]: how as { end?: End; lease?: Lease } } } });
    assert.deepEqual(short(verdict), ["violated", 1]);
    assert.deepEqual(verdict.targets[0]?.violated, ["MSG-001"]);
    assert.equal(verdict.targets[0]?.counts[outcome], 1);
  });
}

test("a failure of a should is said and is not red", () => {
  const verdict = verdictOf({ [A]: failing(T3) });
  assert.deepEqual(short(verdict), ["conformant", 0]);
  assert.deepEqual(verdict.targets[0]?.advisory, { held: 0, violated: 1, unjudged: 0, waived: 0 });
  assert.deepEqual(verdict.targets[0]?.violated, []);
});

test("a kernel report in a test of a should is red all the same", () => {
  const verdict = verdictOf({ [A]: { tests: { [T3]: { lease: { events: [WARN] } } } } });
  assert.deepEqual(short(verdict), ["violated", 1]);
  assert.deepEqual(verdict.targets[0]?.violations.map((violation) => violation.kind), ["crash"]);
});

test("a kernel report outside of any test is red", () => {
  assert.deepEqual(short(verdictOf({ [A]: { target: { events: [WARN] } } })), ["violated", 1]);
});

for (const [title, how, key] of [
  ["no record", "none", "notRun"],
  ["a lost result", { end: null }, "infraError"],
  ["a killed machine", { lease: { death: { kind: "killed", detail: "" } } }, "infraError"],
  ["an unread console", { lease: { consoleRead: false } }, "infraError"],
  ["a skip without a reason", { end: { runner: "skipped" } }, "notRun"],
  ["a pass without a machine", { lease: null }, "infraError"],
] as const) {
  test(`${title} leaves the verdict undecided`, () => {
    const verdict = verdictOf({ [A]: { tests: { [T1]: how } } });
    assert.deepEqual(short(verdict), ["undecided", 3]);
    assert.equal(verdict.targets[0]?.counts[key], 1);
    assert.equal(verdict.targets[0]?.requirements.unjudged, 1);
  });
  test(`${title} does not take back a violation elsewhere`, () => {
    assert.deepEqual(short(verdictOf({ [A]: { tests: { ...failing(T2).tests, [T1]: how } } })), ["violated", 1]);
  });
}

test("where a requirement has a test for each security module, the one in force decides", () => {
  const listed = (id: string, requirements: string[], canary: string | null = null) => ({ id, file: "tests/x", titles: [id.split(":")[1] ?? ""], requirements, generations: [], canary });
  const [selinux, smack] = ["lsm/a.spec.ts:LSM-001 SELinux", "lsm/b.spec.ts:LSM-001 Smack"];
  const plan = planOf([A], { tests: [listed(selinux, ["LSM-001"]), listed(smack, ["LSM-001"]), listed(C1, [], "crashed: panic")], catalogue: { rows: [row("LSM-001")], digest: digestOf("c") } });
  const state = (...ends: End[]): string => {
    const tests = Object.fromEntries([selinux, smack].map((id, index) => [id, { end: ends[index] ?? {} }]));
    return verdictOf({ [A]: { tests } }, { plan }).targets[0]?.requirementStates[0]?.state ?? "";
  };
  const missing = (...unsupported: string[]): End => ({ runner: "skipped", unsupported });

  assert.equal(state({}, missing("Smack in force")), "held");
  assert.equal(state({ runner: "failed" }, missing("Smack in force")), "violated");
  assert.equal(state(missing("SELinux in force"), missing("Smack in force")), "unjudged");
  assert.equal(state({}, missing("Smack in force", "userfaultfd")), "unjudged");
  assert.equal(state({}, missing("userfaultfd")), "unjudged");
});

test("unsupported leaves its requirement unjudged and bars nothing", () => {
  const verdict = verdictOf({ [A]: { tests: { [T1]: { end: { runner: "skipped", unsupported: ["SELinux"] } } } } });
  assert.deepEqual(short(verdict), ["conformant", 0]);
  assert.deepEqual(verdict.targets[0]?.requirements, { held: 1, violated: 0, unjudged: 1, waived: 0 });
  assert.match(renderReport(verdict), /unsupported, missing: SELinux/);
});

for (const [title, how] of [
  ["a panic called failed", { end: { runner: "failed" } }],
  ["a panic called passed", {}],
  ["a panic called by another report's name", { lease: { events: [WARN] } }],
  ["a canary that did not run", "none"],
] as const) {
  for (const [with_, more] of [["", {}], [" even with a violation", failing(T1).tests]] as const) {
    test(`${title}: undecided${with_}, and the canary is named`, () => {
      const verdict = verdictOf({ [A]: { tests: { ...more, [C1]: how as { end?: End; lease?: Lease } | "none" } } });
      assert.deepEqual(short(verdict), ["undecided", 3]);
      assert.ok(verdict.reasons.some((reason) => reason.includes(C1)), verdict.reasons.join("\n"));
    });
  }
}

test("a lost result is not a killed machine", () => {
  assert.deepEqual(short(verdictOf({ [A]: { tests: { [C2]: { end: null } } } })), ["undecided", 3]);
});

test("a wrong canary on one target makes the violation of another undecided", () => {
  const plan = planOf([A, B]);
  assert.deepEqual(short(verdictOf({ [A]: failing(T1), [B]: { tests: { [C1]: {} } } }, { plan })), ["undecided", 3]);
});

test("a module that does not build is violated, though no canary could run", () => {
  const error = { code: "MODULE_BUILD_FAILED", blame: "subject" as const, message: "1 error", details: "x.c:1: error" };
  const verdict = verdictOf({ [A]: { noBegin: true, target: { ended: "failed", error } } });
  assert.deepEqual(short(verdict), ["violated", 1]);
  assert.equal(verdict.targets[0]?.counts.notRun, 3);
  assert.equal(verdict.canaries.planned, 0);
  assert.match(renderReport(verdict), /x.c:1: error/);
});

test("a target that could not be brought up for lack of ground is undecided, and the other is judged", () => {
  const error = { code: "VM_START_FAILED", blame: "infrastructure" as const, message: "no QEMU", details: "" };
  const plan = planOf([A, B]);
  const verdict = verdictOf({ [A]: { noBegin: true, target: { ended: "failed", error } } }, { plan });
  assert.deepEqual([short(verdict), verdict.targets.map((target) => target.verdict)], [["undecided", 3], ["undecided", "conformant"]]);
  assert.deepEqual(short(verdictOf({ [A]: { noBegin: true, target: { ended: "failed", error } }, [B]: failing(T1) }, { plan })), ["violated", 1]);
});

test("a caller's mistake found while building ends with the caller's code", () => {
  const error = { code: "MODULE_DIR_INVALID", blame: "caller" as const, message: "no Kbuild", details: "" };
  assert.deepEqual(short(verdictOf({ [A]: { noBegin: true, target: { ended: "failed", error } } })), ["undecided", 2]);
});

test("mixed generations are a violation, named; without the fact the verdict is undecided", () => {
  const mixed = { detected: "unknown", signs: { A: "2015-03", B: "2015-08" } };
  const verdict = verdictOf({ [A]: { generation: mixed } }, { plan: planOf([A], { generation: "2015-08" }) });
  assert.deepEqual([short(verdict), verdict.targets[0]?.violations.map((violation) => violation.kind)], [["violated", 1], ["generation"]]);
  assert.match(verdict.reasons.join("\n"), /mixes both generations \(A, items that BUS_MAKE negotiates: 2015-03; B, MATCH_ADD with a DST_ID item: 2015-08\)/);
  const none = verdictOf({ [A]: { generation: { detected: "unknown", signs: { A: "2015-03", B: "no sign, MATCH_ADD with DST_ID fails with EPERM" } } } }, { plan: planOf([A], { generation: "2015-08" }) });
  assert.match(none.reasons.join("\n"), /shows no generation \(.*fails with EPERM\)/);
  const error = { code: "GENERATION_UNKNOWN", blame: "subject" as const, message: "signs disagree", details: "" };
  assert.deepEqual(short(verdictOf({ [A]: { generation: mixed, tests: { [T1]: "none", [T2]: "none", [T3]: "none", [C1]: "none", [C2]: "none" }, target: { ended: "failed", error } } })), ["violated", 1]);
  assert.deepEqual(short(verdictOf({ [A]: { generation: null } })), ["undecided", 3]);
});

for (const [title, given] of [
  ["a run without its last record", { end: null }],
  ["a torn line", { torn: 1 }],
  ["a missing record", { gaps: ["w:3-3"] }],
  ["an error of the run", { more: [{ type: "run-error", target: null, code: "RUNNER_FAILED", message: "died" }] }],
  ["another plan", { planDigest: digestOf("other") }],
  ["a record of a test outside of the plan", { more: [{ type: "test-begin", target: A, test: "unplanned:x", attempt: 1 }] }],
  ["a missing begin of the target", { drop: (record: RunRecord) => record.type === "target-begin" }],
  ["a missing end of the target", { drop: (record: RunRecord) => record.type === "target-end" }],
  ["a missing begin of the run", { drop: (record: RunRecord) => record.type === "run-begin" }],
] as const) {
  test(`${title} bars conformant`, () => {
    assert.deepEqual(short(verdictOf({}, given as Parameters<typeof verdictOf>[1])), ["undecided", 3]);
  });
}

test("on another plan than the one the run began with no violation stands", () => {
  assert.deepEqual(short(verdictOf({ [A]: failing(T1) }, { planDigest: digestOf("other") })), ["undecided", 3]);
});

test("an interruption has its own code, whatever was found", () => {
  const end = { type: "run-end", ended: "interrupted" } as const;
  assert.deepEqual(short(verdictOf({}, { end })), ["undecided", 130]);
  assert.deepEqual(short(verdictOf({ [A]: failing(T1) }, { end })), ["violated", 130]);
});

const waiver: Waiver = { requirement: "MSG-001", target: "x86_64/*/none", owner: "ada", reason: "mended in the next build", lastDay: "2026-06-01" };

test("a waived violation is counted and named, and is not red", () => {
  const verdict = verdictOf({ [A]: failing(T1) }, { waivers: [waiver] });
  assert.deepEqual([short(verdict), verdict.targets[0]?.counts.waived, verdict.targets[0]?.violated], [["conformant", 0], 1, []]);
  assert.equal(verdict.waivers.used.length, 1);
});

test("a waiver excuses only its own requirement, target and days", () => {
  assert.deepEqual(short(verdictOf({ [A]: failing(T1, T2) }, { waivers: [waiver] })), ["violated", 1]);
  assert.deepEqual(short(verdictOf({ [A]: failing(T1) }, { waivers: [{ ...waiver, target: "arm64" }] })), ["violated", 1]);
  const late = verdictOf({ [A]: failing(T1) }, { waivers: [{ ...waiver, lastDay: "2026-05-31" }] });
  assert.deepEqual(short(late), ["violated", 1]);
  assert.ok(late.reasons.some((reason) => reason.includes("has expired")));
  assert.equal(verdictOf({}, { waivers: [waiver] }).waivers.unused.length, 1);
});

test("a part of a requirement's tests cannot show that it holds", () => {
  const plan = planOf([A], { selection: { ...EVERYTHING, grep: "one" } });
  const cut: Plan = { ...plan, requirements: plan.requirements.map((each) => ({ ...each, tests: { planned: 1, suite: 2 } })) };
  const verdict = verdictOf({}, { plan: cut });
  assert.deepEqual([verdict.targets[0]?.requirements, verdict.scope.complete], [{ held: 0, violated: 0, unjudged: 1, waived: 0 }, false]);
});

test("dropping any record of a good run never leaves it conformant, unless another record says the same", () => {
  const records = recordsOf(planOf());
  records.forEach((lost, index) => {
    const verdict = verdictOf({}, { drop: (record) => record.seq === index });
    // The machine's report says enough of a canary; of a test the end must be there too.
    const harmless = lost.type === "test-begin" || (lost.type === "test-end" && lost.test.startsWith("canary/"));
    assert.equal(verdict.verdict, harmless ? "conformant" : "undecided", lost.type);
  });
});

test("whatever is lost, a run with a violation or a loss is never conformant", () => {
  const size = recordsOf(planOf()).length;
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(size - 1), { minLength: 1, maxLength: size }), (lost) => {
      const verdict = verdictOf({ [A]: failing(T1) }, { drop: (record) => lost.includes(record.seq) });
      assert.notEqual(verdict.verdict, "conformant");
    }),
    { numRuns: 300 },
  );
});
