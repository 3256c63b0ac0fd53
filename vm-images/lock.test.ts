import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { lockFile } from "./lock.ts";

test("a held lock makes the next one wait, and say so, until it is given up", async () => {
  const dir = await mkdtemp(join(tmpdir(), "lock-"));
  const path = join(dir, "below", "x.lock");
  let waited = 0;
  const first = await lockFile(path, () => (waited += 1));
  let got = false;
  const second = lockFile(path, () => (waited += 1)).then((lock) => ((got = true), lock));
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.deepEqual([got, waited], [false, 1]);

  await first[Symbol.asyncDispose]();
  await using _lock = await second;
  assert.equal(got, true);
  await rm(dir, { recursive: true });
});

test("a folder that cannot be made is an error, not a wait", async () => {
  const dir = await mkdtemp(join(tmpdir(), "lock-"));
  await writeFile(join(dir, "file"), "");

  await assert.rejects(lockFile(join(dir, "file", "x.lock"), () => undefined), { code: /ENOTDIR|EEXIST/ });
  await rm(dir, { recursive: true });
});
