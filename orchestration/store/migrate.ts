import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { sql } from "kysely";
import { digestOf } from "../base/digest.ts";
import { SuiteError } from "../base/errors.ts";
import type { Database } from "./schema.ts";

const FOLDER = join(import.meta.dirname, "sql");
/** Any number that is ours; two processes must not migrate one database at once. */
const LOCK = 6_274_530_018;

/**
 * Brings a database to the newest schema, forward only. A file that changed after it was applied is refused: a migration is
 * never edited, only followed by another.
 * @returns the versions applied now
 * @throws STORE_FAILED
 */
export async function migrate(db: Database, folder: string = FOLDER): Promise<number[]> {
  const files = (await readdir(folder)).filter((name) => /^\d{6}\.sql$/.test(name)).sort();
  return db.transaction().execute(async (tx) => {
    await sql`select pg_advisory_xact_lock(${LOCK})`.execute(tx);
    await sql`create table if not exists schema_migration (version integer primary key, digest text not null, applied_at timestamptz not null default now())`.execute(tx);
    const applied = new Map((await tx.selectFrom("schema_migration").select(["version", "digest"]).execute()).map((row) => [row.version, row.digest]));
    const newest = Math.max(0, ...applied.keys());
    const last = Number((files.at(-1) ?? "0").slice(0, 6));
    if (newest > last) throw new SuiteError("STORE_FAILED", `the database is at schema ${newest}, this buslab knows up to ${last}; use the buslab that made it or a newer one`);
    const now: number[] = [];
    for (const file of files) {
      const version = Number(file.slice(0, 6));
      const text = await readFile(join(folder, file), "utf8");
      const digest = digestOf(text);
      const before = applied.get(version);
      if (before !== undefined && before !== digest) throw new SuiteError("STORE_FAILED", `${file} is not the migration that was applied to this database; migrations are followed, never edited`);
      if (before !== undefined) continue;
      for (const statement of statementsOf(text)) await sql.raw(statement).execute(tx);
      await tx.insertInto("schema_migration").values({ version, digest }).execute();
      now.push(version);
    }
    return now;
  });
}

/** Statements of a file, each ended by a semicolon at the end of a line: one driver takes a single statement at a time. */
function statementsOf(text: string): string[] {
  return text
    .split(/;[ \t]*$/m)
    .map((statement) => statement.replaceAll(/^\s*--.*$/gm, "").trim())
    .filter((statement) => statement !== "");
}
