import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "../../base/paths.ts";
import { CONSOLE_RULES } from "./rules.ts";
import { scanConsole } from "./scan.ts";

const FOLDER = join(ROOT, "fixtures/consoles");
const names = readdirSync(FOLDER)
  .filter((name) => name.endsWith(".log"))
  .map((name) => name.slice(0, -".log".length));

interface Finding {
  readonly kind: string;
  readonly fingerprint: string;
}

for (const name of names) {
  test(`the recorded console ${name} yields its findings and no other`, () => {
    const events = scanConsole(readFileSync(join(FOLDER, `${name}.log`)));
    const expected = JSON.parse(readFileSync(join(FOLDER, `${name}.json`), "utf8")) as Finding[];
    assert.deepEqual(events.map(({ kind, fingerprint }) => ({ kind, fingerprint })), expected);
  });
}

for (const name of names) {
  test(`the same report of another boot has the same fingerprint: ${name}`, () => {
    const log = readFileSync(join(FOLDER, `${name}.log`), "latin1");
    const prints = (text: string): string[] => scanConsole(Buffer.from(text, "latin1")).map(({ fingerprint }) => fingerprint);
    assert.deepEqual(prints(anotherBoot(log)), prints(log));
  });
}

test("another boot is another text, and another crash another fingerprint", () => {
  const log = readFileSync(join(FOLDER, "oops-null.log"), "latin1");
  assert.notEqual(anotherBoot(log), log);
  const [first] = scanConsole(Buffer.from(log, "latin1"));
  const [other] = scanConsole(Buffer.from(readFileSync(join(FOLDER, "oops-gpf.log"), "latin1"), "latin1"));
  assert.notEqual(first?.fingerprint, other?.fingerprint);
});

/** What differs when a crash is met again: time stamps, addresses, processes, processors, and offsets after a rebuild. */
function anotherBoot(log: string): string {
  return log
    .replace(/\[ *(\d+)\.(\d{6})\]/g, (_, seconds: string) => `[${String(Number(seconds) + 1000).padStart(5)}.424242]`)
    .replace(/\b(?:0x)?(?=[0-9a-f]*\d)[0-9a-f]{12,16}\b/g, (address) => `${address.slice(0, -4)}${address.endsWith("4240") ? "5350" : "4240"}`)
    .replace(/\bPID: \d+/g, "PID: 4242")
    .replace(/\bCPU: \d+/g, "CPU: 7")
    .replace(/\bCPU#\d+/g, "CPU#7");
}

test("every console rule is opened by at least one recorded log", () => {
  const opened = new Set<number>();
  for (const name of names) {
    for (const { title } of scanConsole(readFileSync(join(FOLDER, `${name}.log`)))) {
      opened.add(CONSOLE_RULES.findIndex((rule) => rule.start.test(title)));
    }
  }
  const unused = CONSOLE_RULES.filter((_, index) => !opened.has(index)).map((rule) => `${rule.kind} ${rule.start.source.slice(0, 60)}`);
  assert.deepEqual(unused, []);
});

test("the offset of an event is where its report begins in the file", () => {
  const bytes = readFileSync(join(FOLDER, "interleaved.log"));
  const [event] = scanConsole(bytes, 1000);
  assert.ok(event !== undefined);
  assert.match(bytes.subarray(event.consoleOffset - 1000).toString(), /^<4>\[ *11\.500000\] -+\[ cut here/);
});

test("a report cut off at any byte neither throws nor changes its kind", () => {
  const bytes = readFileSync(join(FOLDER, "kasan.log"));
  for (let length = 0; length <= bytes.length; length += 7) {
    const events = scanConsole(bytes.subarray(0, length));
    assert.ok(events.length <= 1);
    for (const event of events) assert.ok(event.kind === "kasan" || (event.kind === "bug" && length < 200), `${event.kind} at ${length}`);
  }
});
