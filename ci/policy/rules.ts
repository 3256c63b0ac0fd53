import { EXIT, type ExitCode } from "../../orchestration/base/exit-codes.ts";
import type { Outcome } from "../../orchestration/record/v1.ts";
import type { TargetVerdict, Verdict } from "../../orchestration/record/verdict.ts";

/*
 * The rules of a verdict, in the order in which they are asked.
 *
 * 1. Canaries first. If the harness calls one planted fault by a wrong name, or there is none, its word is worth nothing:
 *    the whole verdict is undecided, violations or not. A target that never began a test (its module does not compile, its
 *    kernel does not boot) has nothing that canaries would vouch for, and is judged by the error that ended it.
 * 2. A violation stands on the complete records of its own test (its result, or what its machine reported), and on a
 *    plan that is the one the run began with. Then nothing that is missing elsewhere can take it back: violated wins over
 *    undecided.
 * 3. Without a violation, anything not learnt bars `conformant`: a planned test that is not-run or infra-error, a torn or
 *    missing record, a run or target that did not end, an error of the run itself.
 * 4. `unsupported` is a fact about the target: its requirements are unjudged and named, and it bars nothing.
 * 5. Only requirements of level must make red. A kernel report is red whatever the level of the test in which it came:
 *    no requirement allows the kernel to crash.
 */

/** Outcomes that speak against the subject. */
export function isBad(outcome: Outcome): boolean {
  return outcome.kind === "failed" || outcome.kind === "crashed" || outcome.kind === "timed-out";
}

/** Outcomes after which nothing is known about the subject. */
export function isBlank(outcome: Outcome): boolean {
  return outcome.kind === "infra-error" || outcome.kind === "not-run";
}

export function targetVerdict(target: { readonly violations: number; readonly planHolds: boolean; readonly gaps: readonly string[] }): TargetVerdict["verdict"] {
  if (target.planHolds && target.violations > 0) return "violated";
  return target.gaps.length > 0 || !target.planHolds ? "undecided" : "conformant";
}

export function runVerdict(run: { readonly canariesRight: boolean; readonly runGaps: readonly string[]; readonly targets: readonly TargetVerdict["verdict"][] }): Verdict["verdict"] {
  if (!run.canariesRight) return "undecided";
  if (run.targets.includes("violated")) return "violated";
  if (run.runGaps.length > 0 || run.targets.length === 0 || run.targets.includes("undecided")) return "undecided";
  return "conformant";
}

/** An interruption and a caller's mistake have codes of their own; they never hide behind 0. */
export function exitCode(verdict: Verdict["verdict"], run: { readonly interrupted: boolean; readonly callerAtFault: boolean }): ExitCode {
  if (run.interrupted) return EXIT.interrupted;
  if (verdict === "violated") return EXIT.violated;
  if (verdict === "undecided") return run.callerAtFault ? EXIT.caller : EXIT.undecided;
  return EXIT.conformant;
}
