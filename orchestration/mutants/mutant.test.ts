import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseMutants, parseMutant } from "./mutant.ts";

const DIFF = "--- a/fixtures/module/queue.c\n+++ b/fixtures/module/queue.c\n@@ -1,1 +1,1 @@\n-a\n+b\n";
const HEAD = "The quota is off by one.\nBreaks: LIM-006, LIM-007\nKind: off by one\n\n";

test("a patch file gives its sentence, ids and kind", () => {
  const mutant = parseMutant("lim/quota-one", HEAD + DIFF);
  assert.equal(mutant.area, "lim");
  assert.equal(mutant.what, "The quota is off by one.");
  assert.deepEqual(mutant.breaks, ["LIM-006", "LIM-007"]);
  assert.equal(mutant.kind, "off by one");
});

test("the digest is that of the diff alone", () => {
  const one = parseMutant("lim/one", HEAD + DIFF);
  assert.equal(parseMutant("lim/two", HEAD.replace("off by one.", "wrong.") + DIFF).digest, one.digest);
  assert.notEqual(parseMutant("lim/two", HEAD + DIFF.replace("+b", "+c")).digest, one.digest);
});

for (const [what, name, text, complaint] of [
  ["an unknown id", "lim/x", HEAD.replace("LIM-007", "LIM-907") + DIFF, /LIM-907.*no requirement/],
  ["no ids", "lim/x", HEAD.replace(/Breaks.*\n/, "") + DIFF, /no line "Breaks:/],
  ["an unknown kind", "lim/x", HEAD.replace("Kind: off by one", "Kind: cosmetic") + DIFF, /of the kind "cosmetic"/],
  ["no sentence", "lim/x", HEAD.replace("The quota is off by one.\n", "") + DIFF, /instead of a sentence/],
  ["no diff", "lim/x", HEAD, /no unified diff/],
  ["another header line", "lim/x", HEAD.replace("Kind:", "Note: x\nKind:") + DIFF, /"Note:"/],
  ["a folder that is no area", "quota/x", HEAD + DIFF, /no area/],
  ["a name with capitals", "lim/X", HEAD + DIFF, /not named/],
  ["a file outside of the module", "lim/x", HEAD + DIFF.replaceAll("fixtures/module/queue.c", "fixtures/abi/kdbus.h"), /changes fixtures\/abi/],
] as const) {
  test(`a patch file with ${what} is refused`, () => {
    assert.throws(() => parseMutant(name, text), (error: Error) => error.name === "SuiteError [FILE_INVALID]" && complaint.test(error.message));
  });
}

test("words name areas, whole names and names without their area", () => {
  const all = ["lim/a", "lim/b", "msg/a"].map((name) => parseMutant(name, HEAD + DIFF));
  const chosen = (...words: string[]): string[] => chooseMutants(all, words).map(({ name }) => name);
  assert.deepEqual(chosen(), ["lim/a", "lim/b", "msg/a"]);
  assert.deepEqual(chosen("LIM"), ["lim/a", "lim/b"]);
  assert.deepEqual(chosen("msg/a", "b"), ["lim/b", "msg/a"]);
  assert.deepEqual(chosen("fixtures/mutants/lim/a.patch"), ["lim/a"]);
  assert.throws(() => chosen("pool"), /"pool" names none of the 3/);
});
