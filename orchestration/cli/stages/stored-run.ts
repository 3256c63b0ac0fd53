import { existsSync } from "node:fs";
import { join } from "node:path";
import { runsDir } from "../../base/paths.ts";
import { listRuns as listRunFolders } from "../../run/run-folder.ts";
import { resolveRun, type Store } from "../../store/index.ts";
import { ingestRun } from "../../store/ingest.ts";

/**
 * The run that a text names, brought into the database from its folder where there is one. A run may be in the database alone, e.g. one of another host.
 * @throws RUN_UNKNOWN
 */
export async function storedRun(db: Store["db"], text: string): Promise<string> {
  const run = await resolveRun(db, text, await listRunFolders());
  const dir = join(runsDir(), run);
  if (existsSync(join(dir, "records.jsonl"))) await ingestRun(db, run, dir);
  return run;
}
