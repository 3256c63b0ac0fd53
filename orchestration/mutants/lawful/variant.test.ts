import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseVariants, parseVariant } from "./variant.ts";

const DIFF = "--- a/fixtures/module/pool.c\n+++ b/fixtures/module/pool.c\n@@ -1,1 +1,1 @@\n-a\n+b\n";
const HEAD = "Slices come from above.\nPermitted: 31-pool.md 3: the placement policy is not defined\nLeaves: META-015, ABI-030\n\n";

test("a patch file gives its sentence, its ground and what it leaves", () => {
  const variant = parseVariant("pool-from-above", HEAD + DIFF);
  assert.equal(variant.what, "Slices come from above.");
  assert.equal(variant.permitted, "31-pool.md 3: the placement policy is not defined");
  assert.deepEqual(variant.leaves, ["META-015", "ABI-030"]);
});

for (const [what, name, text, complaint] of [
  ["a must that it leaves", "x", HEAD.replace("META-015", "META-014") + DIFF, /leaves META-014, which is a must/],
  ["an unknown id", "x", HEAD.replace("META-015", "META-915") + DIFF, /META-915.*no requirement/],
  ["no ground", "x", HEAD.replace(/Permitted.*\n/, "") + DIFF, /no line "Permitted:/],
  ["no sentence", "x", HEAD.replace("Slices come from above.\n", "") + DIFF, /instead of a sentence/],
  ["no diff", "x", HEAD, /no unified diff/],
  ["another header line", "x", HEAD.replace("Leaves:", "Breaks:") + DIFF, /"Breaks:"/],
  ["a name with capitals", "X", HEAD + DIFF, /not named/],
  ["a file outside of the module", "x", HEAD + DIFF.replaceAll("fixtures/module/pool.c", "fixtures/abi/kdbus.h"), /changes fixtures\/abi/],
] as const) {
  test(`a variant with ${what} is refused`, () => {
    assert.throws(() => parseVariant(name, text), (error: Error) => error.name === "SuiteError [FILE_INVALID]" && complaint.test(error.message));
  });
}

test("words name variants with or without folder and ending", () => {
  const all = ["a", "b"].map((name) => parseVariant(name, HEAD + DIFF));
  assert.deepEqual(chooseVariants(all, ["fixtures/variants/b.patch"]).map(({ name }) => name), ["b"]);
  assert.equal(chooseVariants(all, []).length, 2);
  assert.throws(() => chooseVariants(all, ["c"]), /"c" names none of the 2/);
});
