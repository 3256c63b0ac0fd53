import type { TestDetails } from "@playwright/test";
import { CPUS_ANNOTATION, GENERATION_ANNOTATION, REQUIREMENT_ANNOTATION } from "../../orchestration/record/annotations.ts";
import { GENERATIONS, requirement, type Generation, type RequirementId } from "../catalogue/index.ts";

/**
 * Says which requirements a test judges: it must go red when any of them is broken. The test runs for the generations
 * in which all of them hold; `generation` first narrows that further.
 *
 *     test("MSG-001 ...", covers("MSG-001"), async ({ bus }) => ...)
 *     test("NAME-031 ...", covers({ generation: "2015-08" }, "NAME-031"), ...)
 *
 * Most machines have one processor, on which threads meet only where the kernel sleeps. A test that wants them to meet
 * anywhere asks for a machine with more:
 *
 *     test("ORD-005 ...", covers({ cpus: 2 }, "ORD-005"), ...)
 */
export function covers(...ids: readonly [RequirementId, ...RequirementId[]]): TestDetails;
export function covers(options: CoversOptions, ...ids: readonly [RequirementId, ...RequirementId[]]): TestDetails;
export function covers(...given: readonly (CoversOptions | RequirementId)[]): TestDetails {
  const ids = given.filter((entry) => typeof entry === "string");
  const { generation: wanted, cpus } = given.find((entry) => typeof entry === "object") ?? {};
  const generations = generationsOf(ids).filter((generation) => wanted === undefined || generation === wanted);
  if (generations.length === 0) throw new RangeError(`no generation has all of ${ids.join(", ")}; split the test`);
  return {
    tag: ids.map((id) => `@${id}`),
    annotation: [
      ...ids.map((id) => ({ type: REQUIREMENT_ANNOTATION, description: id })),
      ...(generations.length === GENERATIONS.length ? [] : generations.map((generation) => ({ type: GENERATION_ANNOTATION, description: generation }))),
      ...(cpus === undefined || cpus === 1 ? [] : [{ type: CPUS_ANNOTATION, description: String(cpus) }]),
    ],
  };
}

interface CoversOptions {
  readonly generation?: Generation;
  /** Processors that the test's machine needs. */
  readonly cpus?: 1 | 2;
}

/** Generations in which all of the requirements hold. */
export function generationsOf(ids: readonly RequirementId[]): Generation[] {
  return GENERATIONS.filter((generation) => ids.every((id) => requirement(id).generations?.includes(generation) ?? true));
}
