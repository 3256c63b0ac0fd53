import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig, type ReporterDescription } from "@playwright/test";
import { Limits } from "../orchestration/base/deadline.ts";
import { ROOT } from "../orchestration/base/paths.ts";
import type { SuiteOptions } from "./support/fixtures.ts";

/**
 * One project per target of the plan. Without a plan (`--list`, an editor) there is one project without a machine.
 *
 * Environment: BUSLAB_PLAN, BUSLAB_TARGETS (those of the plan that this runner has; default all), BUSLAB_RUNNER_DIR (what
 * it may empty), BUSLAB_WORKERS (slots), BUSLAB_SLOWDOWN (how much slower than hardware acceleration the machines are;
 * all time-outs derive from it).
 */
const planPath = process.env["BUSLAB_PLAN"];
const own = process.env["BUSLAB_TARGETS"]?.split(",");
const limits = new Limits(Number(process.env["BUSLAB_SLOWDOWN"] ?? "1"));
const recordReporter = join(ROOT, "orchestration", "record", "reporter.ts");

/** On hardware; a test takes well under a second there. */
const TEST_LIMIT_MS = 10_000;
const ASSERTION_LIMIT_MS = 2_000;

export default defineConfig<SuiteOptions>({
  testDir: join(ROOT, "conformance", "tests"),
  testMatch: "**/*.spec.ts",
  outputDir: process.env["BUSLAB_RUNNER_DIR"] ?? join(ROOT, "test-results", "runner"),
  fullyParallel: true,
  retries: 0, // a retry hides the race we look for
  workers: Number(process.env["BUSLAB_WORKERS"] ?? "1"),
  timeout: limits.ms(TEST_LIMIT_MS),
  expect: { timeout: limits.ms(ASSERTION_LIMIT_MS) },
  forbidOnly: planPath !== undefined,
  preserveOutput: "never", // evidence is kept in the run folder, by the machine fixture
  reporter: reporters(),
  projects: targets().map((target) => ({ name: target, use: { target } })),
});

// A reporter that throws fails the run without a word; `list` beside it says what happened.
function reporters(): ReporterDescription[] {
  const list: ReporterDescription = ["list"];
  return planPath !== undefined && existsSync(recordReporter) ? [list, [recordReporter]] : [list];
}

function targets(): readonly string[] {
  if (planPath === undefined) return ["unplanned"];
  const plan = JSON.parse(readFileSync(planPath, "utf8")) as { readonly targets: readonly string[] };
  return plan.targets.filter((target) => own?.includes(target) ?? true);
}
