import assert from "node:assert/strict";
import { test } from "node:test";
import { minimise, shrinkList } from "./minimise.ts";
import type { Call, Program } from "./program.ts";

const call = (op: number, more: Partial<Call> = {}): Call => ({ op, thread: 0, flags: 0, fail: 0, place: 0, args: [0, 0, 0, 0], patches: [], data: new Uint8Array(), ...more });
const program = (ops: readonly number[]): Program => ({ sandbox: 0, calls: ops.map((op) => call(op)) });
const has = (list: readonly Program[], ...ops: readonly number[]): boolean => list.some(({ calls }) => ops.every((op) => calls.some((one) => one.op === op)));

test("only the calls that the finding needs are left, in their order", async () => {
  const noisy = program([9, 1, 8, 7, 2, 6, 5, 3, 4]);
  const { programs, complete } = await minimise([program([1, 2]), noisy, program([3])], async (list) => has(list, 1, 2, 3));
  assert.deepEqual(programs.map(({ calls }) => calls.map(({ op }) => op)), [[1, 2, 3]]);
  assert.ok(complete);
});

test("a finding that needs two programs keeps two", async () => {
  const { programs } = await minimise([program([5]), program([1, 9]), program([7]), program([2, 9])], async (list) => has(list, 1) && has(list, 2));
  assert.deepEqual(programs.map(({ calls }) => calls.map(({ op }) => op)), [[1], [2]]);
});

test("threads, failing allocations and bytes go when they are not needed, and stay when they are", async () => {
  const data = new Uint8Array(64).fill(7);
  const start: Program = { sandbox: 2, calls: [call(1, { thread: 2, fail: 3, place: 4, flags: 1, data }), call(2, { fail: 5 })] };
  const { programs } = await minimise([start], async (list) => list.some(({ calls }) => calls[0]?.thread === 2 && calls[0].data[8] === 7 && calls[1]?.fail === 5));
  const [only] = programs;
  assert.equal(only?.sandbox, 0);
  assert.deepEqual(only?.calls.map(({ thread, fail, place, flags }) => [thread, fail, place, flags]), [[2, 0, 0, 0], [0, 5, 0, 0]]);
  assert.equal(only?.calls[0]?.data.length, 16);
  assert.deepEqual([...(only?.calls[0]?.data ?? [])], [...new Uint8Array(8), ...new Uint8Array(8).fill(7)]);
});

test("a budget that ends leaves a result that failed, and says that it is not complete", async () => {
  let left = 2;
  const { programs, complete, tries } = await minimise([program([1, 2, 3, 4, 5, 6, 7, 8])], async (list) => has(list, 1), () => left-- > 0);
  assert.ok(has(programs, 1));
  assert.ok(!complete);
  assert.equal(tries, 2);
});

test("an executor that never fails takes nothing away", async () => {
  const list = [1, 2, 3, 4, 5];
  assert.deepEqual(await shrinkList(list, async () => false), list);
});
