import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RECORD_SCHEMA, type OutcomeKind, type RecordFields } from "../record/v1.ts";
import { VERDICT_SCHEMA, type Counts, type TargetVerdict, type TestVerdict, type Verdict } from "../record/verdict.ts";

export interface MadeUpRun {
  readonly run: string;
  readonly targets: readonly string[];
  /** Tests of each target. */
  readonly tests: number;
  /** Spread over these; default: `msg` alone. */
  readonly areas?: readonly string[];
  /** Default: all pass. */
  readonly outcome?: (index: number, target: string) => OutcomeKind;
  readonly waived?: (index: number) => boolean;
  /** Wall time of every record. */
  readonly at?: string;
  /** Key of the module that was tested. */
  readonly module?: string;
  /** What a crashed test's console said. */
  readonly crash?: { readonly fingerprint: string; readonly title: string };
  /** Message of a failed test. */
  readonly message?: string;
  /** Part of the titles. */
  readonly title?: string;
}

/** Records and verdict of a run that never was, of the real schemas: for tests and measurements of the store. */
export function madeUpRun(options: MadeUpRun): { readonly lines: string[]; readonly verdict: Verdict } {
  return { lines: recordsOf(options), verdict: verdictOf(options) };
}

/** The folder of such a run: records, verdict, and evidence of every test that is not passed. */
export async function writeMadeUpRun(runDir: string, options: MadeUpRun): Promise<void> {
  const { lines, verdict } = madeUpRun(options);
  await mkdir(runDir, { recursive: true });
  await writeFile(join(runDir, "records.jsonl"), lines.join(""));
  await writeFile(join(runDir, "verdict.json"), JSON.stringify(verdict));
  for (const target of verdict.targets) {
    for (const test of target.tests) {
      if (test.evidence === null) continue;
      const folder = join(runDir, test.evidence.slice(test.evidence.indexOf("evidence/")));
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, "console.log"), `console of ${test.id}\n`);
    }
  }
}

export function testName(options: MadeUpRun, index: number): string {
  const areas = options.areas ?? ["msg"];
  return `${areas[index % areas.length] ?? "msg"}/made-up.spec.ts:${options.title ?? "behaviour"} ${index}`;
}

const CANARY = "canary/planted.spec.ts:a planted panic";

function recordsOf(options: MadeUpRun): string[] {
  const { run, targets, tests } = options;
  const fields: RecordFields[] = [{ type: "run-begin", planDigest: `sha256:${"0".repeat(64)}`, seed: 1 }];
  for (const target of targets) {
    fields.push(
      { type: "target-begin", target, accel: { kind: "tcg", why: "made up" }, artifacts: { module: { key: options.module ?? "module-1", state: "built", because: "made up" } } },
      { type: "fact", target, name: "generation", value: { detected: "2015-08", signs: {} } },
    );
    for (let index = 0; index < tests; index++) {
      const kind = options.outcome?.(index, target) ?? "passed";
      if (kind === "not-run") continue;
      const test = testName(options, index);
      const event = { kind: "oops" as const, fingerprint: options.crash?.fingerprint ?? "oops:made_up", title: options.crash?.title ?? "BUG: made up", consoleOffset: 10, excerpt: "BUG: made up\nCall Trace:" };
      fields.push(
        { type: "test-begin", target, test, attempt: 1 },
        { type: "lease", target, test, machine: `m${index}`, events: kind === "crashed" ? [event] : [], death: null, consoleRead: true, heldMs: 400 },
        {
          type: "test-end", target, test, attempt: 1, durationMs: 400.5, limitMs: 60_000,
          runner: kind === "passed" ? "passed" : kind === "timed-out" ? "timedOut" : kind === "unsupported" ? "skipped" : "failed",
          unsupported: kind === "unsupported" ? ["CONFIG_MADE_UP"] : [],
          errors: kind === "failed" ? [{ code: null, message: options.message ?? "expected 1, got 2" }] : [],
          evidence: kind === "passed" ? null : evidenceOf(run, target, index),
        },
      );
    }
    const panic = { kind: "panic" as const, fingerprint: "panic:planted", title: "planted", consoleOffset: 0, excerpt: "" };
    fields.push(
      { type: "lease", target, test: CANARY, machine: "canary", events: [panic], death: null, consoleRead: true, heldMs: 1 },
      { type: "target-end", target, ended: "complete", error: null, events: [], durationsMs: { build: 1, boot: 1, run: 1, total: 3 } },
    );
  }
  fields.push({ type: "run-end", ended: "complete" });
  return fields.map((each, seq) => `\n${JSON.stringify({ schema: RECORD_SCHEMA, run, at: options.at ?? "2026-01-01T00:00:00.000Z", writer: "made-up", seq, ...each })}`);
}

