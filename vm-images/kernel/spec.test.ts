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

test("a package of Debian's is a kernel of the architecture its name ends in", () => {
  assert.deepEqual(parseKernelSpec("deb:linux-image-6.1.0-25-rt-amd64"), { name: "deb-6.1.0-25-rt-amd64", spec: { kind: "deb", package: "linux-image-6.1.0-25-rt-amd64" }, arch: "x86_64" });
  assert.equal(parseKernelSpec("deb:linux-image-arm64").arch, "arm64");
  assert.equal(parseKernelSpec("deb:linux-image-armmp-lpae").arch, "arm");
  assert.equal(parseKernelSpec("deb:linux-image-amd64-unsigned").arch, "x86_64");
  assert.throws(() => parseKernelSpec("deb:vim"), { code: "KERNEL_SPEC_INVALID", message: /"vim" is no name of a kernel package; expected one like linux-image-amd64/ });
  assert.throws(() => parseKernelSpec("deb:linux-image-riscv64"), { code: "KERNEL_SPEC_INVALID", message: /ends in "riscv64", which is no architecture of this bench; known: amd64, arm64, armhf/ });
});

test("a prebuilt kernel is its image, its modules and its build folder", () => {
  const vmlinuz = join(dir, "Makefile");
  const kernel = parseKernelSpec(`image:${vmlinuz},modules=${dir},build=${dir}`);

  assert.deepEqual(kernel.spec, { kind: "image", vmlinuz, modules: dir, build: dir });
  assert.match(kernel.name, /^image-makefile-[0-9a-f]{4}$/);
  assert.throws(() => parseKernelSpec(`image:${vmlinuz},modules=${dir}`), { message: /a part is missing; write image:VMLINUZ,modules=/ });
  assert.throws(() => parseKernelSpec(`image:${vmlinuz},modules=${dir},build=${dir},colour=blue`), { message: /"colour" is no part of it/ });
  assert.throws(() => parseKernelSpec(`image:${vmlinuz}.no,modules=${dir},build=${dir}`), { message: /Makefile\.no does not exist; expected the kernel's image/ });
  assert.throws(() => parseKernelSpec(`image:${vmlinuz},modules=${vmlinuz},build=${dir}`), { message: /is no folder; expected the folder of its modules/ });
});

test("source: takes a folder, a tarball or a commit of a repository", async () => {
  await writeFile(join(dir, "linux.tar.xz"), "");

  assert.deepEqual(parseKernelSpec(`source:${dir}`).spec, { kind: "source", dir });
  assert.deepEqual(parseKernelSpec(`source:${join(dir, "linux.tar.xz")}`).spec, { kind: "archive", path: join(dir, "linux.tar.xz") });
  assert.deepEqual(parseKernelSpec("source:https://git.invalid/linux.git#v6.6.1").spec, { kind: "git", url: "https://git.invalid/linux.git", ref: "v6.6.1" });
  assert.match(parseKernelSpec("source:https://git.invalid/linux.git#v6.6.1").name, /^git-linux-v6\.6\.1-[0-9a-f]{4}$/);
  assert.deepEqual(parseKernelSpec("source:git@host.invalid:kernel/linux").spec, { kind: "git", url: "git@host.invalid:kernel/linux", ref: "HEAD" });
  assert.throws(() => parseKernelSpec("source:/nowhere/linux.tar.xz"), { message: /nor a folder that exists, nor one of the forms deb:PACKAGE/ });
});

test("further fragments make another kernel, and only of what is compiled here", async () => {
  const fragment = join(dir, "own.config");
  await writeFile(fragment, "CONFIG_KSM=y\n");
  const kernel = parseKernelSpec("debian-6.1", [fragment]);

  assert.match(kernel.name, /^debian-6\.1-with-[0-9a-f]{4}$/);
  assert.deepEqual(kernel.spec, { kind: "debian", version: "6.1", config: [fragment] });
  assert.throws(() => parseKernelSpec("deb:linux-image-amd64", [fragment]), { message: /a prebuilt kernel takes no configuration/ });
  assert.throws(() => parseKernelSpec("debian-6.1", [`${fragment}.no`]), { message: /own\.config\.no is no file; expected a fragment/ });
  await writeFile(fragment, "# a comment\n\n# CONFIG_SMP is not set\nKSM=y\n");
  assert.throws(() => parseKernelSpec("debian-6.1", [fragment]), { code: "KERNEL_SPEC_INVALID", message: /own\.config, line 4: "KSM=y" sets nothing; expected a line like CONFIG_X=y/ });
});
