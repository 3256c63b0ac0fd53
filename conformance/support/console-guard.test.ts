import assert from "node:assert/strict";
import test from "node:test";
import { guardConsole } from "./console-guard.ts";

const quiet = { events: [], death: null, consoleRead: true };
const warning = { kind: "warn", fingerprint: "warn:x", title: "WARNING at x.c:1", consoleOffset: 3, excerpt: "WARNING: ..." } as const;

test("a quiet console passes", () => {
  guardConsole(quiet);
});

test("a kernel report fails the test by its name", () => {
  assert.throws(() => guardConsole({ ...quiet, events: [warning, warning] }), /the kernel reported warn: WARNING at x\.c:1 \(and 1 more reports\)/);
});

test("a machine that died of itself accuses the subject, one that was killed the ground", () => {
  assert.throws(() => guardConsole({ ...quiet, death: { kind: "panic", detail: "x" } }), { name: "Error", message: /ended during the test \(panic\): x/ });
  assert.throws(() => guardConsole({ ...quiet, death: { kind: "killed", detail: "SIGKILL" } }), { code: "VM_DIED" });
});

test("a console that was not read fails as well", () => {
  assert.throws(() => guardConsole({ ...quiet, consoleRead: false }), { code: "CONSOLE_LOST" });
});
