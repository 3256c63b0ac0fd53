import { rm } from "node:fs/promises";
import { Command, InvalidArgumentError } from "commander";
import { installPackages, missingPackages } from "../../../vm-images/host-packages.ts";
import { renderFigures, type BenchDocument } from "../../bench/index.ts";
import { storeFigures } from "../../bench/store-figures.ts";
import { temporaryFolderOf } from "../../store/temporary.ts";
import { print, printJson } from "../output.ts";

/** Speed of the results database on both engines; no machine is part of it. */
export const benchStore = new Command("store")
  .description("the results database: ingest, matrix and kills, on PGlite and on a PostgreSQL of its own")
  .option("--kills <count>", "how often an ingest is killed; 0 leaves it out", count, 100)
  .option("--tests <count>", "tests of the run that is stored for its speed; 0 leaves it out", count, 5_000)
  .option("--no-matrix", "leave out the matrix of 5 million results, which needs 2 GB of disk")
  .option("--no-dashboard", "leave out the pages of the results centre in a browser, over 500 runs of 1,000 tests")
  .option("--json", "one JSON document")
  .action(async (_options: object, command: Command) => {
    // The parent has a --json as well and takes it first.
    const options = command.optsWithGlobals<{ kills: number; tests: number; matrix: boolean; dashboard: boolean; json?: boolean }>();
    const missing = await missingPackages(options.dashboard ? ["store", "browser"] : ["store"]);
    if (missing.length > 0) await installPackages(missing);
    const dir = await temporaryFolderOf("store");
    try {
      const figures = await storeFigures({ dir, ...options, onFigures: (some) => void process.stderr.write(`${renderFigures(some)}\n`) });
      const document: BenchDocument = { schema: "buslab.bench/1", target: "host", accel: { kind: "none", why: "no machine is part of it" }, figures };
      if (options.json === true) printJson(document);
      else print(renderFigures(figures));
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });

function count(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError("Give a whole number below a million.");
  return Number(text);
}
