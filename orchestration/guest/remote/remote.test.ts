import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { exec } from "../../base/exec.ts";
import { kernelLines } from "../../vm/console/lines.ts";
import { consoleLine, ConsoleCommand, serialLines } from "./console.ts";
import { factsOf } from "./host.ts";
import { PROBE, renewScript } from "./steps.ts";

test("a record of /dev/kmsg becomes the line that a console shows, and the rules read it", () => {
  const line = consoleLine("4,812,207000150,-;WARNING: CPU: 0 PID: 97 at main.c:77 trouble\\x09tab") ?? "";
  assert.equal(line, "<4>[  207.000150] WARNING: CPU: 0 PID: 97 at main.c:77 trouble\ttab");
  assert.deepEqual(kernelLines(Buffer.from(`${line}\n`)).map(({ level, seconds }) => [level, seconds]), [[4, 207.00015]]);
});

test("what user space writes to the log stays told apart, and continuations are no lines", () => {
  const line = consoleLine("12,813,5000000,-;Kernel panic - not syncing: says a user") ?? "";
  assert.deepEqual(kernelLines(Buffer.from(`${line}\n`)), []);
  assert.equal(consoleLine(" SUBSYSTEM=pci"), null);
});

test("a serial line without priorities is read beside lines that have them", () => {
  const text = `<6>[    1.000000] one\n${serialLines(Buffer.from("[    2.000000] Kernel panic - not syncing: two\r\n"))}`;
  assert.deepEqual(kernelLines(Buffer.from(text)).map((each) => each.text), ["one", "Kernel panic - not syncing: two"]);
});

test("the probe runs in this host's shell, and its answer is understood", async () => {
  const { stdout } = await exec(["sh", "-c", PROBE.replace("id -u", "echo 0")]);
  const facts = factsOf(stdout, { user: "root", host: "here" });
  assert.match(facts.boot, /^[0-9a-f-]{36}$/);
  assert.ok(facts.release !== "" && facts.slowdown >= 2 && facts.slowdown <= 40);
});

test("an account that is not root is refused by name", () => {
  assert.throws(() => factsOf("machine=x86_64\nuid=1000\n", { user: "me", host: "board" }), { code: "CONFIG_INVALID", message: /me@board has uid 1000/ });
});

test("the script between two tests is one that a shell takes", async () => {
  for (const module of [null, { name: "kdbus", file: "/run/x/module.ko" }]) await exec(["sh", "-n", "-c", renewScript("/run/x", module)]);
});

test("a console command's output is kept with its offset", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "buslab-console-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, "source"), "first\n");
  await using command = new ConsoleCommand(`tail -n +1 -f ${join(dir, "source")}`, join(dir, "serial.log"));
  while ((await command.size()) < 6) await delay(10);
  writeFileSync(join(dir, "source"), "second\n", { flag: "a" });
  while ((await command.size()) < 13) await delay(10);
  assert.equal((await command.since(6)).toString(), "second\n");
});
