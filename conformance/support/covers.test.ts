import assert from "node:assert/strict";
import test from "node:test";
import { covers } from "./covers.ts";

test("a test carries its requirements as tags and annotations", () => {
  assert.deepEqual(covers("MSG-001", "MSG-002"), {
    tag: ["@MSG-001", "@MSG-002"],
    annotation: [{ type: "requirement", description: "MSG-001" }, { type: "requirement", description: "MSG-002" }],
  });
});

test("a requirement of one generation limits its test to that generation", () => {
  assert.deepEqual(covers("ABI-031", "ABI-001").annotation, [
    { type: "requirement", description: "ABI-031" },
    { type: "requirement", description: "ABI-001" },
    { type: "generation", description: "2015-08" },
  ]);
});

test("the generation can be narrowed by hand", () => {
  assert.deepEqual((covers({ generation: "2015-03" }, "ABI-001").annotation as unknown[])[1], { type: "generation", description: "2015-03" });
});

test("a test for several processors says so, one for one says nothing", () => {
  assert.deepEqual((covers({ cpus: 2 }, "ABI-001").annotation as unknown[])[1], { type: "cpus", description: "2" });
  assert.deepEqual(covers({ cpus: 1 }, "ABI-001"), covers("ABI-001"));
});

test("requirements that no generation has together are refused", () => {
  assert.throws(() => covers("ABI-031", "ABI-046"), /no generation has all of ABI-031, ABI-046/);
});
