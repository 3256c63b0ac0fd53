import { join, relative, sep } from "node:path";
import { ROOT } from "../base/paths.ts";
import { TITLE_SEPARATOR } from "../record/annotations.ts";

/** Folder that test ids are relative to. */
export const TESTS_DIR = join(ROOT, "conformance", "tests");

/**
 * The stable name of a test: `<area>/<file>:<title>`, e.g. `msg/unicast.spec.ts:MSG-001 a message arrives`. Key of plan,
 * records and database, so it depends on nothing but the file's place below conformance/tests and the title.
 * @param file absolute path of the spec
 * @param title title, or the titles of the enclosing describes and the test's own
 */
export function testId(file: string, title: string | readonly string[]): string {
  const path = relative(TESTS_DIR, file).split(sep).join("/");
  return `${path}:${typeof title === "string" ? title : title.join(TITLE_SEPARATOR)}`;
}

/** First folder of a test id: the area of the catalogue, or `canary`. */
export function areaOfTest(id: string): string {
  return id.slice(0, Math.max(id.indexOf("/"), 0));
}
