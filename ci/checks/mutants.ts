import { checkMutants, readMutants } from "../../orchestration/mutants/index.ts";
import { discover } from "../../orchestration/plan/discover.ts";
import type { Check } from "./check.ts";

/** Planted bugs: headers are right, ids are in the catalogue and covered by a test, every patch applies to today's reference. */
export const mutants: Check = {
  name: "mutants",
  run: async () => {
    const all = await readMutants();
    const { tests } = await discover();
    return { examined: all.length, problems: await checkMutants(all, tests) };
  },
};
