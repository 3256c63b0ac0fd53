import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { plantBuiltIn, readBuiltIn } from "./built-in.ts";
import { parseModuleSpec } from "./spec.ts";

let top = "";
let source = "";

beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), "built-in-"));
  source = join(top, "source");
  for (const folder of ["ipc", "init"]) await mkdir(join(source, folder), { recursive: true });
  await writeFile(join(source, "ipc/Makefile"), "obj-y += util.o\n");
  await writeFile(join(source, "init/Kconfig"), "config X\n");
  await writeFile(join(source, "Makefile"), "VERSION = 6\n");
});

afterEach(() => rm(top, { recursive: true }));

test("the module lies in a copy of names, the source stays as it was", async () => {
  const tree = join(top, "tree");

  await plantBuiltIn(source, tree, await readBuiltIn(parseModuleSpec("built-in")));

  assert.equal(await readFile(join(tree, "ipc/Makefile"), "utf8"), "obj-y += util.o\n\nobj-$(CONFIG_KDBUS) += kdbus/\n");
  assert.equal(await readFile(join(tree, "init/Kconfig"), "utf8"), 'config X\n\nsource "ipc/kdbus/Kconfig"\n');
  assert.match(await readFile(join(tree, "ipc/kdbus/kdbus.h"), "utf8"), /KDBUS_CMD_HELLO/);
  assert.match(await readFile(join(tree, "ipc/kdbus/main.c"), "utf8"), /module_init/);
  assert.equal((await stat(join(tree, "Makefile"))).ino, (await stat(join(source, "Makefile"))).ino);
  assert.equal(await readFile(join(source, "ipc/Makefile"), "utf8"), "obj-y += util.o\n");
  assert.equal(await readFile(join(source, "init/Kconfig"), "utf8"), "config X\n");
});

test("what decides the module decides the kernel: sources, header, make variables", async () => {
  const { sources, symbol, name, title } = await readBuiltIn(parseModuleSpec("built-in,KDBUS_GENERATION=201503"));

  assert.deepEqual([symbol, name, title], ["CONFIG_KDBUS", "kdbus", "built-in fixtures/module,KDBUS_GENERATION=201503"]);
  assert.equal(sources.inputs["make variable KDBUS_GENERATION"], "201503");
  assert.match(sources.inputs["fixtures/module/main.c"] ?? "", /^sha256:/);
  assert.match(sources.inputs["fixtures/abi/kdbus.h"] ?? "", /^sha256:/);
});

test("a module that no kernel tree can take in is refused in a sentence", async () => {
  const dir = join(top, "module");
  await mkdir(dir);
  await writeFile(join(dir, "Kbuild"), "obj-m += bus.o\n");

  await assert.rejects(readBuiltIn(parseModuleSpec(`built-in:${dir}`)), { code: "MODULE_DIR_INVALID", message: /cannot be linked into a kernel: .*obj-\$\(CONFIG_X\)/ });
});
