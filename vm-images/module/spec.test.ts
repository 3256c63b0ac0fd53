import assert from "node:assert/strict";
import { test } from "node:test";
import { join } from "node:path";
import { ROOT } from "../../orchestration/base/paths.ts";
import { parseModuleSpec } from "./spec.ts";

test("a module is a folder", () => {
  assert.deepEqual(parseModuleSpec("/a/b,c/module"), { dir: "/a/b,c/module", variables: {}, builtIn: false });
});

test("make variables behind the folder choose a variant", () => {
  assert.deepEqual(parseModuleSpec("fixtures/module,KDBUS_GENERATION=201503,X=y-1"), { dir: "fixtures/module", variables: { KDBUS_GENERATION: "201503", X: "y-1" }, builtIn: false });
});

test("built-in in front of a folder, or alone for the reference module", () => {
  const reference = join(ROOT, "fixtures/module");
  assert.deepEqual(parseModuleSpec("built-in:/a/module"), { dir: "/a/module", variables: {}, builtIn: true });
  assert.deepEqual(parseModuleSpec("built-in"), { dir: reference, variables: {}, builtIn: true });
  assert.deepEqual(parseModuleSpec("built-in,KDBUS_GENERATION=201503"), { dir: reference, variables: { KDBUS_GENERATION: "201503" }, builtIn: true });
  assert.equal(parseModuleSpec("./built-in").builtIn, false);
  assert.equal(parseModuleSpec("built-in-tree").builtIn, false);
});
