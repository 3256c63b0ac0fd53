import assert from "node:assert/strict";
import { test } from "node:test";
import { asSuiteError } from "./errors.ts";
import { exec } from "./exec.ts";
import { EXIT, exitCodeOf } from "./exit-codes.ts";

test("a command ended by Ctrl-C is interrupted, not a fault of what it was building", async () => {
  const stop = new AbortController();
  const running = exec(["sleep", "60"], { code: "KERNEL_BUILD_FAILED", okCodes: [0, 1, 2], signal: stop.signal });
  stop.abort();

  const error = await running.then(() => assert.fail("it succeeded"), asSuiteError);

  assert.equal(error.code, "INTERRUPTED");
  assert.equal(exitCodeOf(error), EXIT.interrupted);
});

test("a command that fails by itself keeps the code asked for, and its exit code", async () => {
  const error = await exec(["false"], { code: "KERNEL_BUILD_FAILED", signal: new AbortController().signal }).then(() => assert.fail("it succeeded"), asSuiteError);

  assert.equal(error.code, "KERNEL_BUILD_FAILED");
  assert.equal(exitCodeOf(error), EXIT.violated);
});
