import assert from "node:assert/strict";
import test from "node:test";
import { parseRecords } from "../record/jsonl.ts";
import { recordLines } from "./host-figures.ts";

test("the made-up run consists of records that parse, three a test", () => {
  const { records, torn, gaps } = parseRecords(recordLines("20260101-000000-bench", "x86_64/debian-6.1/none/plain", 7).join(""));
  assert.equal(records.length, 3 * 7 + 4);
  assert.equal(records.filter((record) => record.type === "test-end").length, 7);
  assert.deepEqual([torn, gaps], [[], []]);
});
