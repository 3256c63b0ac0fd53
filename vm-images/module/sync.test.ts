import assert from "node:assert/strict";
import { mkdtemp, mkdir, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { syncFolder } from "./sync.ts";

const OBJECTS = /\.o$/;
let from = "";
let to = "";

beforeEach(async () => {
  const top = await mkdtemp(join(tmpdir(), "sync-"));
  [from, to] = [join(top, "from"), join(top, "to")];
  await mkdir(from);
  await writeFile(join(from, "a.c"), "a");
  await writeFile(join(from, "b.c"), "b");
  await syncFolder(from, to, OBJECTS);
});

afterEach(() => rm(join(from, ".."), { recursive: true }));

test("only a changed file is written again, so that make compiles only that", async () => {
  const long = new Date(1000);
  for (const name of ["a.c", "b.c"]) await utimes(join(to, name), long, long);
  await writeFile(join(from, "b.c"), "B");

  await syncFolder(from, to, OBJECTS);

  assert.equal((await stat(join(to, "a.c"))).mtimeMs, 1000);
  assert.notEqual((await stat(join(to, "b.c"))).mtimeMs, 1000);
});

test("a source that vanished takes its object with it, others keep theirs", async () => {
  for (const name of ["a.o", "b.o"]) await writeFile(join(to, name), "object");
  await rm(join(from, "b.c"));

  await syncFolder(from, to, OBJECTS);

  assert.deepEqual((await readdir(to)).sort(), ["a.c", "a.o"]);
});
