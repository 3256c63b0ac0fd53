import { ERROR_TABLE } from "../base/errors.ts";
import { summaryOf } from "../record/outcome.ts";
import type { TargetVerdict, TestVerdict, Verdict } from "../record/verdict.ts";
import { pairKey, type ExportInput } from "./input.ts";

/** What a case is called in every format; `statuses` has a spelling of each. */
export type Status = "pass" | "fail" | "crash" | "timeout" | "infra" | "broken" | "skip" | "waived" | "not-run";

export interface Spelling {
  readonly ktap: { readonly ok: boolean; readonly directive: "SKIP" | "XFAIL" | "TIMEOUT" | "ERROR" | null };
  readonly junit: "failure" | "error" | "skipped" | null;
  readonly ctrf: "passed" | "failed" | "skipped" | "other";
  readonly kcidb: "PASS" | "FAIL" | "ERROR" | "MISS" | "SKIP";
  readonly inToto: "passedTests" | "warnedTests" | "failedTests";
}

/** One status, six spellings. None is softer than ours: what was not learnt is never shown as a skip. */
export const SPELLINGS: Readonly<Record<Status, Spelling>> = {
  pass: { ktap: { ok: true, directive: null }, junit: null, ctrf: "passed", kcidb: "PASS", inToto: "passedTests" },
  fail: { ktap: { ok: false, directive: null }, junit: "failure", ctrf: "failed", kcidb: "FAIL", inToto: "failedTests" },
  crash: { ktap: { ok: false, directive: "ERROR" }, junit: "failure", ctrf: "failed", kcidb: "FAIL", inToto: "failedTests" },
  timeout: { ktap: { ok: false, directive: "TIMEOUT" }, junit: "failure", ctrf: "failed", kcidb: "FAIL", inToto: "failedTests" },
  infra: { ktap: { ok: false, directive: "ERROR" }, junit: "error", ctrf: "other", kcidb: "MISS", inToto: "failedTests" },
  broken: { ktap: { ok: false, directive: "ERROR" }, junit: "error", ctrf: "other", kcidb: "ERROR", inToto: "failedTests" },
  skip: { ktap: { ok: true, directive: "SKIP" }, junit: "skipped", ctrf: "skipped", kcidb: "SKIP", inToto: "warnedTests" },
  waived: { ktap: { ok: false, directive: "XFAIL" }, junit: "skipped", ctrf: "failed", kcidb: "FAIL", inToto: "warnedTests" },
  "not-run": { ktap: { ok: false, directive: "ERROR" }, junit: "error", ctrf: "other", kcidb: "MISS", inToto: "failedTests" },
};

/** One line of an export: a test on a target, or a verdict. */
export interface Case {
  readonly target: string;
  /** `<area>/<file>` of a test; `verdict` for a verdict. */
  readonly file: string;
  readonly title: string;
  /** The test's id; null for a verdict. */
  readonly test: string | null;
  readonly requirements: readonly string[];
  readonly status: Status;
  /** Our own word for it. */
  readonly outcome: string;
  /** One line. */
  readonly summary: string;
  /** All there is to say. */
  readonly message: string;
  readonly durationMs: number | null;
  readonly begunAt: string | null;
  readonly files: readonly string[];
}

/**
 * Cases of a target, in the order of the verdict, the target's own verdict last. That last one keeps an export from looking better than the run:
 * a kernel that crashed outside of every test, a canary called by a wrong name or a torn record fail no test.
 */
export function casesOf(input: ExportInput, target: TargetVerdict): Case[] {
  return [...target.tests.map((test) => caseOf(input, target, test)), verdictCase(target.id, "verdict of the target", target.verdict, targetReasons(target))];
}

/** The verdict of the whole run. */
export function runCase(verdict: Verdict): Case {
  return verdictCase("run", "verdict of the run", verdict.verdict, verdict.reasons);
}

function caseOf(input: ExportInput, target: TargetVerdict, test: TestVerdict): Case {
  const colon = test.id.indexOf(":");
  const events = target.events.filter((event) => event.test === test.id);
  const key = pairKey(target.id, test.id);
  return {
    target: target.id,
    file: colon < 0 ? "" : test.id.slice(0, colon),
    title: test.id.slice(colon + 1),
    test: test.id,
    requirements: test.requirements,
    status: test.waived ? "waived" : statusOf(test.outcome),
    outcome: test.outcome.kind,
    summary: summaryOf(test.outcome),
    message: [messageOf(test.outcome), ...events.map((event) => `${event.title}\n${event.excerpt}`)].join("\n").trimEnd(),
    durationMs: test.durationMs,
    begunAt: input.begunAt.get(key) ?? null,
    files: input.files.get(key) ?? [],
  };
}

function statusOf(outcome: TestVerdict["outcome"]): Status {
  switch (outcome.kind) {
    case "passed":
      return "pass";
    case "failed":
      return "fail";
    case "crashed":
      return "crash";
    case "timed-out":
      return "timeout";
    case "unsupported":
      return "skip";
    case "not-run":
      return "not-run";
    case "infra-error":
      return isBrokenTest(outcome.code) ? "broken" : "infra";
  }
}

/** A test that asked for the impossible, or a defect of ours: not the ground, and not the subject. */
function isBrokenTest(code: string): boolean {
  return code === "INTERNAL" || (code in ERROR_TABLE && ERROR_TABLE[code as keyof typeof ERROR_TABLE].blame === "caller");
}

function messageOf(outcome: TestVerdict["outcome"]): string {
  return outcome.kind === "failed" || outcome.kind === "timed-out" || outcome.kind === "crashed" || outcome.kind === "infra-error" ? outcome.message : summaryOf(outcome);
}

function verdictCase(target: string, title: string, verdict: Verdict["verdict"], reasons: readonly string[]): Case {
  const status: Status = verdict === "conformant" ? "pass" : verdict === "violated" ? "fail" : "infra";
  const summary = verdict === "conformant" ? "conformant" : `${verdict}: ${reasons[0] ?? "see the tests"}`;
  return { target, file: "verdict", title, test: null, requirements: [], status, outcome: verdict, summary, message: [verdict, ...reasons].join("\n"), durationMs: null, begunAt: null, files: [] };
}

function targetReasons(target: TargetVerdict): string[] {
  return [
    ...(target.error === null ? [] : [`${target.error.code}: ${target.error.message}`]),
    ...target.violations.map((violation) => (violation.kind === "requirement" ? `${violation.requirement} is violated` : `${violation.kind}: ${violation.title}`)),
    ...(target.requirements.unjudged > 0 ? [`${target.requirements.unjudged} must requirements are not judged`] : []),
  ];
}
