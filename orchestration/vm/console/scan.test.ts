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
