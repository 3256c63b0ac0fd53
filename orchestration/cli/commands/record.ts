import { readFile, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { Command } from "commander";
import { readWaivers, describeWaiver } from "../../../ci/policy/waivers.ts";
import { SuiteError } from "../../base/errors.ts";
import { ROOT } from "../../base/paths.ts";
import { storeBench, storeWaivers } from "../../store/index.ts";
import { ingestRun } from "../../store/ingest.ts";
import { print, printJson } from "../output.ts";
import { openResults } from "../stages/results.ts";
import { runFolder } from "./judge.ts";

/** The record stage alone: copies a run's records, or the figures of a bench, into the results database; twice is as good as once. */
export const record = new Command("record")
  .description("copy a run's records, or the document of a bench, into the results database")
  .argument("<run>", "a run id, the folder of a run, or a file that `bench --json` wrote")
  .option("--waivers <file>", "list of waivers", join(ROOT, "ci/policy/waivers.json"))
  .option("--json", "one JSON document")
  .action(async (run: string, options: { waivers: string; json?: boolean }) => {
    const file = await stat(resolve(run)).catch(() => null);
    if (file?.isFile() === true) return recordBench(resolve(run), file.mtime, options.json === true);
    const dir = await runFolder(run);
    const { rows } = await readWaivers(resolve(options.waivers));
    await using store = await openResults("record a run by hand; it follows the runs of this home by itself");
    const ingested = await ingestRun(store.db, basename(resolve(dir)), dir);
    await storeWaivers(store.db, rows.map((row) => ({ ...row, text: describeWaiver(row) })));
    if (options.json === true) printJson({ schema: "buslab.ingest/1", ...ingested });
    else print(`${ingested.records} records read, ${ingested.torn} torn lines, ${ingested.judged ? "with" : "without"} a verdict`);
  });

async function recordBench(path: string, mtime: Date, json: boolean): Promise<void> {
  let document: unknown;
  try {
    document = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    throw new SuiteError("FILE_INVALID", `${path} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  await using store = await openResults("record figures of a bench");
  const stored = await storeBench(store.db, document, mtime.toISOString());
  if (json) printJson({ schema: "buslab.ingest/1", ...stored });
  else print(`${stored.figures} figures ${stored.stored ? "stored" : "were stored already"}`);
}
