import type { Generation } from "../../../conformance/catalogue/index.ts";
import { asSuiteError } from "../../base/errors.ts";
import type { Progress } from "../../base/progress.ts";
import type { Plan, PlannedTest } from "../../plan/plan.ts";
import { summaryOf } from "../../record/outcome.ts";
import { accuses, type Observed } from "../verdict.ts";
import type { Variant } from "./variant.ts";

export interface LawfulOptions {
  readonly variants: readonly Variant[];
  readonly generation: Generation;
  readonly plan: Pick<Plan, "requirements">;
  /** Every test that can be run, canaries left out. */
  readonly tests: readonly PlannedTest[];
  /** Runs tests on the module with these variants; none: on the reference. */
  readonly run: (variants: readonly Variant[], tests: readonly PlannedTest[], name: string) => Promise<readonly Observed[]>;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** A test that calls a lawful bus wrong, or itself fails on the reference. */
export interface Accusation {
  readonly test: string;
  /** Its requirements that a lawful bus holds. */
  readonly requirements: readonly string[];
  readonly reason: string;
  /** Variants that it accuses when they are alone; none: only all together. */
  readonly accused: readonly string[];
  /** It fails on the reference as well, so nothing is learnt of it here. */
  readonly onReference: boolean;
}

export interface LawfulProof {
  /** Tests that ran to an end, on all variants together. */
  readonly ran: number;
  readonly unsupported: number;
  /** Tests of which nothing was learnt. */
  readonly unknown: readonly { readonly test: string; readonly reason: string }[];
  readonly accusations: readonly Accusation[];
  /** Variants that could not be tried alone: they do not build, or their machine does not come up. */
  readonly untried: readonly { readonly variant: string; readonly reason: string }[];
  /** Requirements left by a variant of which a test was red, as it should be. */
  readonly seenLeft: readonly string[];
}

/**
 * Runs the suite on all variants at once; what goes red and should not is then tried on the reference and on each variant alone.
 * @throws what building, booting and running throw on all variants or on the reference; one variant that fails is reported
 */
export async function tryLawful(options: LawfulOptions): Promise<LawfulProof> {
  const { variants, tests, run, signal } = options;
  const observed = await run(variants, tests, "together");
  const left = new Set<string>(variants.flatMap(({ leaves }) => leaves));
  const owed = (test: PlannedTest): string[] => owedBy(test, options, left);
  const red = observed.filter(({ outcome }) => accuses(outcome));
  const unfair = red.filter(({ test, outcome }) => outcome.kind === "crashed" || owed(test).length > 0);
  const again = unfair.map(({ test }) => test);
  const healthy = again.length === 0 || signal.aborted ? [] : await run([], again, "reference");
  const sick = new Set(healthy.filter(({ outcome }) => outcome.kind !== "passed").map(({ test }) => test.id));
  const alone = new Map<string, string[]>(again.map(({ id }) => [id, []]));
  const untried: { variant: string; reason: string }[] = [];
  const open = again.filter(({ id }) => !sick.has(id));
  for (const variant of variants) {
    if (open.length === 0 || signal.aborted) break;
    try {
      for (const { test, outcome } of await run([variant], open, variant.name)) if (accuses(outcome)) alone.get(test.id)?.push(variant.name);
    } catch (error) {
      untried.push({ variant: variant.name, reason: asSuiteError(error).message });
    }
  }
  return {
    ran: observed.filter(({ outcome }) => outcome.kind === "passed" || accuses(outcome)).length,
    unsupported: observed.filter(({ outcome }) => outcome.kind === "unsupported").length,
    unknown: observed.filter(({ outcome }) => outcome.kind === "infra-error" || outcome.kind === "not-run").map(({ test, outcome }) => ({ test: test.id, reason: summaryOf(outcome) })),
    accusations: unfair.map(({ test, outcome }) => ({ test: test.id, requirements: owed(test), reason: summaryOf(outcome), accused: alone.get(test.id) ?? [], onReference: sick.has(test.id) })),
    untried,
    seenLeft: [...left].filter((id) => red.some(({ test }) => test.requirements.includes(id))).sort(),
  };
}

/** Requirements of a test that count for the generation and that no variant leaves; a must is never left. */
function owedBy(test: PlannedTest, { generation, plan }: Pick<LawfulOptions, "generation" | "plan">, left: ReadonlySet<string>): string[] {
  const counts = new Set(plan.requirements.filter(({ generations }) => generations === undefined || generations.includes(generation)).map((row) => row.id));
  return test.requirements.filter((id) => counts.has(id) && !left.has(id));
}
