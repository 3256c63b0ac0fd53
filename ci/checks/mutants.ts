import { checkMutants, readMutants } from "../../orchestration/mutants/index.ts";
import { checkVariants, readVariants } from "../../orchestration/mutants/lawful/index.ts";
import { discover } from "../../orchestration/plan/discover.ts";
import type { Check } from "./check.ts";

/**
 * Planted bugs and lawful variants: headers are right, every patch applies to today's reference. What a bug breaks is in the catalogue and
 * covered by a test; the variants apply together as well.
 */
export const mutants: Check = {
  name: "mutants",
  run: async () => {
    const [bugs, variants] = [await readMutants(), await readVariants()];
    const { tests } = await discover();
    return { examined: bugs.length + variants.length, problems: [...(await checkMutants(bugs, tests)), ...(await checkVariants(variants))] };
  },
};
