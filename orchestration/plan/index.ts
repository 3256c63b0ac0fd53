import { join } from "node:path";
import type { Generation } from "../../conformance/catalogue/index.ts";
import { digestFile, digestOf } from "../base/digest.ts";
import { ROOT } from "../base/paths.ts";
import { discover } from "./discover.ts";
import { makePlan, type Plan } from "./plan.ts";
import type { Selection } from "./select.ts";

/** Rows that excuse a violation until a day; an absent file is an empty list. */
export const WAIVERS_FILE = join(ROOT, "ci", "policy", "waivers.json");

/** The plan stage: lists the tests of the suite and locks what a run on these targets must answer for. */
export async function plan(options: {
  readonly targets: readonly string[];
  readonly selection: Selection;
  readonly generation: "auto" | Generation;
  readonly seed?: number;
  readonly run?: string;
  readonly shared?: { readonly rebootable: boolean };
  readonly waiversFile?: string;
  readonly signal?: AbortSignal;
}): Promise<Plan> {
  const { tests, suite } = await discover(options.signal);
  return makePlan({
    tests,
    suite,
    waivers: await digestFile(options.waiversFile ?? WAIVERS_FILE).catch(() => digestOf("")),
    targets: options.targets,
    generation: options.generation,
    selection: options.selection,
    seed: options.seed ?? 1,
    ...(options.run === undefined ? {} : { run: options.run }),
    ...(options.shared === undefined ? {} : { shared: options.shared }),
  });
}
