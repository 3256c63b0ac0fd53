import assert from "node:assert/strict";
import { test } from "node:test";
import { findingId } from "./findings.ts";
import { leaksOf } from "./leaks.ts";
import { lastMark } from "./marks.ts";

const LEAK = `unreferenced object 0xffff888104b12340 (size 64):
  comm "systemd", pid 1, jiffies 4294937296 (age 30.1s)
  backtrace:
    [<00000000d7e1b9c3>] kmalloc_trace+0x25/0x90
    [<0000000029b1a3f1>] something_else+0x40/0x80
unreferenced object 0xffff888104b15ac0 (size 32):
  comm "fuzzer", pid 812, jiffies 4294939296 (age 12.8s)
  hex dump (first 32 bytes):
    00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  ................
  backtrace:
    [<00000000d7e1b9c3>] kmalloc_trace+0x25/0x90
    [<0000000029b1a3f1>] kdbus_name_entry_new+0x40/0x80 [kdbus]
    [<00000000ab01d2c0>] kdbus_cmd_name_acquire+0x1a0/0x2c0 [kdbus]
    [<00000000ab01d2c1>] kdbus_handle_ioctl.isra.0+0x1a0/0x2c0 [kdbus]
    [<00000000ab01d2c2>] __x64_sys_ioctl+0x8f/0xd0
`;

test("a leak is named by who asked for the memory, and only if the fuzzer left it behind", () => {
  const leak = leaksOf(LEAK);
  assert.equal(leak?.fingerprint, "leak: unreferenced object [kdbus_name_entry_new < kdbus_cmd_name_acquire < kdbus_handle_ioctl]");
  assert.match(leak.excerpt, /comm "fuzzer"/);
  assert.doesNotMatch(leak.excerpt, /systemd/);
  assert.equal(leaksOf(LEAK.slice(0, LEAK.indexOf("unreferenced object 0xffff888104b15ac0"))), undefined);
  assert.equal(leaksOf(""), undefined);
  assert.notEqual(leaksOf(LEAK.replace('"fuzzer", pid 812', '"kworker/0:1", pid 12')), undefined);
  assert.equal(leaksOf(LEAK.replace('"fuzzer", pid 812', '"kworker/0:1", pid 12').replaceAll("kdbus_", "other_")), undefined);
});

test("a report belongs to the last program that began before it", () => {
  const console = Buffer.from("<12>[ 1.0] buslab-fuzz: program 41\n<4>[ 1.1] something\n<12>[ 1.2] buslab-fuzz: program 42\n<1>[ 1.3] BUG: KASAN\n<12>[ 1.4] buslab-fuzz: program 43\n");
  assert.deepEqual(lastMark(console, console.indexOf("BUG: KASAN")), { kind: "program", index: 42 });
  assert.deepEqual(lastMark(console), { kind: "program", index: 43 });
  assert.equal(lastMark(console, 3), undefined);
});

test("findings that differ in one word of their trace have folders of their own", () => {
  assert.notEqual(findingId("kasan: slab-out-of-bounds in a [b < c]"), findingId("kasan: slab-out-of-bounds in a [b < d]"));
  assert.match(findingId("kasan: slab-out-of-bounds in a [b < c]"), /^kasan-slab-out-of-bounds-in-a-b-c-[0-9a-f]{6}$/);
});
