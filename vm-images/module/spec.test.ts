import assert from "node:assert/strict";
import { test } from "node:test";
import { parseModuleSpec } from "./build.ts";

test("a module is a folder", () => {
  assert.deepEqual(parseModuleSpec("/a/b,c/module"), { dir: "/a/b,c/module", variables: {} });
});

test("make variables behind the folder choose a variant", () => {
  assert.deepEqual(parseModuleSpec("fixtures/module,KDBUS_GENERATION=201503,X=y-1"), { dir: "fixtures/module", variables: { KDBUS_GENERATION: "201503", X: "y-1" } });
});
