import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { outcomeOf } from "./outcome.ts";
import type { KernelEvent, MachineDeath, Outcome, RecordFields, RecordOf, RunRecord } from "./v1.ts";

const TARGET = "x86_64/debian-6.1/none/plain";
const TEST = "msg/unicast.spec.ts:MSG-001 a message arrives";
const PAIR = { target: TARGET, test: TEST };
const OOPS: KernelEvent = { kind: "oops", fingerprint: "oops:kdbus_send", title: "BUG: unable to handle page fault", consoleOffset: 0, excerpt: "" };

let seq = 0;
function record(fields: RecordFields): RunRecord {
  return { schema: "buslab.record/1", run: "r", at: "2026-01-01T00:00:00Z", writer: "w", seq: seq++, ...fields };
}
const begin = (attempt = 1): RunRecord => record({ type: "test-begin", target: TARGET, test: TEST, attempt });
const lease = (given: Partial<RecordOf<"lease">> = {}): RunRecord =>
  record({ type: "lease", target: TARGET, test: TEST, machine: "m", events: [], death: null, consoleRead: true, heldMs: 1, ...given });
const end = (runner: RecordOf<"test-end">["runner"], given: Partial<RecordOf<"test-end">> = {}): RunRecord =>
  record({ type: "test-end", target: TARGET, test: TEST, attempt: 1, runner, unsupported: [], errors: [], durationMs: 1, limitMs: 1000, evidence: null, ...given });
const death = (kind: MachineDeath["kind"]): RunRecord => lease({ death: { kind, detail: "seen" } });
const error = (code: string | null): { errors: { code: string | null; message: string }[] } => ({ errors: [{ code, message: "no" }] });

