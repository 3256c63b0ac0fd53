import { Command, InvalidArgumentError, Option } from "commander";
import { findRun } from "../../run/run-folder.ts";
import { mirrorRetention, pinRun, unpinRun, type RunRow } from "../../store/index.ts";
import { print, printJson } from "../output.ts";
import { listStored, openResults } from "../stages/results.ts";

/** Which runs are kept, and which of them retention must leave alone. */
export const runs = new Command("runs").description("list the runs that are kept; pin and unpin their evidence");

runs
  .command("list", { isDefault: true })
  .description("the newest first")
  .option("--limit <number>", "how many", atLeastOne, 50)
  .option("--target <id>", "only with this target")
  .addOption(new Option("--verdict <word>", "only with this verdict; none is a run that was not judged").choices(["conformant", "violated", "undecided", "none"]))
  .option("--json", "one JSON document")
  .action(async (options: { limit: number; target?: string; verdict?: "conformant" | "violated" | "undecided" | "none"; json?: boolean }) => {
    const page = await listStored({
      limit: options.limit,
      ...(options.target === undefined ? {} : { target: options.target }),
      ...(options.verdict === undefined ? {} : { verdict: options.verdict }),
    });
    if (options.json === true) printJson({ schema: "buslab.runs/1", total: page.total, runs: page.rows });
    else print(page.rows.length === 0 ? "no runs are kept; ./buslab run makes one" : page.rows.map(renderRun).join("\n"));
  });

runs
  .command("pin")
  .description("keep the evidence of a run from prune")
  .argument("<run>", "a run id, its last part, or latest")
  .option("--reason <text>", "why", "pinned by hand")
  .action(async (text: string, options: { reason: string }) => {
    const { run, dir } = await findRun(text);
    await using store = await openResults("pin runs");
    await pinRun(dir, options.reason, new Date());
    await mirrorRetention(store.db, run, dir);
    print(`${run} is pinned: ${options.reason}`);
  });

runs
  .command("unpin")
  .description("let prune have the evidence of a run again")
  .argument("<run>", "a run id, its last part, or latest")
  .action(async (text: string) => {
    const { run, dir } = await findRun(text);
    await using store = await openResults("unpin runs");
    await unpinRun(dir);
    await mirrorRetention(store.db, run, dir);
    print(`${run} is no longer pinned`);
  });

function atLeastOne(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError("Give a whole number from 1 on.");
  return Number(text);
}

export function renderRun(row: RunRow): string {
  const notes = [row.pinned ? "pinned" : "", row.prunedAt === null ? "" : `evidence pruned on ${row.prunedAt.slice(0, 10)}`].filter((note) => note !== "");
  return `${row.run}  ${(row.verdict ?? "not judged").padEnd(10)}  ${row.targets.map(({ target }) => target).join(" ")}  ${row.selection ?? ""}${notes.length === 0 ? "" : `  [${notes.join(", ")}]`}`;
}
