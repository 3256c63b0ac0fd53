import assert from "node:assert/strict";
import { test } from "node:test";
import { difference, manifestSchema } from "./manifest.ts";

const base = { inputs: { a: "1", b: "2" }, tools: { gcc: "12" }, recipe: 1 };

test("the difference of two builds names what changed, appeared and vanished", () => {
  assert.equal(difference(base, base), "");
  assert.equal(difference(base, { ...base, inputs: { a: "1", c: "3" } }), "b vanished, c appeared");
  assert.equal(difference(base, { ...base, tools: { gcc: "13" }, recipe: 2 }), "gcc changed, the build steps changed");
});

test("a long difference is cut to three names and a count", () => {
  const many = { ...base, inputs: { a: "2", b: "3", c: "4", d: "5", e: "6" } };

  assert.equal(difference(base, many), "a changed, b changed, c appeared and 2 more");
});

test("a manifest with an unknown key or without outputs is refused", () => {
  const digest = `sha256:${"0".repeat(64)}`;
  const manifest = {
    schema: "buslab.manifest/1",
    kind: "module",
    subject: "s",
    key: digest,
    recipe: 1,
    inputs: {},
    tools: {},
    outputs: [{ path: "x", type: "file", digest, sizeBytes: 1, files: 1, mtimeMs: 1 }],
    facts: {},
    because: "b",
    builtAt: "2026-01-01T00:00:00.000Z",
    durationMs: 1,
  };

  assert.equal(manifestSchema.safeParse(manifest).success, true);
  assert.equal(manifestSchema.safeParse({ ...manifest, more: 1 }).success, false);
  assert.equal(manifestSchema.safeParse({ ...manifest, outputs: [] }).success, false);
});