const table: readonly (readonly [title: string, records: readonly RunRecord[], expected: Outcome["kind"], detail?: string])[] = [
  ["no record at all", [], "not-run"],
  ["records of another test only", [record({ type: "test-begin", target: TARGET, test: "other", attempt: 1 })], "not-run"],
  ["records of another target only", [record({ type: "test-begin", target: "other", test: TEST, attempt: 1 })], "not-run"],
  ["a clean pass", [begin(), lease(), end("passed")], "passed"],
  ["a pass without a machine's report", [begin(), end("passed")], "infra-error", "RESULT_LOST"],
  ["a pass with an error", [begin(), lease(), end("passed", error(null))], "failed"],
  ["a pass whose kernel did not say whether it leaks", [begin(), lease({ unasked: "kmemleak: no answer" }), end("passed")], "infra-error"],
  ["a pass that named something missing", [begin(), lease(), end("passed", { unsupported: ["SELinux"] })], "unsupported"],
  ["a pass while the kernel complained", [begin(), lease({ events: [OOPS] }), end("passed")], "crashed", "oops:kdbus_send"],
  ["a pass whose console was not read", [begin(), lease({ consoleRead: false }), end("passed")], "infra-error", "CONSOLE_LOST"],
  ["a pass on a machine that was killed", [begin(), death("killed"), end("passed")], "infra-error", "VM_DIED"],
  ["a pass on a machine that hangs", [begin(), death("hung"), end("passed")], "timed-out"],
  ["a pass on a machine that panicked silently", [begin(), death("panic"), end("passed")], "crashed", "panic-without-report"],
  ["a pass on a machine that reset itself", [begin(), death("reset"), end("passed")], "crashed", "reset-without-report"],
  ["a plain failure", [begin(), lease(), end("failed", error(null))], "failed"],
  ["a failure without a reason", [begin(), lease(), end("failed")], "failed"],
  ["a failure that blames the ground", [begin(), lease(), end("failed", error("GUEST_LOST"))], "infra-error", "GUEST_LOST"],
  ["a failure that blames the caller", [begin(), lease(), end("failed", error("CONFIG_INVALID"))], "infra-error", "CONFIG_INVALID"],
  ["a failure that blames the subject", [begin(), lease(), end("failed", error("MODULE_LOAD_FAILED"))], "failed"],
  ["a failure with an unknown code", [begin(), lease(), end("failed", error("NO_SUCH_CODE"))], "failed"],
  ["an honest failure beside one of the ground", [begin(), lease(), end("failed", { errors: [{ code: "GUEST_LOST", message: "a" }, { code: null, message: "b" }] })], "failed"],
  ["a failure and a kernel report", [begin(), lease({ events: [OOPS] }), end("failed", error("GUEST_LOST"))], "crashed"],
  ["a failure on a killed machine", [begin(), death("killed"), end("failed", error(null))], "infra-error", "VM_DIED"],
  ["a failure on a machine that hangs", [begin(), death("hung"), end("failed", error("GUEST_TIMEOUT"))], "timed-out"],
  ["a failure whose console was not read", [begin(), lease({ consoleRead: false }), end("failed", error(null))], "infra-error", "CONSOLE_LOST"],
  ["a failure before any machine", [begin(), end("failed", error("VM_POOL_CLOSED"))], "infra-error", "VM_POOL_CLOSED"],
  ["a time-out with a living guest", [begin(), lease(), end("timedOut", error(null))], "timed-out"],
  ["a time-out without any machine", [begin(), end("timedOut", error(null))], "infra-error", "VM_START_FAILED"],
  ["a time-out and a kernel report", [begin(), lease({ events: [OOPS] }), end("timedOut")], "crashed"],
  ["a skip that names what is missing", [begin(), lease(), end("skipped", { unsupported: ["userfaultfd"] })], "unsupported"],
  ["a skip that names nothing", [begin(), lease(), end("skipped")], "not-run"],
  ["a skip before any machine", [begin(), end("skipped", { unsupported: ["SELinux"] })], "unsupported"],
  ["a skip while the kernel complained", [begin(), lease({ events: [OOPS] }), end("skipped", { unsupported: ["x"] })], "crashed"],
  ["an interruption", [begin(), lease(), end("interrupted")], "not-run"],
  ["a begin without an end", [begin()], "infra-error", "RESULT_LOST"],
  ["a begin and a machine without an end", [begin(), lease()], "infra-error", "RESULT_LOST"],
  ["no end, but a kernel report", [begin(), lease({ events: [OOPS] })], "crashed"],
  ["no end, and the guest hangs", [begin(), death("hung")], "timed-out"],
  ["no end, and QEMU failed", [begin(), death("qemu-failed")], "infra-error", "VM_DIED"],
  ["a second attempt without an end", [begin(1), lease(), end("passed"), begin(2)], "infra-error", "RESULT_LOST"],
  ["a pass after a failure", [begin(1), lease(), end("failed", error(null)), begin(2), lease(), end("passed", { attempt: 2 })], "failed"],
  ["a second lease with a report", [begin(), lease(), lease({ events: [OOPS] }), end("passed")], "crashed"],
  ["the same end twice", [begin(), lease(), end("passed"), end("passed")], "passed"],
];

for (const [title, records, expected, detail] of table) {
  test(`${title}: ${expected}${detail === undefined ? "" : ` ${detail}`}`, () => {
    const outcome = outcomeOf(PAIR, records);
    assert.equal(outcome.kind, expected);
    if (detail !== undefined) assert.ok(JSON.stringify(outcome).includes(detail), JSON.stringify(outcome));
  });
}

const runners = ["passed", "failed", "timedOut", "skipped", "interrupted"] as const;
const deaths = [null, "panic", "reset", "killed", "qemu-failed", "hung"] as const;
const codes = [null, "GUEST_LOST", "MODULE_LOAD_FAILED", "CONFIG_INVALID", "NO_SUCH_CODE"] as const;

