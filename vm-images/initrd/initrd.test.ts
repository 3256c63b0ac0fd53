import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { ARCHES, isNative } from "../../orchestration/target/arches.ts";
import { cpio } from "./cpio.ts";
import { requireDebianInitrd } from "./debian.ts";
import { loadOrder, moduleName, readModuleTable } from "./module-order.ts";

const TABLE = readModuleTable(
  [
    "kernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko kernel/fs/mbcache.ko kernel/fs/jbd2/jbd2.ko",
    "kernel/fs/jbd2/jbd2.ko:",
    "kernel/fs/mbcache.ko:",
    "kernel/lib/crc16.ko:",
    "kernel/drivers/char/hw_random/virtio-rng.ko.xz: kernel/drivers/char/hw_random/rng-core.ko.xz",
    "kernel/drivers/char/hw_random/rng-core.ko.xz:",
  ].join("\n"),
  "kernel/drivers/block/virtio_blk.ko\n",
);

test("a module comes behind everything it needs, each once", () => {
  const order = loadOrder(TABLE, ["ext4", "ext4", "virtio_rng"]).map(moduleName);

  assert.deepEqual(order, ["jbd2", "mbcache", "crc16", "ext4", "rng_core", "virtio_rng"]);
});

test("what the kernel has built in or does not have is not loaded", () => {
  assert.deepEqual(loadOrder(TABLE, ["virtio_blk", "nowhere"]), []);
  assert.equal(TABLE.builtin.has("virtio_blk"), true);
});

test("the archive is one that other programs read", { skip: spawnSync("cpio", ["--version"]).status === 0 ? false : "cpio is not installed" }, () => {
  const archive = cpio([{ path: "dev", mode: 0o755 }, { path: "init", mode: 0o755, data: Buffer.from("abcde") }, { path: "modules", mode: 0o644, data: Buffer.from("") }]);

  const listed = spawnSync("cpio", ["-itv", "--quiet", "--numeric-uid-gid"], { input: archive, encoding: "utf8" });
  assert.equal(listed.stderr, "");
  assert.deepEqual(
    listed.stdout.trim().split("\n").map((line) => line.replace(/\s+/g, " ").replace(/ [A-Z][a-z]{2} \d+ \d+ /, " ")),
    ["drwxr-xr-x 1 0 0 0 dev", "-rwxr-xr-x 1 0 0 5 init", "-rw-r--r-- 1 0 0 0 modules"],
  );
});

test("equal files make equal bytes, filled up to four", () => {
  const entries = [{ path: "a", mode: 0o644, data: Buffer.from("xyz") }];

  assert.deepEqual(cpio(entries), cpio(entries));
  assert.equal(cpio(entries).length % 4, 0);
});

test("Debian's own disk is made for this host's architecture alone", () => {
  for (const arch of Object.values(ARCHES)) {
    const ask = (): void => requireDebianInitrd(arch);
    if (isNative(arch)) assert.doesNotThrow(ask);
    else assert.throws(ask, { code: "CONFIG_INVALID", message: new RegExp(`programs of ${arch.id}, .*leave out --stock`) });
  }
});
