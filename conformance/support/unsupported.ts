import { test } from "@playwright/test";
import { UNSUPPORTED_ANNOTATION } from "../../orchestration/record/annotations.ts";

/**
 * Ends the test as `unsupported`: the target lacks something the test needs, named so that the reader can supply it
 * (`"SELinux in the kernel"`, `"userfaultfd for user space"`). It never counts as passed.
 */
export function unsupported(...missing: readonly [string, ...string[]]): never {
  const info = test.info();
  for (const name of missing) info.annotations.push({ type: UNSUPPORTED_ANNOTATION, description: name });
  info.skip(true, `missing: ${missing.join(", ")}`);
  throw new Error("a skipped test ends at once"); // not reached: skip() throws
}
