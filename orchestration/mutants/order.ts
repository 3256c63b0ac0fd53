import type { Generation } from "../../conformance/catalogue/index.ts";
import { plannedFor, type Plan, type PlannedTest } from "../plan/plan.ts";
import { areaOfTest } from "../plan/test-id.ts";
import type { Mutant } from "./mutant.ts";

/** What is run against one mutant, in this order; the first wave decides, the others tell who else would have seen it. */
export interface Waves {
  /** Tests that name an id which the mutant claims to break; those that name few others first. */
  readonly naming: readonly PlannedTest[];
  /** The other tests of the areas of these ids. */
  readonly area: readonly PlannedTest[];
  readonly rest: readonly PlannedTest[];
}

/** Pure: the same plan and mutant give the same waves. */
export function wavesOf(mutant: Pick<Mutant, "breaks">, tests: Plan["tests"], generation: Generation): Waves {
  const claimed = new Set<string>(mutant.breaks);
  const areas = new Set(mutant.breaks.map((id) => id.slice(0, id.indexOf("-")).toLowerCase()));
  const able = tests.filter((test) => test.canary === undefined && plannedFor(test, generation));
  const naming = able.filter((test) => test.requirements.some((id) => claimed.has(id)));
  const others = able.filter((test) => !naming.includes(test));
  return {
    naming: naming.map((test, index) => ({ test, index, rank: rankOf(test, mutant.breaks) })).sort((a, b) => a.rank - b.rank || a.index - b.index).map(({ test }) => test),
    area: others.filter((test) => areas.has(areaOfTest(test.id))),
    rest: others.filter((test) => !areas.has(areaOfTest(test.id))),
  };
}

/** Tests whose title begins with a claimed id, the first claimed first; then the others, the narrower ones first. */
function rankOf(test: PlannedTest, breaks: readonly string[]): number {
  const first = breaks.findIndex((id) => test.requirements[0] === id);
  return first >= 0 ? first : breaks.length + test.requirements.length;
}
