import { Command } from "commander";
import { ingestRun } from "../../store/index.ts";
import { print, printJson } from "../output.ts";
import { runFolder } from "./judge.ts";

/** The record stage alone: copies a run's records into the results database; twice is as good as once. */
export const record = new Command("record")
  .description("copy a run's records into the results database")
  .argument("<run>", "a run id, or the folder of a run")
  .option("--json", "one JSON document")
  .action(async (run: string, options: { json?: boolean }) => {
    const ingested = await ingestRun(await runFolder(run));
    if (options.json === true) printJson({ schema: "buslab.ingest/1", ...ingested });
    else print(`${ingested.records} records read, ${ingested.torn} torn lines, ${ingested.judged ? "with" : "without"} a verdict`);
  });
