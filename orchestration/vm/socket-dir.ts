import { mkdir, readdir, readFile, readlink, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { RUN_ID } from "../base/ids.ts";
import { leftoversOf, sweepLeftovers } from "./leftovers.ts";
import { socketDirOf } from "./run-name.ts";

/** Folders without an owner's name are younger than this while their maker is still about to write it. */
const UNOWNED_MS = 60 * 60 * 1000;

let swept: Promise<unknown> | undefined;

/** Makes the folder of a run's sockets, after the folders of runs that were killed are gone. */
export async function makeSocketDir(runId: string): Promise<string> {
  const dir = socketDirOf(runId);
  await (swept ??= sweepStaleRuns(dirname(dir)).catch(() => undefined)); // once a process; a stale folder hinders nobody
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await writeFile(join(dir, "owner"), (await identity(process.pid)) ?? "", { flag: "wx" }).catch(() => undefined); // there already: ours
  return dir;
}

/**
 * Ends and removes what runs left in `base` whose process is gone, kill -9 included.
 * @returns the run ids
 */
export async function sweepStaleRuns(base: string): Promise<string[]> {
  const stale: string[] = [];
  for (const name of await readdir(base)) {
    const runId = /^buslab-(.+)$/.exec(name)?.[1] ?? "";
    if (!RUN_ID.test(runId) || basename(socketDirOf(runId)) !== name || !(await isStale(join(base, name), runId))) continue;
    await sweepLeftovers(runId, join(base, name)).then(
      () => stale.push(runId),
      () => undefined, // another user's
    );
  }
  return stale;
}

async function isStale(dir: string, runId: string): Promise<boolean> {
  const owner = await readFile(join(dir, "owner"), "utf8").catch(() => undefined);
  if (owner !== undefined && owner !== "") {
    const [pid = "", , namespace] = owner.split(" ");
    // Of a process in another PID namespace nothing can be told from here.
    return namespace === (await pidNamespace()) && (await identity(Number(pid))) !== owner;
  }
  const made = await stat(dir).catch(() => undefined);
  return made !== undefined && Date.now() - made.mtimeMs > UNOWNED_MS && (await leftoversOf(runId)).length === 0;
}

/** Id, start time and namespace of a process: an id alone is given again to others. */
async function identity(pid: number): Promise<string | undefined> {
  const line = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  const fields = line?.slice(line.lastIndexOf(")") + 2).split(" "); // the name in front may hold blanks
  return fields === undefined || fields[0] === "Z" ? undefined : `${pid} ${fields[19] ?? "?"} ${await pidNamespace()}`;
}

async function pidNamespace(): Promise<string> {
  return readlink("/proc/self/ns/pid").catch(() => "?");
}
