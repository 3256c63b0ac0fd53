import { GENERATIONS, holdsFor, REQUIREMENTS } from "../../conformance/catalogue/index.ts";
import { discover } from "../../orchestration/plan/discover.ts";
import type { Check } from "./check.ts";

/** More than these would make the verdict speak of much less than the catalogue says. */
const UNTESTABLE_AT_MOST = 10;

/** Every must of each generation has a test that runs on such a subject, or says in the catalogue why it cannot have one. */
export const coverage: Check = {
  name: "coverage of the catalogue",
  run: async () => {
    const { tests } = await discover();
    const problems: string[] = [];
    let examined = 0;
    for (const generation of GENERATIONS) {
      const tested = new Set<string>(tests.filter((test) => test.generations.length === 0 || test.generations.includes(generation)).flatMap((test) => test.requirements));
      for (const row of REQUIREMENTS.filter((each) => each.level === "must" && holdsFor(each, generation))) {
        examined += 1;
        if (row.untestable === undefined && !tested.has(row.id)) problems.push(`${row.id} holds for ${generation} and no test shows it there; write one, or mark it \`untestable\` with the reason`);
      }
    }
    const marked = REQUIREMENTS.filter((row) => row.untestable !== undefined);
    if (marked.length > UNTESTABLE_AT_MOST) problems.push(`${marked.length} requirements are marked as untestable, at most ${UNTESTABLE_AT_MOST} may be: ${marked.map((row) => row.id).join(", ")}`);
    return { examined, problems };
  },
};
