import { renderAreas } from "./area-table.ts";
import { summaryOf } from "../record/outcome.ts";
import type { TargetVerdict, TestVerdict, Verdict } from "../record/verdict.ts";

const WIDTH = 118;
const SLOWEST = 10;
const MOST_FAILURES = 40;

const EXPLAINED: Readonly<Record<Verdict["verdict"], string>> = {
  conformant: "CONFORMANT: every planned test of every must requirement gave its result, and none is broken",
  violated: "VIOLATED: the subject breaks what it must hold",
  undecided: "UNDECIDED: not enough was learnt to judge the subject",
};

/** A verdict for people: plain text, readable without colour, what matters most at the end where a terminal stops. */
export function renderReport(verdict: Verdict): string {
  return [
    `Run ${verdict.run}${verdict.startedAt === null ? "" : `, started ${verdict.startedAt}`}`,
    `Catalogue ${verdict.catalogue.digest.slice(7, 19)} (${verdict.catalogue.must} must, ${verdict.catalogue.should} should, ${verdict.catalogue.may} may), suite ${verdict.plan.suite.slice(7, 19)}, order ${verdict.plan.seed}`,
    ...verdict.targets.flatMap((target) => ["", ...renderTarget(target)]),
    "",
    ...(verdict.targets.length < 2 ? [] : ["Passed of planned, by target and area (! speaks against the subject, ? not learnt):", ...renderAreas(verdict.targets, WIDTH), ""]),
    ...renderCanaries(verdict),
    ...renderWaivers(verdict),
    wrap(`Scope: ${verdict.scope.statement}`, "  "),
    "",
    ...(verdict.reasons.length === 0 || verdict.verdict === "conformant" ? [] : ["Why:", ...shorten(verdict.reasons, 20).map((reason) => wrap(`  - ${reason}`, "    ")), ""]),
    `${EXPLAINED[verdict.verdict]} (exit code ${verdict.exitCode})`,
  ].join("\n");
}

function renderTarget(target: TargetVerdict): string[] {
  const { counts, durationsMs: took } = target;
  const lines = [
    `Target ${target.id}: ${target.verdict}`,
    `  accelerator  ${target.accel.kind} (${target.accel.why})`,
    `  generation   ${target.generation.used ?? "unknown"}${describeSigns(target)}`,
    `  artifacts    ${Object.entries(target.artifacts).map(([name, state]) => `${name} ${state}`).join(", ") || "none"}`,
    `  tests        ${counts.planned} planned: ${counts.passed} passed, ${counts.failed} failed, ${counts.crashed} crashed, ${counts.timedOut} timed out, ${counts.unsupported} unsupported, ${counts.infraError} infra errors, ${counts.notRun} not run${counts.waived > 0 ? `; ${counts.waived} waived` : ""}`,
    `  must         ${describeTally(target.requirements)}`,
    `  should, may  ${describeTally(target.advisory)}`,
    `  took         build ${seconds(took.build)}, boot ${seconds(took.boot)}, run ${seconds(took.run)}, total ${seconds(took.total)}`,
  ];
  if (target.error !== null) lines.push(wrap(`  error        ${target.error.code}: ${target.error.message}`, "               "), ...indent(target.error.details, 30));
  return [...lines, ...renderViolated(target), ...renderOthers(target), ...renderSlowest(target.tests)];
}

function renderViolated(target: TargetVerdict): string[] {
  const byId = new Map(target.tests.map((test) => [test.id, test]));
  const lines: string[] = [];
  for (const row of target.requirementStates.filter((state) => state.state === "violated")) {
    lines.push("", wrap(`  ${row.level === "must" ? "VIOLATED" : `not held (${row.level})`} ${row.id}: ${row.text}`, "    "));
    for (const id of row.tests) {
      const test = byId.get(id);
      if (test !== undefined) lines.push(...renderTest(test));
    }
  }
  const others = target.violations.filter((violation) => violation.kind !== "requirement");
  for (const violation of others) {
    lines.push("", wrap(`  VIOLATED ${violation.kind}: ${violation.title}${violation.kind === "crash" ? ` (${violation.test ?? "outside of any test"})` : ""}`, "    "));
  }
  return lines;
}

