import assert from "node:assert/strict";
import test from "node:test";
import { absences, bystanderFigure, cellsOf, figuresOf } from "./transport-figures.ts";
import { parseLines, type Line } from "./transport-lines.ts";
import { renderTransports } from "./transport-tables.ts";

const loop = { what: "round trip", bytes: 64 } as const;
const time = (transport: string, ns: number, round = 0): Line => ({ figure: "time", transport, ...loop, round, messages: 10, ns, partNs: 0 });
const signal = (receivers: number, matching: number, partNs: number): Line => ({ figure: "time", transport: "kdbus", what: "multicast", bytes: 64, receivers, matching, round: 0, messages: 10, ns: 9_000_000, partNs });

test("lines of the guest's program are parsed to the end, and nothing else is", () => {
  const text = '{"figure":"time","transport":"kdbus","what":"round trip","bytes":64,"round":0,"messages":10,"ns":5,"partNs":0}\r\n{"figure":"end"}\r\n';
  assert.deepEqual(parseLines(text), [time("kdbus", 5)]);
  assert.throws(() => parseLines(text.replace(/.*end.*/, "")), { name: /GUEST_PROTOCOL/, message: /1 figures and did not come to its end/ });
  assert.throws(() => parseLines(`kernel text${text}`), { message: /kernel text.*no figure/ });
  assert.throws(() => parseLines(text.replace('"ns":5', '"ns":-5')), { name: /GUEST_PROTOCOL/ });
});

test("the last steady round counts, for one message and beside the subject", () => {
  const boot = [time("kdbus", 900, 0), time("kdbus", 500, 1), time("slow", 9000, 0), time("slow", 2000, 1)];
  const cells = cellsOf([boot, boot], []);
  const slow = cells.find((cell) => cell.loop.transport === "slow" && cell.measure === "icount");
  assert.deepEqual({ ...slow, loop: null }, { loop: null, measure: "icount", value: 200, ratio: 4, exact: true, apart: 0 });
  assert.equal(cells.find((cell) => cell.loop.transport === "kdbus")?.ratio, undefined);
});

test("only what two boots saw alike in every round is exact", () => {
  const cells = cellsOf([[time("kdbus", 900, 0), time("kdbus", 500, 1)], [time("kdbus", 901, 0), time("kdbus", 500, 1)]], []);
  assert.equal(cells.find(({ measure }) => measure === "icount")?.exact, false);
  assert.equal(cellsOf([[time("kdbus", 5)], []], [])[0]?.exact, false);
});

test("how far two boots are apart is told of the loop that is worst", () => {
  const cells = cellsOf([[time("kdbus", 1000), time("slow", 4000)], [time("kdbus", 1100), time("slow", 4040)]], []);
  assert.deepEqual(cells.map(({ apart }) => apart), [0.1, 0.01]);
  assert.match(renderTransports(cells, []), /differ most by 10 % of counted time: round trip of 64 B, kdbus/);
  assert.doesNotMatch(renderTransports(cellsOf([[], []], [time("kdbus", 5)]), []), /differ most/);
});

test("wall-clock ratios are taken round by round and never exact", () => {
  const wall = [time("kdbus", 100_000, 0), time("slow", 300_000, 0), time("kdbus", 1_000_000, 1), time("slow", 3_000_000, 1)];
  const slow = cellsOf([[], []], wall).find((cell) => cell.loop.transport === "slow");
  assert.deepEqual({ ...slow, loop: null }, { loop: null, measure: "wall", value: 165, ratio: 3, exact: false });
});

test("a bystander costs what 90 more of them cost, beside what nine that match instead cost more", () => {
  // ten receivers of which one matches: 1000; each bystander 10; a receiver that matches 500
  const boot = [signal(10, 1, 10_000), signal(100, 1, 19_000), signal(10, 10, 10_000 + 9 * 4_900)];
  const figure = bystanderFigure(cellsOf([boot, boot], []));
  assert.equal(figure?.value, 10);
  assert.equal(figure?.ratio, 0.02);
  assert.equal(figure?.exact, true);
  assert.equal(bystanderFigure(cellsOf([boot.slice(1), boot], [])), undefined);
});

test("what could not be measured is told once, with its reason", () => {
  const absent: Line = { figure: "absent", transport: "POSIX message queue", ...loop, because: "it passes no descriptors" };
  assert.deepEqual(absences([absent, time("kdbus", 5), absent]), [absent]);
});

test("figures are named by loop and transport, tables hold the same numbers", () => {
  const boot = [time("kdbus", 500), time("slow", 2000)];
  const cells = cellsOf([boot, boot], []);
  assert.deepEqual(figuresOf(cells)[1], { name: "round trip of 64 B, slow: time by counted instructions", value: 200, unit: "ns", against: "kdbus", ratio: 4, exact: true });
  assert.match(renderTransports(cells, []), /round trip, time by counted instructions \(ns\)\n +64 B\n {2}kdbus +50\n {2}slow +200 \(4\)/);
});
