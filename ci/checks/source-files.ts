import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../orchestration/base/paths.ts";

/** Files of the work tree that git tracks or would track, relative to the top. */
export function sourceFiles(...patterns: readonly RegExp[]): string[] {
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: ROOT, maxBuffer: 1 << 26 }).toString();
  return [...new Set(listed.split("\0"))].filter((file) => file !== "" && patterns.some((pattern) => pattern.test(file)) && existsSync(join(ROOT, file))).sort();
}
