import assert from "node:assert/strict";
import { test } from "node:test";
import { hostCapacity, slotsFor } from "./capacity.ts";

const PLAIN = [{ build: "plain" }] as const;

test("with memory enough there is one machine more than cores", () => {
  assert.deepEqual(slotsFor({ cores: 2, memoryMb: 24_000 }, PLAIN), { slots: 3, because: "2 cores" });
});

test("little memory makes fewer, and a debug guest needs twice as much", () => {
  const host = { cores: 8, memoryMb: 8_000 };
  assert.equal(slotsFor(host, PLAIN).slots, 4);
  assert.equal(slotsFor(host, [...PLAIN, { build: "debug" }]).slots, 2);
  assert.match(slotsFor(host, PLAIN).because, /8000 MiB of memory hold 4 at 1568 MiB each/);
});

test("each further target keeps something for itself", () => {
  const host = { cores: 8, memoryMb: 768 + 4 * 1568 + 128 };
  assert.equal(slotsFor(host, PLAIN).slots, 4);
  assert.equal(slotsFor(host, [...PLAIN, ...PLAIN]).slots, 3);
});

test("there is always one", () => {
  assert.deepEqual(slotsFor({ cores: 4, memoryMb: 900 }, PLAIN), { slots: 1, because: "900 MiB of memory hold hardly one machine at 1568 MiB each" });
});

test("this host has cores and memory", async () => {
  const { cores, memoryMb } = await hostCapacity();
  assert.ok(cores >= 1 && memoryMb > 100, `${cores} cores, ${memoryMb} MiB`);
});