function verdictOf(options: MadeUpRun): Verdict {
  const targets = options.targets.map((target) => targetVerdict(options, target));
  const verdict = targets.some((target) => target.verdict === "violated") ? "violated" : targets.some((target) => target.verdict === "undecided") ? "undecided" : "conformant";
  return {
    schema: VERDICT_SCHEMA, run: options.run, verdict, exitCode: ({ conformant: 0, violated: 1, undecided: 3 } as const)[verdict], reasons: [],
    catalogue: { digest: "sha256:catalogue", must: 1, should: 0, may: 0 },
    plan: { digest: `sha256:${"0".repeat(64)}`, suite: "sha256:suite", seed: 1, selection: "the whole suite" },
    targets,
    canaries: { right: targets.length, planned: targets.length, all: options.targets.map((target) => ({ target, test: CANARY, expected: "crashed", actual: "crashed: panic:planted", right: true })) },
    scope: { complete: true, must: 1, mustWithTest: 1, mustWithoutTest: [], statement: "made up" },
    records: { read: 0, torn: 0, gaps: [], unplanned: [] },
    waivers: { digest: "sha256:waivers", used: [], expired: [], unused: [] },
    startedAt: options.at ?? "2026-01-01T00:00:00.000Z", endedAt: options.at ?? "2026-01-01T00:00:00.000Z",
  };
}

function targetVerdict(options: MadeUpRun, target: string): TargetVerdict {
  const counts = { planned: options.tests, passed: 0, failed: 0, crashed: 0, timedOut: 0, unsupported: 0, infraError: 0, notRun: 0, waived: 0 };
  const tests = Array.from({ length: options.tests }, (_, index): TestVerdict => {
    const kind = options.outcome?.(index, target) ?? "passed";
    const waived = BAD.has(kind) && options.waived?.(index) === true;
    counts[COUNTED[kind]] += 1;
    if (waived) counts.waived += 1;
    const id = testName(options, index);
    return { id, requirements: [requirementOf(id, index)], outcome: outcomeOf(kind, options), durationMs: kind === "not-run" ? null : 400.5, waived, evidence: kind === "passed" || kind === "not-run" ? null : evidenceOf(options.run, target, index) };
  });
  const states = tests.map((test): TargetVerdict["requirementStates"][number] => {
    const bad = BAD.has(test.outcome.kind);
    const state = bad ? (test.waived ? "waived" : "violated") : test.outcome.kind === "passed" ? "held" : "unjudged";
    return { id: test.requirements[0] ?? "", level: "must", text: `what ${test.requirements[0] ?? ""} says`, state, because: state === "held" ? null : test.outcome.kind, tests: bad ? [test.id] : [] };
  });
  const tally = (state: string): number => states.filter((row) => row.state === state).length;
  const violated = states.filter((row) => row.state === "violated").map((row) => row.id);
  return {
    id: target, verdict: violated.length > 0 ? "violated" : tally("unjudged") > 0 ? "undecided" : "conformant", accel: { kind: "tcg", why: "made up" }, counts,
    requirements: { held: tally("held"), violated: violated.length, unjudged: tally("unjudged"), waived: tally("waived") }, advisory: { held: 0, violated: 0, unjudged: 0, waived: 0 },
    violated, violations: [], durationsMs: { build: 1, boot: 1, run: 1, total: 3 }, artifacts: { module: "built" },
    generation: { used: "2015-08", detected: "2015-08", signs: {} }, error: null,
    events: tests.filter((test) => test.outcome.kind === "crashed").map((test) => ({ kind: "oops", fingerprint: options.crash?.fingerprint ?? "oops:made_up", title: options.crash?.title ?? "BUG: made up", consoleOffset: 10, excerpt: "BUG: made up\nCall Trace:", test: test.id })),
    requirementStates: states, tests,
  };
}

const BAD: ReadonlySet<OutcomeKind> = new Set(["failed", "crashed", "timed-out"]);

const COUNTED: Readonly<Record<OutcomeKind, Exclude<keyof Counts, "planned" | "waived">>> = {
  passed: "passed", failed: "failed", crashed: "crashed", "timed-out": "timedOut", unsupported: "unsupported", "infra-error": "infraError", "not-run": "notRun",
};

function outcomeOf(kind: OutcomeKind, options: MadeUpRun): TestVerdict["outcome"] {
  switch (kind) {
    case "passed":
      return { kind };
    case "failed":
      return { kind, message: options.message ?? "expected 1, got 2" };
    case "crashed":
      return { kind, signature: options.crash?.fingerprint ?? "oops:made_up", message: options.crash?.title ?? "BUG: made up" };
    case "timed-out":
      return { kind, limitMs: 60_000, message: "no answer" };
    case "unsupported":
      return { kind, missing: ["CONFIG_MADE_UP"] };
    case "infra-error":
      return { kind, code: "VM_DIED", message: "QEMU ended" };
    case "not-run":
      return { kind, because: "there is no record of it" };
  }
}

/** Where the run was made; the folder may lie elsewhere by the time it is stored. */
function evidenceOf(run: string, target: string, index: number): string {
  return `/somewhere/runs/${run}/evidence/${target.replaceAll("/", "_")}-${index}`;
}

function requirementOf(test: string, index: number): string {
  return `${(test.split("/")[0] ?? "").toUpperCase()}-${String(index).padStart(3, "0")}`;
}
