import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { ROOT } from "../../orchestration/base/paths.ts";
import { parseList } from "./bootstrap.ts";
import { tornSuites, unlike } from "./graft.ts";
import { hasRange } from "./namespace.ts";

const read = (name: string): Promise<string> => readFile(join(ROOT, "vm-images/rootfs", name), "utf8");

test("list files lose comments and empty lines", () => {
  assert.deepEqual(parseList("# why\na\n\n b # here\n"), ["a", "b"]);
});

test("the image asks for what every later stage needs", async () => {
  const packages = parseList(await read("packages/base.txt"));

  for (const name of ["systemd", "openssh-server", "dbus", "kmod", "selinux-policy-default", "apparmor", "auditd", "strace"]) assert.ok(packages.includes(name), name);
  assert.equal(new Set(packages).size, packages.length, "a package is named twice");
});

test("no unit of ours is masked, and the bus is not mounted at boot", async () => {
  const masked = parseList(await read("masked-units.txt"));
  const enabled = parseList(await read("enabled-units.txt"));

  for (const line of enabled) {
    const [unit = "", target] = line.split(" ");
    assert.ok(target?.endsWith(".target"), line);
    assert.ok(!masked.includes(unit), unit);
    await read(`overlay/etc/systemd/system/${unit}`);
  }
  assert.ok(!enabled.some((line) => line.startsWith("sys-fs-kdbus.mount")));
});

test("a subordinate id range counts by name or number, and only when it is wide enough", () => {
  assert.equal(hasRange("alice:100000:65536\n", "alice", 1000), true);
  assert.equal(hasRange("1000:100000:65536\n", "alice", 1000), true);
  assert.equal(hasRange("alice:100000:100\nbob:200000:65536\n", "alice", 1000), false);
  assert.equal(hasRange("", "alice", 1000), false);
});

test("a graft tells of packages whose scripts are of another version, not of mere rebuilds", () => {
  assert.deepEqual(unlike(["a 1.0+b2", "b 2.1", "c 1"], ["a 1.0+b1", "b 2.0"]), ["b 2.0 -> 2.1"]);
});

test("a suite whose list is torn on the mirror is found in what apt says", () => {
  const details = "Err:6 http://mirror.invalid bookworm-security/main armhf Packages\n  File has unexpected size (334084 != 350380). Mirror sync in progress? [IP: 192.0.2.1 80]\n";

  assert.deepEqual(tornSuites(new SuiteError("HOST_NETWORK", "no", { details })), ["bookworm-security"]);
  assert.deepEqual(tornSuites(new SuiteError("HOST_NETWORK", "no", { details: "Err:6 http://mirror.invalid bookworm/main armhf Packages\n  Connection failed\n" })), []);
});
