import type { Counts, TestVerdict } from "../record/verdict.ts";
import { areaOfTest } from "./test-id.ts";

/** Number of tests by outcome. */
export function countTests(tests: readonly Pick<TestVerdict, "outcome" | "waived">[]): Counts {
  const count = (kind: TestVerdict["outcome"]["kind"]): number => tests.filter((test) => test.outcome.kind === kind).length;
  return {
    planned: tests.length,
    passed: count("passed"),
    failed: count("failed"),
    crashed: count("crashed"),
    timedOut: count("timed-out"),
    unsupported: count("unsupported"),
    infraError: count("infra-error"),
    notRun: count("not-run"),
    waived: tests.filter((test) => test.waived).length,
  };
}

/** The same for each area that has a test, in the order of their names. */
export function countAreas(tests: readonly Pick<TestVerdict, "id" | "outcome" | "waived">[]): Record<string, Counts> {
  const groups = Map.groupBy(tests, (test) => areaOfTest(test.id));
  return Object.fromEntries([...groups].sort(([a], [b]) => a.localeCompare(b)).map(([area, own]) => [area, countTests(own)]));
}
