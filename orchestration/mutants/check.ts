import type { ListedTest } from "../plan/list-reporter.ts";
import { misfits } from "./apply.ts";
import type { Mutant } from "./mutant.ts";

/** What is wrong with the planted bugs as far as no compiler and no machine is needed; one line each. */
export async function checkMutants(mutants: readonly Mutant[], tests: readonly Pick<ListedTest, "requirements">[]): Promise<string[]> {
  const covered = new Set(tests.flatMap((test) => test.requirements));
  const unfit = await misfits(mutants);
  const twins = new Map<string, string>();
  const problems: string[] = [];
  for (const mutant of mutants) {
    const file = `fixtures/mutants/${mutant.name}.patch`;
    const twin = twins.get(mutant.digest);
    if (twin !== undefined) problems.push(`${file} plants the same bug as ${twin}`);
    twins.set(mutant.digest, file);
    if (!mutant.breaks.some((id) => covered.has(id))) problems.push(`${file} claims to break ${mutant.breaks.join(", ")}, and no test covers any of them`);
    const misfit = unfit.get(mutant.name);
    if (misfit !== undefined) problems.push(`${file} does not apply: ${misfit}`);
  }
  return problems;
}
