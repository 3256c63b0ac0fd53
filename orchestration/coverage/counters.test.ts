import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { exec } from "../base/exec.ts";
import { addCounters, checkCounters } from "./counters.ts";
import { countLines } from "./lines.ts";

const SOURCE = "int twice(int n)\n{\n\tif (n > 2)\n\t\treturn 0;\n\treturn 2 * n;\n}\n";
const MAIN = "int twice(int n);\n\nint main(int count, char **words)\n{\n\treturn twice(count) != 0 && words == 0;\n}\n";

/** Two real counter files of one object: of a run with one word, and of one with three. */
async function twoRuns(t: { after(undo: () => void): void }): Promise<{ readonly dir: string; readonly few: Buffer; readonly many: Buffer }> {
  const dir = mkdtempSync(join(tmpdir(), "buslab-gcov-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, "twice.c"), SOURCE);
  writeFileSync(join(dir, "main.c"), MAIN);
  await exec(["gcc", "--coverage", "-c", "twice.c", "main.c"], { cwd: dir });
  await exec(["gcc", "--coverage", "twice.o", "main.o", "-o", "program"], { cwd: dir });
  const run = async (...words: string[]): Promise<Buffer> => {
    rmSync(join(dir, "twice.gcda"), { force: true });
    await exec([join(dir, "program"), ...words], { cwd: dir, okCodes: [0, 1] });
    return kernelForm(readFileSync(join(dir, "twice.gcda")));
  };
  return { dir, few: await run(), many: await run("a", "b", "c") };
}

/** The kernel writes neither the summary of the program nor the zero word at the end. */
function kernelForm(bytes: Buffer): Buffer {
  const parts = [bytes.subarray(0, 16)];
  for (let at = 16; at + 8 <= bytes.length && bytes.readUInt32LE(at) !== 0; ) {
    const end = at + 8 + bytes.readUInt32LE(at + 4);
    if (bytes.readUInt32LE(at) !== 0xa1000000) parts.push(bytes.subarray(at, end));
    at = end;
  }
  return Buffer.concat(parts);
}

test("counters of two runs added are the lines of both, and taken away again those of one", async (t) => {
  const { dir, few, many } = await twoRuns(t);
  const lines = async (bytes: Uint8Array): Promise<Record<string, number>> => {
    const counted = await countLines(dir, new Map([["twice.gcda", bytes]]));
    return Object.fromEntries([...(counted.get("twice.c") ?? [])].map(([line, { count }]) => [line, count]));
  };
  assert.deepEqual(await lines(few), { 1: 1, 3: 1, 4: 0, 5: 1 });
  assert.deepEqual(await lines(many), { 1: 1, 3: 1, 4: 1, 5: 0 });

  const sum = Uint8Array.from(few);
  addCounters(sum, many);
  assert.deepEqual(await lines(sum), { 1: 2, 3: 2, 4: 1, 5: 1 });
  addCounters(sum, few, -1);
  assert.deepEqual(Buffer.from(sum), Buffer.from(many));
});

test("what is no whole counter file is told", async (t) => {
  const { few } = await twoRuns(t);
  checkCounters(few);
  assert.throws(() => checkCounters(few.subarray(0, few.length - 4)), /cut off/);
  assert.throws(() => checkCounters(Buffer.concat([few, few])), /unknown kind/);
  assert.throws(() => checkCounters(Buffer.from("no such file or folder")), /does not begin as one/);
  const other = Uint8Array.from(few);
  other[8] = (other[8] ?? 0) ^ 1; // the stamp
  assert.throws(() => addCounters(Uint8Array.from(few), other), /another build/);
});
