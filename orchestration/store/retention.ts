import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { sql } from "kysely";
import { z } from "zod";
import { SuiteError } from "../base/errors.ts";
import { readJson, writeJson } from "../base/json-file.ts";
import { RUN_ID } from "../base/ids.ts";
import { markPruned } from "./evidence.ts";
import type { Database } from "./schema.ts";

/** Folders of a run that retention removes. Plan, records, verdict and manifests stay: they are small, and the truth. */
const PRUNED = ["evidence", "console", "kept"] as const;
const TOMBSTONE = "pruned.json";
const PIN = "pinned.json";

const tombstoneSchema = z.object({ schema: z.literal("buslab.pruned/1"), at: z.iso.datetime(), because: z.string(), removed: z.array(z.string()), files: z.int(), bytes: z.number() });
export type Tombstone = z.infer<typeof tombstoneSchema>;
const pinSchema = z.object({ schema: z.literal("buslab.pin/1"), at: z.iso.datetime(), reason: z.string() });
export type Pin = z.infer<typeof pinSchema>;

export interface Candidate {
  readonly run: string;
  readonly dir: string;
  readonly files: number;
  readonly bytes: number;
  readonly because: string;
}

export interface PrunePlan {
  readonly prune: readonly Candidate[];
  /** Runs that were left alone although the rule fits them, each with the reason. */
  readonly kept: readonly { readonly run: string; readonly why: string }[];
  /** Evidence of all runs before and after, in bytes. */
  readonly before: number;
  readonly after: number;
}

export interface PruneRule {
  readonly olderThanMs?: number;
  /** Of all evidence together; the oldest goes first. */
  readonly maxBytes?: number;
  readonly now: Date;
}

/** A run that has not ended may still be running; after this long without a record it is dead. */
const SILENT_MS = 24 * 3_600_000;

/** What a rule would remove. Touches nothing. */
export async function planPrune(runsDir: string, rule: PruneRule): Promise<PrunePlan> {
  const runs: { run: string; dir: string; files: number; bytes: number; protectedBy: string | null }[] = [];
  for (const run of (await readdir(runsDir).catch((): string[] => [])).filter((name) => RUN_ID.test(name)).sort()) {
    const dir = join(runsDir, run);
    runs.push({ run, dir, ...(await weigh(dir)), protectedBy: await protection(dir, rule.now) });
  }
  const prune = new Map<string, Candidate>();
  const kept = new Map<string, string>();
  let left = runs.reduce((sum, each) => sum + each.bytes, 0);
  const before = left;
  const take = (each: (typeof runs)[number], because: string): void => {
    if (each.files === 0 || prune.has(each.run)) return;
    if (each.protectedBy !== null) {
      kept.set(each.run, each.protectedBy);
      return;
    }
    prune.set(each.run, { run: each.run, dir: each.dir, files: each.files, bytes: each.bytes, because });
    left -= each.bytes;
  };
  if (rule.olderThanMs !== undefined) {
    const limit = rule.now.getTime() - rule.olderThanMs;
    for (const each of runs) if (startOf(each.run) < limit) take(each, `older than ${describeAge(rule.olderThanMs)}`);
  }
  if (rule.maxBytes !== undefined) for (const each of runs) if (left > rule.maxBytes) take(each, `evidence took more than ${rule.maxBytes} bytes`);
  return { prune: [...prune.values()], kept: [...kept].map(([run, why]) => ({ run, why })), before, after: left };
}

/**
 * Removes the evidence of one run. The tombstone is written first: whoever is killed in between leaves a run that says it is pruned,
 * and the next call removes what is left.
 */
export async function pruneRun(db: Database, candidate: Candidate, now: Date): Promise<Tombstone> {
  const tombstone: Tombstone = { schema: "buslab.pruned/1", at: now.toISOString(), because: candidate.because, removed: [...PRUNED], files: candidate.files, bytes: candidate.bytes };
  await writeJson(join(candidate.dir, TOMBSTONE), tombstone);
  for (const folder of PRUNED) await rm(join(candidate.dir, folder), { recursive: true, force: true });
  await mirrorRetention(db, candidate.run, candidate.dir);
  return tombstone;
}

