import assert from "node:assert/strict";
import { test } from "node:test";
import { coverageDocument, type DocumentInput } from "./document.ts";
import type { LineCounts } from "./lines.ts";
import { renderCoverage } from "./render.ts";

const counts = (lines: Record<number, number>, name = "put"): LineCounts => new Map([["fixtures/module/pool.c", new Map(Object.entries(lines).map(([line, count]) => [Number(line), { count, function: name }]))], ["./include/linux/list.h", new Map([[9, { count: 1, function: "list_add" }]])]]);
const SOURCE = ["static int put(void)", "{", "\tif (!page)", "\t\treturn -ENOMEM;", "", "\tdo_it();", "\tWARN_ON(1);", "}"];

function input(given: Partial<DocumentInput> = {}): DocumentInput {
  return {
    target: "x86_64/debian-6.1/none/cov",
    module: "fixtures/module",
    run: "r1",
    tests: ["msg/a.spec.ts:one", "pool/b.spec.ts:two"],
    missing: ["pool/b.spec.ts:three"],
    testsOf: (area) => (area === "loading" ? 0 : 1),
    areas: new Map([
      ["loading", counts({ 1: 1, 3: 0, 4: 0, 6: 0, 7: 0 })],
      ["msg", counts({ 1: 2, 3: 2, 4: 0, 6: 2, 7: 0 })],
      ["pool", counts({ 1: 1, 3: 1, 4: 0, 6: 0, 7: 0 })],
    ]),
    sourceOf: () => SOURCE,
    reasons: [{ file: "pool.c", function: "put", line: "ENOMEM", reason: "the kernel is out of memory there" }],
    ...given,
  };
}

test("a line is covered when any area reaches it; headers of the kernel are not the module's", () => {
  const { total, files, areas } = coverageDocument(input());
  assert.deepEqual(total, { lines: 5, covered: 3, percent: 60 });
  assert.deepEqual(files.map(({ file }) => file), ["pool.c"]);
  assert.deepEqual(areas.map(({ area, covered, alone, reached }) => [area, covered, alone, reached]), [
    ["loading", 1, 0, { "pool.c": "1" }],
    ["msg", 3, 1, { "pool.c": "1,3,6" }],
    ["pool", 2, 0, { "pool.c": "1,3" }],
  ]);
});

test("lines that nothing ran are listed with the reason of the table, or as having none", () => {
  const document = coverageDocument(input());
  assert.deepEqual(document.files[0]?.uncovered, [
    { from: 4, to: 4, function: "put", lines: 1, reason: "the kernel is out of memory there" },
    { from: 7, to: 7, function: "put", lines: 1, reason: null },
  ]);
  assert.equal(document.unexplained, 1);
  const text = renderCoverage(document);
  assert.match(text, /Not run: 2 lines, 1 of them without a reason/);
  assert.match(text, /pool\.c:7 put: no reason given/);
  assert.match(text, /1 without counters[^]*pool\/b\.spec\.ts:three/);
});

test("lines without a run that follow each other are one row, and a reason that fits nothing is told", () => {
  const document = coverageDocument(input({ areas: new Map([["msg", counts({ 1: 1, 3: 0, 4: 0, 6: 1, 7: 0 })]]), reasons: [{ file: "gone.c", reason: "this file was removed" }] }));
  assert.deepEqual(document.files[0]?.uncovered.map(({ from, to, lines }) => [from, to, lines]), [[3, 4, 2], [7, 7, 1]]);
  assert.deepEqual(document.staleReasons.map(({ file }) => file), ["gone.c"]);
  assert.match(renderCoverage(document), /out of date: the reason "this file was removed" fits no line of gone\.c/);
});
