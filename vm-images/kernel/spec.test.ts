import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { kernelSpecOf, parseKernelSpec } from "./spec.ts";
import { sourceVersion } from "./source-version.ts";

let dir = "";

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "linux-"));
  await writeFile(join(dir, "Makefile"), "# SPDX\nVERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 192\nEXTRAVERSION =\n");
  await writeFile(join(dir, "Kconfig"), "mainmenu\n");
  await writeFile(join(dir, "Kbuild"), "obj-y\n");
});

afterEach(() => rm(dir, { recursive: true }));

test("a key of the configuration is a kernel by name", () => {
  assert.deepEqual(parseKernelSpec("debian-6.1"), { name: "debian-6.1", spec: { kind: "debian", version: "6.1" } });
  assert.deepEqual(kernelSpecOf("debian-6.1"), { kind: "debian", version: "6.1" });
  assert.throws(() => kernelSpecOf("debian-2.4"), { code: "KERNEL_SPEC_INVALID", message: /"debian-2\.4".*known: debian-6\.1/ });
});

test("a source tree is a kernel named after its folder and version", () => {
  const kernel = parseKernelSpec(dir);

  assert.deepEqual(kernel.spec, { kind: "source", dir });
  assert.match(kernel.name, new RegExp(`^${basename(dir).toLowerCase().slice(0, 6)}.*-6\\.1\\.192-[0-9a-f]{4}$`));
  assert.doesNotMatch(kernel.name, /\//);
});

test("a folder that is no kernel, a file and a missing path are refused in a sentence each", async () => {
  await rm(join(dir, "Kconfig"));
  assert.throws(() => parseKernelSpec(dir), { code: "KERNEL_SPEC_INVALID", message: /no Linux source tree: .*Kconfig/ });
  assert.throws(() => parseKernelSpec(join(dir, "Makefile")), { code: "KERNEL_SPEC_INVALID", message: /is a file/ });
  assert.throws(() => parseKernelSpec(join(dir, "nowhere")), { code: "KERNEL_SPEC_INVALID", message: /neither a known kernel \(debian-6\.1/ });
});

test("a tree that was built in place is refused with the command that cleans it", async () => {
  await mkdir(join(dir, "include/config"), { recursive: true });

  assert.throws(() => sourceVersion(dir), { code: "KERNEL_SPEC_INVALID", message: /make mrproper/ });
});
