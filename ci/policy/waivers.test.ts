import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { WAIVERS_FILE } from "../../orchestration/plan/index.ts";
import { expired, fitsTarget, readWaivers } from "./waivers.ts";

const ROW = { requirement: "MSG-001", target: "x86_64", owner: "ada", reason: "mended in the next build", lastDay: "2026-06-01" };

test("the project's own waivers can be read, and an absent file is an empty list", async () => {
  await readWaivers(WAIVERS_FILE);
  assert.deepEqual((await readWaivers("/no/such/file")).rows, []);
});

for (const [title, rows] of [
  ["no owner", [{ ...ROW, owner: "" }]],
  ["no reason worth the name", [{ ...ROW, reason: "later" }]],
  ["a day that is none", [{ ...ROW, lastDay: "2026-02-30" }]],
  ["no last day", [{ ...ROW, lastDay: undefined }]],
  ["a misspelt key", [{ ...ROW, untill: "2030-01-01" }]],
  ["an id that is none", [{ ...ROW, requirement: "msg-1" }]],
  ["no list", { ...ROW }],
] as const) {
  test(`a waiver with ${title} is refused`, async (t) => {
    const dir = mkdtempSync(join(tmpdir(), "buslab-waivers-"));
    t.after(() => rmSync(dir, { recursive: true }));
    const path = join(dir, "waivers.json");
    writeFileSync(path, JSON.stringify(rows));
    await assert.rejects(readWaivers(path), /waivers\.json/);
  });
}

test("a pattern fits by parts, a missing or starred part fits everything", () => {
  const target = "x86_64/debian-6.1/none/plain";
  for (const pattern of ["x86_64", "*", "", "x86_64/debian-6.1/none/plain", "*/*/none", "x86_64/*/*/plain"]) assert.ok(fitsTarget(pattern, target), pattern);
  for (const pattern of ["arm64", "*/*/selinux", "x86_64/debian-6.1/none/plain/more", "x86"]) assert.ok(!fitsTarget(pattern, target), pattern);
});

test("a waiver holds to the end of its last day", () => {
  assert.equal(expired(ROW, "2026-06-01"), false);
  assert.equal(expired(ROW, "2026-06-02"), true);
});
