import assert from "node:assert/strict";
import { test } from "node:test";
import type { PlannedTest } from "../../plan/plan.ts";
import { countReached, nextRound, trialKey, trialsOf, type Known, type Trial } from "./choose.ts";
import { placesOf } from "./reach.ts";
import type { DerivedBug } from "./rules.ts";

const planned = (id: string, ...requirements: string[]): PlannedTest => ({ id, file: "a.spec.ts", title: id, requirements });
const [one, two, three] = [planned("one", "MSG-001"), planned("two", "MSG-001", "MSG-002"), planned("three", "MSG-002")];
const bug = (place: number): DerivedBug => ({ place, rule: "never", file: "a.c", line: place, code: "a" });

function known(reach: Record<string, number[]>, widest = 9): Known {
  return {
    tests: new Map([["MSG-001", [one, two]], ["MSG-002", [two, three]]]),
    bugs: new Map([1, 2, 3].map((place) => [place, bug(place)])),
    reach: new Map(Object.entries(reach)),
    widest,
  };
}

function all(facts: Known): Map<string, Trial[]> {
  return new Map([...facts.tests.keys()].map((id) => [id, trialsOf(id, facts, countReached(facts.reach))]));
}

const named = (trials: readonly Trial[]): string[] => trials.map((trial) => `${trial.test.id} ${trial.bug.place}`);

test("a mask names its places, the lowest word first", () => {
  assert.deepEqual(placesOf("000000000000000680000000000000010000000000000000\n"), [1, 2, 64, 127]);
});

test("what fewest tests reach is tried first, and what many reach not at all", () => {
  const reach = { one: [1, 2], two: [2, 3], three: [2] };
  assert.deepEqual(named(trialsOf("MSG-001", known(reach), countReached(known(reach).reach))), ["one 1", "two 3", "one 2", "two 2"]);
  assert.deepEqual(named(trialsOf("MSG-001", known(reach, 2), countReached(known(reach).reach))), ["one 1", "two 3"]);
});

test("one trial serves every requirement of its test, and is not made twice", () => {
  const facts = known({ one: [], two: [2, 3], three: [] });
  const first = nextRound(["MSG-001", "MSG-002"], all(facts), new Set());
  assert.deepEqual(named(first), ["two 2"]);
  const second = nextRound(["MSG-001", "MSG-002"], all(facts), new Set(first.map(trialKey)));
  assert.deepEqual(named(second), ["two 3"]);
  assert.deepEqual(nextRound(["MSG-001", "MSG-002"], all(facts), new Set([...first, ...second].map(trialKey))), []);
});

test("a test that has a bug in this round has no other", () => {
  const trial = (test: PlannedTest, place: number): Trial => ({ test, bug: bug(place), requirement: "", reachedBy: 1 });
  const trials = new Map([["MSG-001", [trial(two, 2)]], ["MSG-002", [trial(two, 3), trial(three, 1)]]]);
  assert.deepEqual(named(nextRound(["MSG-001", "MSG-002"], trials, new Set())), ["two 2", "three 1"]);
});
