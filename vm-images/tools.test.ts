import assert from "node:assert/strict";
import { test } from "node:test";
import { exec } from "../orchestration/base/exec.ts";
import { findProgram, missingPackages } from "./host-packages.ts";
import { complaints, cpuSecondsOf, metered, requireCommands, requireProgram } from "./tools.ts";

test("complaints are the compiler's lines, not make's passing on of them", () => {
  const output = [
    "  CC [M]  /x/pool.o",
    "/x/pool.c:3:9: error: expected expression before ';' token",
    "/x/pool.c:3:5: note: something",
    "make[1]: *** [scripts/Makefile.build:250: /x/pool.o] Error 1",
    "make: *** [Makefile:2013: /x] Error 2",
  ].join("\n");

  assert.deepEqual(complaints(output), ["/x/pool.c:3:9: error: expected expression before ';' token"]);
});

test("complaints keep make's own reason when no compiler spoke", () => {
  const output = "make[1]: *** No rule to make target 'x.o', needed by 'y.o'.  Stop.\nmake[1]: *** Waiting for unfinished jobs....\nmake: *** [Makefile:1: z] Error 2";

  assert.deepEqual(complaints(output), ["make[1]: *** No rule to make target 'x.o', needed by 'y.o'.  Stop."]);
});

test("undefined symbols of a module are complaints", () => {
  assert.deepEqual(complaints('ERROR: modpost: "nothing" [/x/kdbus.ko] undefined!'), ['ERROR: modpost: "nothing" [/x/kdbus.ko] undefined!']);
});

test("a make that found no program blames the host, not what was to be compiled", () => {
  const btf = "  BTF [M] /x/kdbus.ko\n/bin/sh: 1: pahole: not found\nmake[2]: *** [scripts/Makefile.modfinal:64: /x/kdbus.ko] Error 127\nmake[2]: *** Deleting file '/x/kdbus.ko'";

  assert.throws(() => requireCommands({ stdout: "", stderr: btf }, "the build of a module"), { code: "HOST_TOOL_MISSING", message: /the build of a module needs the program pahole,/ });
  assert.throws(() => requireCommands({ stdout: "", stderr: "make[1]: bison: No such file or directory\n" }, "x"), /program bison/);
  assert.equal(complaints(btf).some((line) => line.includes("Deleting")), false);
  for (const innocent of ["/x/pool.c:3:9: error: 'not_found' undeclared", "make: *** /nowhere: No such file or directory.  Stop.", "ld: cannot find -lelf: No such file or directory"]) {
    assert.doesNotThrow(() => requireCommands({ stdout: "", stderr: innocent }, "x"));
  }
});

test("a missing program is named with the line that installs it", async () => {
  await assert.rejects(requireProgram("no-such-program-here", "some-package"), {
    code: "HOST_TOOL_MISSING",
    message: /no-such-program-here is not installed; type: sudo apt-get .*some-package/,
  });
});

test("programs are found in the system folders though PATH leaves them out", async () => {
  const path = process.env["PATH"];
  process.env["PATH"] = "/nowhere";
  try {
    assert.match((await findProgram("ldconfig")) ?? "", /sbin\/ldconfig$/);
    assert.equal((await missingPackages(["build"])).includes("gcc"), true);
  } finally {
    process.env["PATH"] = path;
  }
});

test("a metered command tells its CPU time and keeps its exit code", async () => {
  const result = await exec(metered(["sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 7"]), { okCodes: [7] });

  assert.ok(cpuSecondsOf(result) >= 0 && cpuSecondsOf(result) < 60);
  assert.equal(cpuSecondsOf({ stderr: "0m0.01s 0m0.02s\n1m2.50s 0m1.25s\n" }), 63.8);
});
