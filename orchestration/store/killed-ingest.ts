import { spawn } from "node:child_process";
import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { sql } from "kysely";
import { SuiteError } from "../base/errors.ts";
import type { Database } from "./schema.ts";

const CHILD = join(import.meta.dirname, "ingest-child.ts");

export interface Kills {
  /** Processes killed amid their statements. */
  readonly kills: number;
  /** Of those, how many left a run whose records were not all stored; not counted where nobody could look. */
  readonly amidRecords: number;
  /** Ingests that came to their end in between. */
  readonly ended: number;
}

export interface KillOptions {
  /** How often at least; folders are taken in turn until then, and each to its end afterwards. */
  readonly kills: number;
  /** A process dies at one of its first so many statements; fewer than one ingest has, or it may end before. */
  readonly mostStatements: number;
  readonly chunkBytes: number;
  readonly random: () => number;
  /** Whether records of the run are still missing; asked after each kill. */
  readonly isPartial?: (runDir: string) => Promise<boolean>;
}

/**
 * Stores run folders by processes that are killed (SIGKILL) at random statements, each begun again until all are stored.
 * @param where url of a server, or folder of an embedded database, migrated already
 */
export async function ingestWithKills(where: string, runDirs: readonly string[], options: KillOptions): Promise<Kills> {
  let [kills, ended, amidRecords] = [0, 0, 0];
  for (let turn = 0; kills < options.kills; turn++) {
    const runDir = runDirs[turn % runDirs.length] ?? "";
    const statement = 1 + Math.floor(options.random() * options.mostStatements);
    if (await storeOnce(where, runDir, options.chunkBytes, statement)) ended++;
    else {
      kills++;
      if ((await options.isPartial?.(runDir)) === true) amidRecords++;
    }
  }
  for (const runDir of runDirs) if (await storeOnce(where, runDir, options.chunkBytes, 0)) ended++;
  return { kills, amidRecords, ended };
}

/** Whether the database has not yet read a run's records to their end. */
export async function isPartlyStored(db: Database, runDir: string): Promise<boolean> {
  const row = await db.selectFrom("ingest").select("bytes_read").where("run", "=", basename(runDir)).executeTakeFirst();
  return (row?.bytes_read ?? 0) < (await stat(join(runDir, "records.jsonl"))).size;
}

/** @returns false when it was killed */
async function storeOnce(where: string, runDir: string, chunkBytes: number, statement: number): Promise<boolean> {
  const child = spawn(process.execPath, [CHILD, where, runDir, String(chunkBytes), String(statement)], { stdio: ["ignore", "pipe", "pipe"] });
  let [output, errors] = ["", ""];
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
    if (output.startsWith("now")) child.kill("SIGKILL");
  });
  const how = await new Promise<NodeJS.Signals | number | null>((resolve) => child.once("close", (code, signal) => resolve(signal ?? code)));
  if (output.includes("end")) return true;
  if (how === "SIGKILL" && output.includes("now")) return false;
  throw new SuiteError("STORE_FAILED", `an ingest ended by itself (${how ?? "?"})`, { details: errors });
}

/** Everything stored of a run, ids of test names replaced by the names: equal for equal runs, whatever the database went through. */
export async function dumpRun(db: Database, run: string): Promise<Readonly<Record<string, readonly string[]>>> {
  const tables: Record<string, string> = {
    run: "select to_jsonb(t) as row from run t where id = $run",
    ingest: "select to_jsonb(t) as row from ingest t where run = $run",
    ...Object.fromEntries(["run_target", "artifact", "fact", "run_area", "requirement_state", "run_waiver"].map((table) => [table, `select to_jsonb(t) as row from ${table} t where run = $run`])),
    ...Object.fromEntries(
      ["attempt", "result", "kernel_event", "evidence"].map((table) => [table, `select to_jsonb(t) - 'test' || jsonb_build_object('test', n.name) as row from ${table} t left join test_name n on n.id = t.test where run = $run`]),
    ),
  };
  const dump: Record<string, readonly string[]> = {};
  for (const [table, text] of Object.entries(tables)) {
    const [before = "", after = ""] = text.split("$run");
    const { rows } = await sql<{ row: string }>`select row::text as row from (${sql.raw(before)}${run}${sql.raw(after)}) as q order by 1`.execute(db);
    dump[table] = rows.map(({ row }) => row);
  }
  return dump;
}
