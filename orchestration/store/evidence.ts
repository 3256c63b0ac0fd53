import { readdir, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { sql } from "kysely";
import { json, recordset } from "./rows.ts";
import type { Database } from "./schema.ts";

interface EvidenceRow {
  readonly path: string;
  readonly target: string;
  readonly test: number;
  readonly bytes: number;
}

/** Lists the files kept for the tests of a run. Files that retention removed stay listed, with the time of their removal. */
export async function indexEvidence(db: Database, run: string, runDir: string): Promise<number> {
  const attempts = await db.selectFrom("attempt").select(["target", "test", "evidence"]).where("run", "=", run).where("evidence", "is not", null).execute();
  const rows = new Map<string, EvidenceRow>();
  for (const { target, test, evidence } of attempts) {
    const folder = folderIn(runDir, run, evidence ?? "");
    if (folder === null) continue;
    for (const { path, bytes } of await filesBelow(folder)) rows.set(path, { path: relative(runDir, path), target, test, bytes });
  }
  if (rows.size === 0) return 0;
  await sql`
    insert into evidence (run, path, target, test, bytes)
    select ${run}, r.path, r.target, r.test, r.bytes from ${recordset([...rows.values()], "path text, target text, test int, bytes bigint")} order by r.path
    on conflict (run, path) do update set bytes = excluded.bytes, pruned_at = null`.execute(db);
  return rows.size;
}

/** Marks what is no longer there. @param paths in the run's folder */
export async function markPruned(db: Database, run: string, paths: readonly string[] | "all", at: string): Promise<void> {
  if (paths === "all") await sql`update evidence set pruned_at = ${at} where run = ${run} and pruned_at is null`.execute(db);
  else await sql`update evidence set pruned_at = ${at} where run = ${run} and pruned_at is null and path in (select json_array_elements_text(${json(paths)}::json))`.execute(db);
}

/** Records name the folder where the run was made; the run's folder may lie elsewhere by now. Never leaves the folder. */
function folderIn(runDir: string, run: string, recorded: string): string | null {
  const at = recorded.lastIndexOf(`/${run}/`);
  const inside = at >= 0 ? recorded.slice(at + run.length + 2) : recorded.startsWith("/") ? relative(runDir, recorded) : recorded;
  const folder = join(runDir, inside);
  return inside === "" || relative(runDir, folder).startsWith("..") ? null : folder;
}

async function filesBelow(folder: string): Promise<{ path: string; bytes: number }[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const sizes = await Promise.all(files.map(async (path) => ({ path, bytes: (await stat(path).catch(() => null))?.size ?? null })));
  return sizes.filter((each): each is { path: string; bytes: number } => each.bytes !== null).sort((a, b) => (a.path < b.path ? -1 : 1));
}
