import { casesOf, runCase, SPELLINGS, type Case } from "./cases.ts";
import type { ExportInput } from "./input.ts";
import { oneLine, plain, UniqueNames } from "./text.ts";

const MOST_LINES = 40;

/**
 * KTAP version 1: a nested suite a target, one result a test. What version 2 would call metadata stands in comment lines
 * `#:custom_requirement: MSG-001`, which readers of version 1 skip.
 */
export function toKtap(input: ExportInput): string {
  const { verdict } = input;
  const run = runCase(verdict);
  const suites = verdict.targets.map((target) => ({ target, cases: casesOf(input, target) }));
  const names = new UniqueNames();
  const lines = ["KTAP version 1", `1..${suites.length + 1}`];
  suites.forEach(({ target, cases }, index) => {
    const inner = new UniqueNames();
    // The plan right behind the version: the kernel's parser takes it nowhere else, so what describes the suite comes after it.
    const body = ["KTAP version 1", `1..${cases.length}`, `#:ktap_test: ${oneLine(target.id)}`, `#:ktap_arch: ${oneLine(target.id.split("/")[0] ?? "")}`, ...cases.flatMap((each, place) => result(each, place + 1, inner.take(nameOf(each))))];
    lines.push(...body.map((line) => `  ${line}`));
    const ok = cases.every((each) => SPELLINGS[each.status].ktap.ok);
    lines.push(`${ok ? "ok" : "not ok"} ${index + 1} ${names.take(description(target.id))}`);
  });
  return `${[...lines, ...result(run, suites.length + 1, names.take(nameOf(run)))].join("\n")}\n`;
}

function result(each: Case, number: number, name: string): string[] {
  const { ok, directive } = SPELLINGS[each.status].ktap;
  const told = each.status === "pass" ? [] : plain(each.message).split("\n").slice(0, MOST_LINES);
  return [
    ...each.requirements.map((id) => `#:custom_requirement: ${oneLine(id)}`),
    ...(each.durationMs === null ? [] : [`#:ktap_duration: ${(each.durationMs / 1000).toFixed(3)}s`]),
    ...told.map((line) => `# ${line.trimEnd()}`.trimEnd()),
    `${ok ? "ok" : "not ok"} ${number} ${name}${directive === null ? "" : ` # ${directive} ${oneLine(each.summary)}`}`,
  ];
}

function nameOf(each: Case): string {
  return description(each.test ?? each.title);
}

/** A description ends at the first `#`. */
function description(text: string): string {
  return oneLine(text).replaceAll("#", "no.");
}
