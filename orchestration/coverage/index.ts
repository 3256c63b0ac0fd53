import { existsSync, readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { SuiteError } from "../base/errors.ts";
import { readJson } from "../base/json-file.ts";
import { ROOT } from "../base/paths.ts";
import { areaOfTest } from "../plan/test-id.ts";
import { verdictSchema } from "../record/verdict.ts";
import { LOADING, readArea, readCollection } from "./collection.ts";
import { coverageDocument, type CoverageDocument } from "./document.ts";
import { countLines, type LineCounts } from "./lines.ts";
import { REASONS_FILE, reasonsSchema, type Reason } from "./reasons.ts";

/** Door of the folder: which lines of the module the suite runs. */
export { LineCollector } from "./collector.ts";
export type { CoverageDocument } from "./document.ts";
export { renderCoverage } from "./render.ts";

/**
 * What a run on a cov target counted, made anew from its folder each time.
 * @throws RUN_UNKNOWN when it counted nothing; FILE_INVALID for a damaged reasons table; COMMAND_FAILED
 */
export async function coverageOf(runDir: string): Promise<CoverageDocument> {
  const shelf = join(runDir, "coverage");
  const [name, ...more] = existsSync(shelf) ? await readdir(shelf) : [];
  if (name === undefined || more.length > 0) throw new SuiteError("RUN_UNKNOWN", `${runDir} holds line counters of ${more.length + (name === undefined ? 0 : 1)} targets; expected one target of the cov build`);
  const dir = join(shelf, name);
  const collection = await readCollection(dir);
  if (!existsSync(collection.notes)) throw new SuiteError("CACHE_CORRUPT", `the compiler's notes in ${collection.notes} are gone from the cache; run ./buslab coverage again`);
  const areas = new Map<string, LineCounts>();
  for (const area of collection.areas) areas.set(area, await countLines(collection.notes, await readArea(dir, collection, area)));
  const counted = new Set(collection.tests);
  const verdict = await readJson(join(runDir, "verdict.json"), verdictSchema);
  const judged = verdict.targets.find((target) => target.id === collection.target)?.tests ?? [];
  return coverageDocument({
    target: collection.target,
    module: collection.label,
    run: basename(runDir),
    tests: collection.tests,
    missing: judged.map((test) => test.id).filter((id) => !counted.has(id)),
    testsOf: (area) => (area === LOADING ? 0 : collection.tests.filter((id) => areaOfTest(id) === area).length),
    areas,
    sourceOf: (file) => readFileSync(join(collection.notes, file), "utf8").split("\n"),
    reasons: await reasonsOf(collection.label),
  });
}

async function reasonsOf(label: string): Promise<readonly Reason[]> {
  const path = join(ROOT, label, REASONS_FILE);
  return existsSync(path) ? (await readJson(path, reasonsSchema)).reasons : [];
}
