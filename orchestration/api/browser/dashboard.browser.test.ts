import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { ROOT } from "../../base/paths.ts";
import { CHROMIUM } from "./chromium.ts";

interface Suite {
  readonly specs: readonly { readonly title: string; readonly tests: readonly { readonly results: readonly { readonly status: string; readonly error?: { readonly message?: string } }[] }[] }[];
  readonly suites?: readonly Suite[];
}
interface Report {
  readonly suites: readonly Suite[];
  readonly errors: readonly { readonly message?: string }[];
}

/** Above this load a processor a page takes minutes, and whoever runs the tests has other things to wait for. */
const BUSY = 3;

/** False to run them; else why not. BUSLAB_TEST_BROWSER=1 asks for them whatever the load, 0 leaves them out. */
function reasonToSkip(): string | false {
  const asked = process.env["BUSLAB_TEST_BROWSER"];
  if (asked === "0") return "BUSLAB_TEST_BROWSER=0 leaves them out";
  if (!existsSync(CHROMIUM.executablePath)) return `${CHROMIUM.executablePath} is not installed; BUSLAB_TEST_BROWSER=1 has \`./buslab test\` install it`;
  const [load = 0] = loadavg();
  const processors = availableParallelism();
  return asked === "1" || load <= BUSY * processors ? false : `this host is busy (load ${load.toFixed(1)} on ${processors} processors); BUSLAB_TEST_BROWSER=1 runs them all the same`;
}

/** The pages in a real browser: each test of Playwright's is one of ours, by its own name. */
test("the dashboard in chromium", { skip: reasonToSkip() }, async (t) => {
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