test("every combination of runner, report, death, console, result and error has the outcome of the strongest evidence", () => {
  let seen = 0;
  for (const runner of runners)
    for (const events of [[], [OOPS]])
      for (const kind of deaths)
        for (const consoleRead of [true, false])
          for (const ended of [true, false])
            for (const code of [undefined, ...codes])
              for (const missing of [[], ["x"]]) {
                const records = [
                  begin(),
                  lease({ events, consoleRead, death: kind === null ? null : { kind, detail: "seen" } }),
                  ...(ended ? [end(runner, { unsupported: missing, ...(code === undefined ? {} : error(code)) })] : []),
                ];
                assert.equal(outcomeOf(PAIR, records).kind, expectedKind(), JSON.stringify(records));
                seen += 1;

                function expectedKind(): Outcome["kind"] {
                  if (events.length > 0 || kind === "panic" || kind === "reset") return "crashed";
                  if (kind === "killed" || kind === "qemu-failed" || !consoleRead) return "infra-error";
                  if (kind === "hung") return "timed-out";
                  if (!ended) return "infra-error";
                  if (runner === "timedOut") return "timed-out";
                  if (runner === "interrupted") return "not-run";
                  if (runner === "skipped") return missing.length > 0 ? "unsupported" : "not-run";
                  if (runner === "failed") return code === "GUEST_LOST" || code === "CONFIG_INVALID" ? "infra-error" : "failed";
                  if (code !== undefined) return "failed";
                  return missing.length > 0 ? "unsupported" : "passed";
                }
              }
  assert.equal(seen, 5 * 2 * 6 * 2 * 2 * 6 * 2);
});

const anyRecord = fc.oneof(
  fc.integer({ min: 1, max: 3 }).map((attempt) => begin(attempt)),
  fc
    .record({ events: fc.array(fc.constant(OOPS), { maxLength: 2 }), kind: fc.constantFrom(...deaths), consoleRead: fc.boolean() })
    .map(({ events, kind, consoleRead }) => lease({ events, consoleRead, death: kind === null ? null : { kind, detail: "" } })),
  fc
    .record({ runner: fc.constantFrom(...runners), attempt: fc.integer({ min: 1, max: 3 }), codes: fc.array(fc.constantFrom(...codes), { maxLength: 2 }), unsupported: fc.array(fc.string(), { maxLength: 1 }) })
    .map(({ runner, attempt, codes: given, unsupported }) => end(runner, { attempt, unsupported, errors: given.map((code) => ({ code, message: "" })) })),
);

test("nothing is ever passed unless everything recorded speaks for it", () => {
  fc.assert(
    fc.property(fc.array(anyRecord, { maxLength: 8 }), (records) => {
      if (outcomeOf(PAIR, records).kind !== "passed") return;
      const leases = records.filter((each) => each.type === "lease");
      const ends = records.filter((each) => each.type === "test-end");
      assert.ok(leases.length > 0 && ends.length > 0);
      assert.ok(leases.every((each) => each.events.length === 0 && each.death === null && each.consoleRead));
      assert.ok(ends.every((each) => each.runner === "passed" && each.errors.length === 0 && each.unsupported.length === 0));
      assert.ok(records.every((each) => each.type !== "test-begin" || ends.some((other) => other.attempt === each.attempt)));
    }),
    { numRuns: 5000 },
  );
});

test("a kernel report makes a crash, whatever else is recorded and in whatever order", () => {
  fc.assert(
    fc.property(fc.array(anyRecord, { maxLength: 6 }), fc.nat(6), (records, at) => {
      const withOops = [...records.slice(0, at), lease({ events: [OOPS] }), ...records.slice(at)];
      assert.equal(outcomeOf(PAIR, withOops).kind, "crashed");
    }),
  );
});

test("records of other tests change nothing", () => {
  fc.assert(
    fc.property(fc.array(anyRecord, { maxLength: 6 }), fc.array(anyRecord, { maxLength: 6 }), (own, others) => {
      const foreign = others.map((each) => ({ ...each, test: "another" }) as RunRecord);
      assert.deepEqual(outcomeOf(PAIR, [...foreign, ...own]), outcomeOf(PAIR, own));
    }),
  );
});
