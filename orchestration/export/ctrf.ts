import { casesOf, runCase, SPELLINGS, type Case } from "./cases.ts";
import type { ExportInput } from "./input.ts";
import { oneLine, plain, UniqueNames } from "./text.ts";

/** Common Test Report Format, draft 0.0. */
export function toCtrf(input: ExportInput): object {
  const { verdict } = input;
  const cases = [...verdict.targets.flatMap((target) => casesOf(input, target)), runCase(verdict)];
  const count = (status: string): number => cases.filter((each) => SPELLINGS[each.status].ctrf === status).length;
  const names = new UniqueNames();
  return {
    reportFormat: "CTRF",
    specVersion: "0.0.0",
    results: {
      tool: { name: "buslab", extra: { run: verdict.run } },
      summary: {
        tests: cases.length, passed: count("passed"), failed: count("failed"), skipped: count("skipped"), pending: 0, other: count("other"),
        start: time(verdict.startedAt), stop: time(verdict.endedAt ?? verdict.startedAt),
      },
      tests: cases.map((each) => testOf(each, names)),
      extra: { verdict: verdict.verdict, exitCode: verdict.exitCode, catalogue: verdict.catalogue, plan: verdict.plan, canaries: { right: verdict.canaries.right, planned: verdict.canaries.planned } },
    },
  };
}

function testOf(each: Case, names: UniqueNames): object {
  const start = each.begunAt === null ? {} : { start: time(each.begunAt), stop: time(each.begunAt) + Math.round(each.durationMs ?? 0) };
  return {
    name: names.take(oneLine(`${each.target} ${each.test ?? each.title}`)),
    status: SPELLINGS[each.status].ctrf,
    duration: Math.round(each.durationMs ?? 0),
    ...start,
    suite: [each.target, each.file],
    rawStatus: each.outcome,
    ...(each.status === "pass" ? {} : { message: oneLine(each.summary), trace: plain(each.message) }),
    ...(each.test === null ? {} : { filePath: `conformance/tests/${each.file}` }),
    labels: { ...(each.requirements.length === 0 ? {} : { requirement: [...each.requirements] }), target: each.target, ...(each.status === "waived" ? { waived: "true" } : {}) },
  };
}

/** Milliseconds since 1970; 0 where the run does not tell. */
function time(text: string | null): number {
  return text === null ? 0 : Date.parse(text);
}
