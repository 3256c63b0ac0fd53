import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { exec } from "../base/exec.ts";
import { SuiteError } from "../base/errors.ts";
import { ROOT } from "../base/paths.ts";
import { readRecords } from "./jsonl.ts";
import { errorOf } from "./reporter.ts";

const SPEC = `
import { test, expect } from "@playwright/test";
class SuiteError extends Error { name = "SuiteError [GUEST_LOST]"; }
test("passes", () => {});
test("fails", () => expect(1).toBe(2));
test("loses the ground", () => { throw new SuiteError("the channel closed"); });
test("is slow", async () => { test.setTimeout(50); await new Promise(() => {}); });
test("lacks something", () => { test.info().annotations.push({ type: "unsupported", description: "SELinux" }); test.skip(true); });
test("loses its result", { annotation: [{ type: "canary", description: "infra-error" }, { type: "lose-result" }] }, () => {});
test.describe("group", () => { test("has evidence", () => { test.info().annotations.push({ type: "evidence", description: "/e" }); }); });
test("kills its worker", () => process.kill(process.pid, "SIGKILL"));
test("stands in no plan", () => {});
`;

test("what the runner does becomes records, one begin and one end a test", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "buslab-reporter-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(join(dir, "tests"));
  symlinkSync(join(ROOT, "node_modules"), join(dir, "node_modules"));
  writeFileSync(join(dir, "tests", "a.spec.ts"), SPEC);
  const config = { testDir: "tests", retries: 0, workers: 1, projects: [{ name: "x/y/z/plain" }], reporter: [[join(ROOT, "orchestration/record/reporter.ts")]] };
  writeFileSync(join(dir, "playwright.config.ts"), `export default ${JSON.stringify(config)};`);
  const titles = ["passes", "fails", "loses the ground", "is slow", "lacks something", "loses its result", "group \u203a has evidence", "kills its worker"];
  const files = ["a.spec.ts", "tests/a.spec.ts"]; // the runner's root is the folder of its config or of its tests
  writeFileSync(join(dir, "plan.json"), JSON.stringify({ tests: files.flatMap((file) => titles.map((title) => ({ id: `id:${title}`, file, title }))) }));
  const records = join(dir, "records.jsonl");
  const result = await exec([process.execPath, join(ROOT, "node_modules/@playwright/test/cli.js"), "test", "-c", dir], {
    cwd: dir,
    env: { BUSLAB_PLAN: join(dir, "plan.json"), BUSLAB_RECORDS: records, BUSLAB_RUN: "r", NODE_OPTIONS: undefined, FORCE_COLOR: "1" },
    okCodes: [1],
  });

  const log = await readRecords(records);
  assert.deepEqual([log.torn, log.gaps], [[], []], result.stderr);
  const ends = Object.fromEntries(log.records.flatMap((each) => (each.type === "test-end" ? [[each.test, each]] : [])));
  const begun = log.records.flatMap((each) => (each.type === "test-begin" ? [each.test] : []));
  assert.equal(new Set(begun).size, 9);
  assert.equal(ends["id:passes"]?.runner, "passed");
  assert.equal(ends["id:passes"]?.target, "x/y/z/plain");
  assert.equal(ends["id:fails"]?.runner, "failed");
  assert.match(ends["id:fails"]?.errors[0]?.message ?? "", /Expected: 2/);
  assert.equal(ends["id:fails"]?.errors[0]?.code, null);
  assert.deepEqual(ends["id:loses the ground"]?.errors, [{ code: "GUEST_LOST", message: "SuiteError [GUEST_LOST]: the channel closed" }]);
  assert.deepEqual([ends["id:is slow"]?.runner, ends["id:is slow"]?.limitMs], ["timedOut", 50]);
  assert.deepEqual([ends["id:lacks something"]?.runner, ends["id:lacks something"]?.unsupported], ["skipped", ["SELinux"]]);
  assert.equal(ends["id:loses its result"], undefined);
  assert.ok(begun.includes("id:loses its result"));
  assert.equal(ends["id:group \u203a has evidence"]?.evidence, "/e");
  assert.deepEqual([ends["id:kills its worker"]?.runner, ends["id:kills its worker"]?.errors[0]?.code], ["failed", "RUNNER_FAILED"]);
  assert.ok(Object.keys(ends).some((id) => id.startsWith("unplanned:")));
});

test("the code of a SuiteError survives the runner, and only there", () => {
  const error = new SuiteError("VM_DIED", "gone");
  assert.deepEqual(errorOf({ message: `${error.name}: ${error.message}` }), { code: "VM_DIED", message: "SuiteError [VM_DIED]: gone" });
  assert.equal(errorOf({ message: "Error: SuiteError [VM_DIED]: quoted" }).code, null);
  assert.equal(errorOf({ value: "thrown text" }).message, "thrown text");
});
