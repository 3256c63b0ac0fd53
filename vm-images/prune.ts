import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { readJson } from "../orchestration/base/json-file.ts";
import { MANIFEST, manifestSchema } from "./manifest.ts";

/** Entries used within this time are never removed: another run may be booting from them. */
const IN_USE_MS = 24 * 60 * 60 * 1000;

/** Removes old builds of a subject beyond the `keep` most recently used ones, so that the cache does not grow for ever. */
export async function pruneOld(shelf: string, subject: string, keep: number): Promise<void> {
  const entries: { path: string; usedMs: number }[] = [];
  for (const name of await readdir(shelf)) {
    if (!/^[0-9a-f]{16}$/.test(name)) continue;
    const path = join(shelf, name);
    const manifest = await readJson(join(path, MANIFEST), manifestSchema).catch(() => undefined);
    if (manifest?.subject === subject) entries.push({ path, usedMs: (await stat(path)).mtimeMs });
  }
  entries.sort((a, b) => b.usedMs - a.usedMs);
  for (const entry of entries.slice(keep)) {
    if (Date.now() - entry.usedMs < IN_USE_MS) continue;
    // The lock file stays: removing one that a waiting process has open would let two processes hold "the" lock.
    await rm(entry.path, { recursive: true, force: true });
  }
}
