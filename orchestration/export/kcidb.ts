import { createHash } from "node:crypto";
import type { TargetVerdict } from "../record/verdict.ts";
import { casesOf, runCase, SPELLINGS, type Case } from "./cases.ts";
import type { ExportInput } from "./input.ts";
import { plain, UniqueNames } from "./text.ts";

export interface KcidbOptions {
  /** Who submits: `[a-z0-9_]+`, agreed with the receiver. */
  readonly origin?: string;
}

/** KernelCI cuts excerpts to the last 16 KiB. */
const EXCERPT_CHARS = 16 * 1024;

/** KCIDB 5.3: a build a target, a test a case. A waiver is an issue, and each failure it excuses an incident; the test stays FAIL. */
export function toKcidb(input: ExportInput, options: KcidbOptions = {}): object {
  const { verdict } = input;
  const origin = options.origin ?? "buslab";
  const checkout = `${origin}:${verdict.run}`;
  const tests: object[] = [];
  const [issues, incidents] = [new Map<string, object>(), [] as object[]];
  const whole = `${checkout}:run`;
  for (const target of verdict.targets) {
    const build = buildId(checkout, target.id);
    const paths = new UniqueNames();
    for (const each of casesOf(input, target)) {
      const test = testOf(each, build, origin, paths);
      tests.push(test);
      if (each.status !== "waived") continue;
      for (const requirement of each.requirements) {
        const issue = `${origin}:waiver_${requirement}`;
        issues.set(issue, { id: issue, origin, version: 1, culprit: { code: true, tool: false, harness: false }, comment: `${requirement} is waived` });
        incidents.push({ id: `${test.id}:${requirement}`, origin, issue_id: issue, issue_version: 1, test_id: test.id, present: true });
      }
    }
  }
  tests.push(testOf(runCase(verdict), whole, origin, new UniqueNames()));
  return {
    version: { major: 5, minor: 3 },
    checkouts: [{ id: checkout, origin, ...(verdict.startedAt === null ? {} : { start_time: verdict.startedAt }), misc: { catalogue: verdict.catalogue.digest, suite: verdict.plan.suite } }],
    builds: [...verdict.targets.map((target) => buildOf(input, target, checkout, origin)), { id: whole, origin, checkout_id: checkout, misc: { run: verdict.run } }],
    tests,
    ...(issues.size === 0 ? {} : { issues: [...issues.values()], incidents }),
  };
}

function buildId(checkout: string, target: string): string {
  return `${checkout}:${target.replaceAll("/", "_")}`;
}

function buildOf(input: ExportInput, target: TargetVerdict, checkout: string, origin: string): object {
  const built = target.error === null || !target.error.code.includes("BUILD");
  const artifacts = Object.fromEntries(input.artifacts.filter((each) => each.target === target.id).map(({ name, key }) => [name, plain(key)]));
  return {
    id: buildId(checkout, target.id), origin, checkout_id: checkout,
    architecture: (target.id.split("/")[0] ?? "").toLowerCase().replaceAll(/[^a-z0-9_]/g, "_"),
    config_name: target.id,
    status: built ? "PASS" : target.error?.blame === "subject" ? "FAIL" : "ERROR",
    ...(built ? {} : { log_excerpt: plain(target.error?.details ?? "").slice(-EXCERPT_CHARS) }),
    misc: { artifacts, generation: target.generation.used ?? "unknown" },
  };
}

function testOf(each: Case, build: string, origin: string, paths: UniqueNames): { readonly id: string } {
  const path = paths.take(pathOf(each)).replaceAll(/ \[(\d+)\]/g, "-$1");
  return {
    id: `${build}:${createHash("sha256").update(each.test ?? each.title).digest("hex").slice(0, 16)}`,
    ...{ origin, build_id: build, path, status: SPELLINGS[each.status].kcidb },
    ...(each.begunAt === null ? {} : { start_time: each.begunAt }),
    ...(each.durationMs === null ? {} : { duration: each.durationMs / 1000 }),
    ...(each.status === "pass" ? {} : { log_excerpt: plain(each.message).slice(-EXCERPT_CHARS).toWellFormed() }),
    ...{ environment: { comment: each.target }, misc: { outcome: each.outcome, requirements: [...each.requirements], title: plain(each.title) } },
  };
}

/** Segments of letters, digits, `_` and `-`; the title makes the last one. */
function pathOf(each: Case): string {
  const segment = (text: string): string => text.replaceAll(/[^a-zA-Z0-9_-]+/g, "_").replaceAll(/^_+|_+$/g, "") || "_";
  return ["kdbus", ...each.file.replace(/\.spec\.ts$/, "").split("/"), each.title].filter((part) => part !== "").map(segment).join(".");
}