/** Copies pin and tombstone of a run's folder into the database; the files are the truth, as with records. */
export async function mirrorRetention(db: Database, run: string, runDir: string): Promise<void> {
  const [pin, tombstone] = [await pinOf(runDir), await prunedOf(runDir)];
  await sql`
    update run set pinned_at = ${pin?.at ?? null}, pin_reason = ${pin?.reason ?? null}, pruned_at = ${tombstone?.at ?? null}, pruned = ${tombstone === null ? null : JSON.stringify(tombstone)}::jsonb
    where id = ${run}`.execute(db);
  if (tombstone !== null) await markPruned(db, run, "all", tombstone.at);
}

/** When and why the evidence of a run was removed; null while it is there. */
export async function prunedOf(runDir: string): Promise<Tombstone | null> {
  return readIfThere(join(runDir, TOMBSTONE), tombstoneSchema);
}

/** One sentence for whoever looks for evidence that is gone. */
export function describePruned(tombstone: Tombstone): string {
  return `evidence was pruned on ${tombstone.at.slice(0, 10)} (${tombstone.because}): ${tombstone.files} files, ${tombstone.bytes} bytes`;
}

export async function pinOf(runDir: string): Promise<Pin | null> {
  return readIfThere(join(runDir, PIN), pinSchema);
}

/** Keeps the evidence of a run from retention. */
export async function pinRun(runDir: string, reason: string, now: Date): Promise<void> {
  await writeJson(join(runDir, PIN), { schema: "buslab.pin/1", at: now.toISOString(), reason } satisfies Pin);
}

export async function unpinRun(runDir: string): Promise<void> {
  await rm(join(runDir, PIN), { force: true });
}

/** `30d`, `12h`, `2w`, in milliseconds. @throws USAGE */
export function parseAge(text: string): number {
  const found = /^(\d+(?:\.\d+)?)([hdw])$/.exec(text);
  if (found === null) throw new SuiteError("USAGE", `"${text}" is no age; give a number with h, d or w, e.g. 30d`);
  return Number(found[1]) * { h: 3_600_000, d: 86_400_000, w: 604_800_000 }[found[2] as "h" | "d" | "w"];
}

/** `20G`, `500M`, `0`, in bytes. @throws USAGE */
export function parseSize(text: string): number {
  const found = /^(\d+(?:\.\d+)?)([KMGT]?)$/.exec(text);
  if (found === null) throw new SuiteError("USAGE", `"${text}" is no size; give a number with K, M, G or T, e.g. 20G`);
  return Math.floor(Number(found[1]) * 1024 ** ["", "K", "M", "G", "T"].indexOf(found[2] ?? ""));
}

async function protection(dir: string, now: Date): Promise<string | null> {
  const pin = await pinOf(dir);
  if (pin !== null) return `pinned: ${pin.reason}`;
  if ((await stat(join(dir, "verdict.json")).catch(() => null)) !== null) return null;
  const records = await stat(join(dir, "records.jsonl")).catch(() => null);
  return records !== null && now.getTime() - records.mtimeMs < SILENT_MS ? "not judged, and its last record is younger than a day: it may be running" : null;
}

async function weigh(dir: string): Promise<{ files: number; bytes: number }> {
  let [files, bytes] = [0, 0];
  for (const folder of PRUNED) {
    for (const entry of await readdir(join(dir, folder), { withFileTypes: true, recursive: true }).catch(() => [])) {
      if (entry.isDirectory()) continue;
      const found = await stat(join(entry.parentPath, entry.name)).catch(() => null);
      files += 1;
      // what it takes on the disk: saved machines are sparse
      bytes += found === null ? 0 : found.blocks * 512;
    }
  }
  return { files, bytes };
}

async function readIfThere<T>(path: string, schema: z.ZodType<T>): Promise<T | null> {
  return (await stat(path).catch(() => null)) === null ? null : readJson(path, schema);
}

/** A run's id begins with the time it was made at. */
function startOf(run: string): number {
  return Date.parse(run.replace(/^(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)-.*$/, "$1-$2-$3T$4:$5:$6Z"));
}

function describeAge(ms: number): string {
  return ms % 86_400_000 === 0 ? `${ms / 86_400_000} days` : `${ms / 3_600_000} hours`;
}
