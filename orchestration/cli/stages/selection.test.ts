import assert from "node:assert/strict";
import { test } from "node:test";
import { targetsOf } from "./selection.ts";

function idsOf(patterns: readonly string[], kernel?: string): string[] {
  return targetsOf(patterns, kernel).targets.map((target) => target.id);
}

test("wildcards take every architecture but the experimental", () => {
  const both = ["x86_64/debian-6.1/none/plain", "arm64/debian-6.1/none/plain"];
  assert.deepEqual(idsOf(["*/debian-6.1/none/plain"]), both);
  assert.deepEqual(idsOf(["/debian-6.1/none/plain"]), both);
});

test("an experimental architecture is found by its own name, and by a kernel of it", () => {
  assert.deepEqual(idsOf(["arm/debian-6.1/none/plain", "x86_64/debian-6.1/none/plain"]), ["arm/debian-6.1/none/plain", "x86_64/debian-6.1/none/plain"]);
  assert.deepEqual(idsOf([], "deb:linux-image-arm64"), ["arm64/deb-arm64/none/plain"]);
});

test("a word that is no architecture at all is refused by name", () => {
  assert.throws(() => idsOf(["mips/debian-6.1"]), { code: "TARGET_UNKNOWN", message: /"mips"/ });
});
