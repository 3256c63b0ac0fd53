import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { kernelHead } from "./kernel-head.ts";

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "buslab-head-test-"));
});

afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

test("of a PC's kernel its set-up sectors are kept and one page more", async () => {
  const image = Buffer.alloc(200_000, 7);
  image[0x1f1] = 30;
  image.write("HdrS", 0x202);
  await writeFile(join(dir, "bzImage"), image);
  const head = await readFile(await kernelHead(join(dir, "bzImage"), dir));
  assert.equal(head.length, 31 * 512 + 4096);
  assert.equal(head.equals(image.subarray(0, head.length)), true);
});

test("of any other kernel, one page; of a shorter file, all of it", async () => {
  await writeFile(join(dir, "Image"), Buffer.alloc(200_000, 7));
  assert.equal((await readFile(await kernelHead(join(dir, "Image"), dir))).length, 4096);
  await writeFile(join(dir, "short"), "abc");
  assert.equal(await readFile(await kernelHead(join(dir, "short"), dir), "utf8"), "abc");
  assert.deepEqual((await readdir(dir)).sort(), ["Image", "kernel-head", "short"]);
});