/** Tests that tell nothing about the subject, each with its reason; without them a reader would have to guess what is missing. */
function renderOthers(target: TargetVerdict): string[] {
  const blank = target.tests.filter((test) => test.outcome.kind === "infra-error" || test.outcome.kind === "not-run" || test.outcome.kind === "unsupported");
  if (blank.length === 0) return [];
  const byReason = new Map<string, TestVerdict[]>();
  for (const test of blank) byReason.set(summaryOf(test.outcome), [...(byReason.get(summaryOf(test.outcome)) ?? []), test]);
  return [
    "",
    "  No result:",
    ...[...byReason].flatMap(([reason, tests]) => [wrap(`    ${tests.length} x ${reason}`, "      "), ...shorten(tests.map((test) => `      ${test.id}`), 5)]),
  ];
}

function renderTest(test: TestVerdict): string[] {
  const message = test.outcome.kind === "failed" || test.outcome.kind === "timed-out" ? test.outcome.message : summaryOf(test.outcome);
  const lines = message.split("\n").map((line) => line.trimEnd()).filter((line) => line !== "");
  return [`    ${test.outcome.kind}: ${test.id}`, ...lines.slice(0, 6).map((line) => `      ${line.slice(0, WIDTH * 2)}`), ...(test.evidence === null ? [] : [`      evidence: ${test.evidence}`])];
}

function renderSlowest(tests: readonly TestVerdict[]): string[] {
  const timed = tests.flatMap(({ id, durationMs }) => (durationMs === null ? [] : [{ id, durationMs }])).sort((a, b) => b.durationMs - a.durationMs);
  if (timed.length < 2) return [];
  const median = timed[Math.floor(timed.length / 2)]?.durationMs ?? 0;
  return ["", `  Tests took ${(median / 1000).toFixed(2)} s each in the median, machine included; the slowest:`, ...timed.slice(0, SLOWEST).map((test) => `    ${seconds(test.durationMs).padStart(8)}  ${test.id}`)];
}

function renderCanaries(verdict: Verdict): string[] {
  const { right, planned, all } = verdict.canaries;
  const wrong = all.filter((canary) => !canary.right);
  return [
    `Canaries: ${right} of ${planned} called by their right names${planned === 0 ? " (none ran)" : ""}`,
    ...wrong.map((canary) => `  WRONG ${canary.test} on ${canary.target}: called "${canary.actual}", is "${canary.expected}"`),
  ];
}

function renderWaivers(verdict: Verdict): string[] {
  const { used, expired, unused } = verdict.waivers;
  return [...used.map((text) => `Waiver used: ${text}`), ...expired.map((text) => `Waiver EXPIRED, no effect: ${text}`), ...unused.map((text) => `Waiver not needed: ${text}`)];
}

function describeSigns(target: TargetVerdict): string {
  const signs = Object.entries(target.generation.signs).map(([name, sign]) => `${name} says ${sign}`);
  return signs.length === 0 ? "" : ` (${signs.join(", ")})`;
}

function describeTally(tally: TargetVerdict["requirements"]): string {
  return `${tally.held} held, ${tally.violated} violated, ${tally.unjudged} not judged${tally.waived > 0 ? `, ${tally.waived} waived` : ""}`;
}

function indent(text: string, most: number): string[] {
  return text === "" ? [] : shorten(text.trimEnd().split("\n"), most).map((line) => `    | ${line}`);
}

/** The first entries, and a line that says how many are left out. */
function shorten(lines: readonly string[], most: number = MOST_FAILURES): string[] {
  return lines.length <= most ? [...lines] : [...lines.slice(0, most), `    ... and ${lines.length - most} more`];
}

function seconds(ms: number): string {
  return ms < 9_950 ? `${(ms / 1000).toFixed(1)} s` : ms < 120_000 ? `${Math.round(ms / 1000)} s` : `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

function wrap(text: string, hanging: string): string {
  const lines: string[] = [];
  let line = /^ */.exec(text)?.[0] ?? "";
  let fresh = true;
  for (const word of text.trimStart().split(" ")) {
    if (!fresh && line.length + word.length + 1 > WIDTH) {
      lines.push(line);
      line = hanging + word;
    } else {
      line += fresh ? word : ` ${word}`;
    }
    fresh = false;
  }
  return [...lines, line].join("\n");
}
