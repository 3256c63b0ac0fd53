import assert from "node:assert/strict";
import test from "node:test";
import { AREAS, areaOf, CATALOGUE_DIGEST, GENERATIONS, holdsFor, isRequirementId, LEVELS, REQUIREMENTS, requirement, requirementsOf } from "./index.ts";

test("the catalogue holds all 774 statements with unique ids", () => {
  assert.equal(REQUIREMENTS.length, 774);
  assert.equal(new Set(REQUIREMENTS.map((row) => row.id)).size, 774);
  assert.equal(new Set(REQUIREMENTS.map((row) => row.text)).size, 774, "two requirements say the same");
});

test("levels and generations are those of the specification", () => {
  const count = (level: string): number => REQUIREMENTS.filter((row) => row.level === level).length;
  assert.deepEqual(LEVELS.map(count), [741, 27, 6]);
  const only = (generation: string): number => REQUIREMENTS.filter((row) => row.generations?.join() === generation).length;
  assert.deepEqual(GENERATIONS.map(only), [64, 81]);
  assert.ok(REQUIREMENTS.every((row) => row.generations === undefined || row.generations.length === 1));
});

test("each id carries the prefix of its area and the areas hold everything", () => {
  for (const area of AREAS) for (const row of requirementsOf(area)) assert.equal(areaOf(row.id), area);
  assert.equal(AREAS.reduce((sum, area) => sum + requirementsOf(area).length, 0), REQUIREMENTS.length);
  assert.equal(AREAS.length, 19);
});

test("each requirement has a text, a source and a way to verify it", () => {
  for (const row of REQUIREMENTS) {
    assert.match(row.id, /^[A-Z]+-\d{3}$/);
    for (const text of [row.text, row.source, row.verify]) assert.ok(text.trim().length > 3, row.id);
  }
});

test("an untestable requirement says why, and there are at most ten", () => {
  const untestable = REQUIREMENTS.filter((row) => row.untestable !== undefined);
  assert.ok(untestable.length <= 10);
  for (const row of untestable) assert.ok((row.untestable ?? "").length > 20, `${row.id} needs a reason`);
});

test("a generation takes its own requirements and the common ones", () => {
  assert.ok(holdsFor(requirement("ABI-031"), "2015-08"));
  assert.ok(!holdsFor(requirement("ABI-031"), "2015-03"));
  assert.ok(holdsFor(requirement("ABI-001"), "2015-03"));
});

test("an unknown id is refused", () => {
  assert.ok(!isRequirementId("ABI-999"));
  assert.throws(() => requirement("ABI-999"), { code: "REQUIREMENT_UNKNOWN" });
});

// A changed digest means changed statements: that is allowed, but never by accident.
test("the digest is the one that was reviewed", () => {
  assert.equal(CATALOGUE_DIGEST, "sha256:9ac2635240ee1be68c2d87db64b1e368c34da7b8d2223dadcdf00ee18e694e2f");
});
