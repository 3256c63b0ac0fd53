import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const HOUR_MS = 3_600_000;

/**
 * A folder below the system's temporary one that is named after its owner, `buslab-<kind>-<pid>-...`. The caller removes it;
 * those of owners that were killed go here, an hour later: a process of another pid namespace looks dead as well.
 */
export async function temporaryFolderOf(kind: "postgres" | "store", within: string = tmpdir()): Promise<string> {
  await sweep(within);
  return mkdtemp(join(within, `buslab-${kind}-${process.pid}-`));
}

async function sweep(within: string): Promise<void> {
  for (const name of await readdir(within)) {
    const owner = /^buslab-(?:postgres|store)-(\d+)-/.exec(name)?.[1];
    if (owner === undefined || isAlive(Number(owner))) continue;
    const path = join(within, name);
    const made = (await stat(path).catch(() => null))?.mtimeMs ?? Infinity;
    if (Date.now() - made > HOUR_MS) await rm(path, { recursive: true, force: true }).catch(() => undefined); // another user's
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
