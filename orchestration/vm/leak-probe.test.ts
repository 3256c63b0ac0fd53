import assert from "node:assert/strict";
import { test } from "node:test";
import { Limits } from "../base/deadline.ts";
import type { GuestAgent } from "./guest-agent.ts";
import { leakProbe, readLeaks } from "./leak-probe.ts";

const object = (address: string, trace: readonly string[]): string =>
  [
    `unreferenced object 0x${address} (size 256):`,
    '  comm "agent", pid 312, jiffies 4294937466 (age 21.480s)',
    "  hex dump (first 32 bytes):",
    "    5a 5a 5a 5a 5a 5a 5a 5a 5a 5a 5a 5a 5a 5a 5a 5a  ZZZZZZZZZZZZZZZZ",
    "  backtrace:",
    ...trace.map((frame) => `    [<00000000deadbeef>] ${frame}`),
    "",
  ].join("\n");
const MODULE_TRACE = ["kmalloc_trace+0x25/0x90", "kdbus_reply_new+0x41/0x120 [kdbus]", "kdbus_send+0x30/0x90 [kdbus]"];

test("leaked objects are events by their trace, equal ones once, the module's first", () => {
  const report = object("ffff888003c5e000", ["__alloc_skb+0x1/0x2", "unix_stream+0x1/0x2"]) + object("ffff888003c5e100", MODULE_TRACE) + object("ffff888003c5e200", MODULE_TRACE);

  const events = readLeaks(report, "kdbus");

  assert.deepEqual(events.map(({ kind, fingerprint }) => [kind, fingerprint]), [
    ["leak", "leak: unreferenced object [kdbus_reply_new < kdbus_send]"],
    ["leak", "leak: unreferenced object [__alloc_skb < unix_stream]"],
  ]);
  assert.match(events[0]?.title ?? "", /^unreferenced object 0xffff888003c5e100 \(size 256\), allocated in kdbus$/);
  assert.match(events[1]?.title ?? "", /allocated outside of kdbus$/);
});

test("an empty report accuses nobody", () => {
  assert.deepEqual(readLeaks("", "kdbus"), []);
});

test("a kmemleak that refuses a scan is an error, not a clean kernel; who is not asked costs nothing", async () => {
  const agent = { writeFile: () => Promise.reject(new Error("write /sys/kernel/debug/kmemleak: Device or resource busy")) } as unknown as GuestAgent;
  const lease = { target: "t", test: "wanted", agent, limits: new Limits(), evidenceDir: "/nowhere" };
  const probe = leakProbe((_target, name) => name === "wanted", "kdbus");

  await assert.rejects(probe.take(lease), /busy/);
  assert.deepEqual(await probe.take({ ...lease, test: "other" }), []);
});
