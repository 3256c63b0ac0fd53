import { isAbsolute, relative } from "node:path";
import { casesOf, runCase, SPELLINGS, type Case } from "./cases.ts";
import type { ExportInput } from "./input.ts";
import { escapeAttribute, escapeXml, UniqueNames } from "./text.ts";

export interface JunitOptions {
  /** Folder that attachments are named from: GitLab takes paths below the project's folder only. None when absent. */
  readonly attachmentsFrom?: string;
}

const TYPES: Readonly<Partial<Record<Case["status"], string>>> = { crash: "kernel-crash", timeout: "timeout", fail: "assertion", infra: "infrastructure", broken: "broken-test", "not-run": "not-run" };

/** JUnit XML: a suite a target, `classname` a dotted path (GitLab shows it as the suite), every name unique. */
export function toJunit(input: ExportInput, options: JunitOptions = {}): string {
  const { verdict } = input;
  const names = new UniqueNames();
  const suites = [
    ...verdict.targets.map((target) => ({
      name: target.id,
      cases: casesOf(input, target),
      properties: { verdict: target.verdict, accel: target.accel.kind, generation: target.generation.used ?? "unknown", held: String(target.requirements.held), violated: target.violated.join(" ") },
    })),
    { name: "run", cases: [runCase(verdict)], properties: { run: verdict.run, verdict: verdict.verdict, catalogue: verdict.catalogue.digest, suite: verdict.plan.suite, canaries: `${verdict.canaries.right} of ${verdict.canaries.planned} right` } },
  ];
  const all = suites.flatMap((suite) => suite.cases);
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="buslab" ${counts(all)}>`,
    ...suites.flatMap((suite) => [
      `  <testsuite name="${escapeAttribute(suite.name)}" ${counts(suite.cases)}${verdict.startedAt === null ? "" : ` timestamp="${escapeAttribute(verdict.startedAt.replace(/\.\d+Z$/, ""))}"`}>`,
      "    <properties>",
      ...Object.entries(suite.properties).map(([name, value]) => `      <property name="${escapeAttribute(name)}" value="${escapeAttribute(value)}"/>`),
      "    </properties>",
      ...suite.cases.flatMap((each) => testcase(each, names, options).map((line) => `    ${line}`)),
      "  </testsuite>",
    ]),
    "</testsuites>",
    "",
  ].join("\n");
}

/** `x86_64/debian-6.1/none/plain` and `msg/unicast.spec.ts` make `x86_64.debian-6_1.none.plain.msg.unicast`. */
export function classname(each: Case): string {
  const dotted = (path: string): string => path.split("/").map((part) => part.replaceAll(".", "_")).join(".");
  return `${dotted(each.target)}.${dotted(each.file.replace(/\.spec\.ts$/, ""))}`;
}

function testcase(each: Case, names: UniqueNames, options: JunitOptions): string[] {
  const path = classname(each);
  const name = names.take(`${path}\n${each.title}`).slice(path.length + 1);
  const time = each.durationMs === null ? "" : ` time="${(each.durationMs / 1000).toFixed(3)}"`;
  const file = each.test === null ? "" : ` file="conformance/tests/${escapeAttribute(each.file)}"`;
  const child = SPELLINGS[each.status].junit;
  const attachments = child === null ? [] : attachmentsOf(each, options);
  const lines = [
    ...each.requirements.map((id) => `<property name="requirement" value="${escapeAttribute(id)}"/>`),
    `<property name="outcome" value="${escapeAttribute(each.outcome)}"/>`,
  ];
  return [
    `<testcase classname="${escapeAttribute(path)}" name="${escapeAttribute(name)}"${file}${time}>`,
    `  <properties>${lines.join("")}</properties>`,
    ...(child === null ? [] : child === "skipped" ? [`  <skipped message="${escapeAttribute(each.status === "waived" ? `waived: ${each.summary}` : each.summary)}"/>`] : [`  <${child} type="${TYPES[each.status] ?? each.status}" message="${escapeAttribute(each.summary)}">${escapeXml(each.message)}</${child}>`]),
    ...(attachments.length === 0 ? [] : [`  <system-out>${escapeXml(attachments.map((file) => `[[ATTACHMENT|${file}]]`).join("\n"))}</system-out>`]),
    "</testcase>",
  ];
}

function attachmentsOf(each: Case, options: JunitOptions): string[] {
  const from = options.attachmentsFrom;
  if (from === undefined) return [];
  return each.files.map((file) => relative(from, file)).filter((path) => !path.startsWith("..") && !isAbsolute(path));
}

function counts(cases: readonly Case[]): string {
  const of = (child: string): number => cases.filter((each) => SPELLINGS[each.status].junit === child).length;
  const seconds = cases.reduce((sum, each) => sum + (each.durationMs ?? 0), 0) / 1000;
  return `tests="${cases.length}" failures="${of("failure")}" errors="${of("error")}" skipped="${of("skipped")}" time="${seconds.toFixed(3)}"`;
}
