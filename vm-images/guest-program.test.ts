import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { SuiteError } from "../orchestration/base/errors.ts";
import { silent } from "../orchestration/base/progress.ts";
import { compileProgram, type GuestProgram, programInputs } from "./guest-program.ts";

const FUZZER: GuestProgram = { name: "fuzzer", title: "the fuzzer" };

test("the same sources give the same program in any folder, and its debug information names none of them", async (t) => {
  const compiled = async (): Promise<Buffer> => {
    const work = await mkdtemp(join(tmpdir(), "buslab-program-"));
    t.after(() => rm(work, { recursive: true, force: true }));
    return readFile(await compileProgram(FUZZER, "gcc", work, { progress: silent, logDir: work }));
  };

  const first = await compiled();
  const second = await compiled();

  assert.ok(first.equals(second), "two builds differ");
  assert.ok(first.includes("vm-images/fuzzer"), "there is no debug information to look at");
  assert.ok(!first.includes("buslab-program-"), "debug information names the folder of the build");
});

test("a program that does not build is told with the compiler's line", async (t) => {
  const work = await mkdtemp(join(tmpdir(), "buslab-program-"));
  t.after(() => rm(work, { recursive: true, force: true }));

  const built = compileProgram(FUZZER, "gcc", work, { progress: silent, logDir: work }, ["CFLAGS_EXTRA=-include nowhere.h"]);

  await assert.rejects(built, (error) => error instanceof SuiteError && error.code === "COMMAND_FAILED" && /^the fuzzer does not build: .*nowhere\.h/.test(error.message));
});

test("a program's inputs are its sources and the bus's header, without what a build by hand leaves", async () => {
  const paths = Object.keys(await programInputs(FUZZER));

  assert.ok(paths.includes("fixtures/abi/kdbus.h"));
  assert.ok(paths.includes("vm-images/fuzzer/main.c"));
  assert.deepEqual(paths.filter((path) => /\.(ts|o|d)$|\/fuzzer$/.test(path)), []);
});
