import { createHash } from "node:crypto";
import { SuiteError } from "../base/errors.ts";
import type { Plan, PlannedTest } from "../plan/plan.ts";

/** Which tests of a debug target are asked for leaks at their end. */
export interface LeakChoice {
  readonly wanted: (target: string, test: string) => boolean;
  /** Recorded as a fact of the target. */
  readonly says: string;
}

/** One test in so many, when nothing else is asked for: two scans cost ten times what most tests do. */
export const LEAK_SAMPLE = 64;

/** What is about memory that comes back, so its tests are always asked unless none is. */
const RELEASES = "SCN-024";

/**
 * The tests asked for leaks: `all`, `none`, or one in so many, `1/64`. A test's place is fixed by a digest of its id and the
 * run's seed, so other seeds ask other tests. Canaries that plant a leak are always asked.
 * @throws USAGE
 */
export function chooseLeakTests(plan: Plan, text: string): LeakChoice {
  const share = /^1\/(\d{1,4})$/.exec(text)?.[1];
  const every = text === "all" ? 1 : text === "none" ? Number.POSITIVE_INFINITY : Number(share ?? 0);
  if (!(every >= 1)) throw new SuiteError("USAGE", `--leaks "${text}" is none of all, none and 1/n, for example 1/${LEAK_SAMPLE}`);
  const planting = new Set(plan.tests.filter((test) => test.canary?.detail === "leak").map((test) => test.id));
  const ordinary = plan.tests.filter((test) => test.canary === undefined);
  const asked = (test: PlannedTest): boolean => every === 1 || (Number.isFinite(every) && (test.requirements.includes(RELEASES) || drawn(test.id, plan.seed, every)));
  const chosen = new Set(ordinary.filter(asked).map((test) => test.id));
  return {
    wanted: (_target, test) => planting.has(test) || chosen.has(test),
    says: `kmemleak asked at the end of ${chosen.size} of ${ordinary.length} tests (--leaks ${text}, seed ${plan.seed})`,
  };
}

function drawn(id: string, seed: number, every: number): boolean {
  return createHash("sha256").update(`${seed}:${id}`).digest().readUInt32BE(0) % every === 0;
}
