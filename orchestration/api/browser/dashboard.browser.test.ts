import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { ROOT } from "../../base/paths.ts";

const CHROMIUM = process.env["BUSLAB_CHROMIUM"] ?? "/usr/bin/chromium";

interface Suite {
  readonly specs: readonly { readonly title: string; readonly tests: readonly { readonly results: readonly { readonly status: string; readonly error?: { readonly message?: string } }[] }[] }[];
  readonly suites?: readonly Suite[];
}
interface Report {
  readonly suites: readonly Suite[];
  readonly errors: readonly { readonly message?: string }[];
}

/** These take minutes on two emulating cores, so they run when they are asked for; else they are counted as skipped. */
const SKIP = process.env["BUSLAB_TEST_BROWSER"] !== "1" ? "set BUSLAB_TEST_BROWSER=1 to run the pages in a browser" : existsSync(CHROMIUM) ? false : `${CHROMIUM} is not installed and could not be`;

/** The pages in a real browser: each test of Playwright's is one of ours, by its own name. */
test("the dashboard in chromium", { skip: SKIP }, async (t) => {
  const report = await runPlaywright();
  assert.deepEqual(report.errors.map((error) => error.message ?? "an error without words"), []);
  const specs = report.suites.flatMap(specsOf);
  assert.ok(specs.length > 0, "no test of the dashboard ran");
  for (const spec of specs) {
    await t.test(spec.title, () => {
      const results = spec.tests.flatMap((each) => each.results);
      assert.ok(results.length > 0, "it has no result");
      for (const result of results) assert.equal(result.status, "passed", result.error?.message ?? "it gave no reason");
    });
  }
});

function specsOf(suite: Suite): Suite["specs"][number][] {
  return [...suite.specs, ...(suite.suites ?? []).flatMap(specsOf)];
}

function runPlaywright(): Promise<Report> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(ROOT, "node_modules/@playwright/test/cli.js"), "test", "--config", join(import.meta.dirname, "playwright.config.ts")], { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, NODE_TEST_CONTEXT: undefined, PLAYWRIGHT_JSON_OUTPUT_NAME: undefined } });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.once("error", reject);
    child.once("close", (code) => {
      const start = output.indexOf("{");
      if (start < 0) reject(new Error(`playwright ended with ${code ?? "a signal"} and reported nothing: ${output.slice(0, 500)}`));
      else resolve(JSON.parse(output.slice(start)) as Report);
    });
  });
}
