import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { plan } from "../plan/index.ts";
import { EVERYTHING } from "../plan/select.ts";
import { RECORD_SCHEMA, type RecordFields } from "../record/v1.ts";
import { ingestRun } from "../store/ingest.ts";
import { migrate } from "../store/migrate.ts";
import { openPglite } from "../store/pglite.ts";
import { median, timed, type Figure } from "./figures.ts";

const PLANS = 3;
/** A run of the whole suite on five targets. */
const TESTS = 5_000;

/** The whole suite planned for one target, its list of tests known already. */
export async function planFigure(target: string, signal: AbortSignal): Promise<Figure> {
  const took: number[] = [];
  for (let turn = 0; turn <= PLANS; turn++) {
    const started = performance.now();
    await plan({ targets: [target], selection: EVERYTHING, generation: "auto", signal });
    if (turn > 0) took.push(performance.now() - started);
  }
  return timed(`warm plan, median of ${PLANS}`, median(took), "ms");
}

/** Records of a made-up run into an empty embedded database; opening and closing it is not counted. */
export async function ingestFigure(dir: string): Promise<Figure> {
  const run = "20260101-000000-bench";
  const runDir = join(dir, run);
  await mkdir(runDir, { recursive: true });
  const lines = recordLines(run, "x86_64/debian-6.1/none/plain", TESTS);
  await writeFile(join(runDir, "records.jsonl"), lines.join(""));
  await using store = await openPglite(join(dir, "db"));
  await migrate(store.db);
  const started = performance.now();
  const { records, torn } = await ingestRun(store.db, run, runDir);
  const seconds = (performance.now() - started) / 1000;
  if (records !== lines.length || torn !== 0) throw new RangeError(`${records} of ${lines.length} records were ingested, ${torn} torn`);
  return timed(`ingest of ${lines.length} records into the embedded database`, lines.length / seconds, "records/s");
}

/** Lines of a records.jsonl as the run of so many tests writes them: three records a test. */
export function recordLines(run: string, target: string, tests: number): string[] {
  const fields: RecordFields[] = [
    { type: "run-begin", planDigest: `sha256:${"0".repeat(64)}`, seed: 1 },
    { type: "target-begin", target, accel: { kind: "tcg", why: "a benchmark" }, artifacts: {} },
  ];
  for (let index = 0; index < tests; index++) {
    const test = `bench/made-up.spec.ts:behaviour ${index} of a made-up area`;
    fields.push(
      { type: "test-begin", target, test, attempt: 1 },
      { type: "lease", target, test, machine: `m${index}`, events: [], death: null, consoleRead: true, heldMs: 400 },
      { type: "test-end", target, test, attempt: 1, runner: "passed", unsupported: [], errors: [], durationMs: 400, limitMs: 60_000, evidence: null },
    );
  }
  fields.push({ type: "target-end", target, ended: "complete", error: null, events: [], durationsMs: { total: 1 } }, { type: "run-end", ended: "complete" });
  return fields.map((each, seq) => `\n${JSON.stringify({ schema: RECORD_SCHEMA, run, at: "2026-01-01T00:00:00.000Z", writer: "bench", seq, ...each })}`);
}
