import { casesOf, runCase, SPELLINGS, type Case } from "./cases.ts";
import type { ExportInput } from "./input.ts";
import { oneLine, plain } from "./text.ts";

/** GitHub shows ten a step and kind; more would only make the log longer. */
const MOST_ANNOTATIONS = 10;
const MOST_ROWS = 200;

/** Workflow commands for the log of a step: failures as errors, what was not learnt as warnings. */
export function toGithubAnnotations(input: ExportInput): string {
  const cases = [runCase(input.verdict), ...input.verdict.targets.flatMap((target) => casesOf(input, target).filter((each) => each.test !== null))];
  const errors = cases.filter((each) => SPELLINGS[each.status].junit === "failure");
  const warnings = cases.filter((each) => SPELLINGS[each.status].junit === "error" || each.status === "waived");
  const shown = [...errors.slice(0, MOST_ANNOTATIONS).map((each) => annotation("error", each)), ...warnings.slice(0, MOST_ANNOTATIONS).map((each) => annotation("warning", each))];
  const more = errors.length + warnings.length - shown.length;
  return [...shown, ...(more > 0 ? [`::notice::${more} more are in the step summary`] : [])].map((line) => `${line}\n`).join("");
}

/** Markdown for $GITHUB_STEP_SUMMARY. */
export function toGithubSummary(input: ExportInput): string {
  const { verdict } = input;
  const bad = verdict.targets.flatMap((target) => casesOf(input, target).filter((each) => each.test !== null && each.status !== "pass" && each.status !== "skip"));
  return [
    `## buslab: ${verdict.verdict}`,
    "",
    ...verdict.reasons.slice(0, 20).map((reason) => `- ${cell(reason)}`),
    "",
    "| Target | Verdict | Planned | Passed | Failed | Crashed | Timed out | Unsupported | Infra errors | Not run | Must held | Must violated |",
    "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ...verdict.targets.map(({ id, verdict: word, counts: c, requirements }) =>
      `| ${[id, word, c.planned, c.passed, c.failed, c.crashed, c.timedOut, c.unsupported, c.infraError, c.notRun, requirements.held, requirements.violated].map((value) => cell(String(value))).join(" | ")} |`,
    ),
    "",
    ...(bad.length === 0 ? [] : ["| Target | Test | Requirements | Outcome | Message |", "|---|---|---|---|---|"]),
    ...bad.slice(0, MOST_ROWS).map((each) => `| ${[each.target, each.test ?? each.title, each.requirements.join(" "), each.status === "waived" ? `${each.outcome}, waived` : each.outcome, each.summary].map(cell).join(" | ")} |`),
    ...(bad.length > MOST_ROWS ? ["", `and ${bad.length - MOST_ROWS} more`] : []),
    "",
    `Run ${cell(verdict.run)}, canaries ${verdict.canaries.right} of ${verdict.canaries.planned} right.`,
    "",
  ].join("\n");
}

function annotation(kind: "error" | "warning", each: Case): string {
  const where = each.test === null ? "" : `file=${property(`conformance/tests/${each.file}`)},`;
  return `::${kind} ${where}title=${property(`${each.target}: ${each.title}`)}::${data(`${each.outcome}: ${each.message}`)}`;
}

/** `%`, CR and LF end or open a command; `:` and `,` end a property. */
function data(text: string): string {
  return plain(text).slice(0, 4_000).replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

function property(text: string): string {
  return data(oneLine(text)).replaceAll(":", "%3A").replaceAll(",", "%2C");
}

/** Text from a guest is data: no markup, no cell ends. */
function cell(text: string): string {
  return oneLine(text).slice(0, 500).replaceAll(/[\\`*_{}[\]<>()#+!|~&@]/g, (sign) => `&#${sign.codePointAt(0) ?? 0};`);
}
