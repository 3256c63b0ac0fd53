import { readdir, readFile, rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { RUN_ID } from "../base/ids.ts";
import { SuiteError } from "../base/errors.ts";
import { runPrefix, socketDirOf } from "./run-name.ts";

/**
 * Ends what a run left running, found by the run id in the command lines alone, and removes its sockets.
 * Works after kill -9 of anything; ends nothing of another run, nor this process and its parents.
 * @returns the process ids that were ended
 */
export async function sweepLeftovers(runId: string, socketDir = socketDirOf(runId)): Promise<number[]> {
  if (!RUN_ID.test(runId)) throw new SuiteError("INTERNAL", `"${runId}" is no run id; nothing is swept by it`);
  const found = await leftoversOf(runId);
  for (const pid of found) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // gone by itself
    }
  }
  for (let tries = 0; tries < 200 && (await leftoversOf(runId)).length > 0; tries += 1) await delay(10); // until the kernel has reaped them
  await rm(socketDir, { recursive: true, force: true });
  return found;
}

/** Process ids whose command line names a machine of the run. */
export async function leftoversOf(runId: string): Promise<number[]> {
  const prefix = runPrefix(runId);
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid || Number(name) === process.ppid) continue;
    const words = (await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "")).split("\0");
    // `-name buslab-<run>-m7`: the very word, so that an editor showing the run's log is not one of ours
    if (words.some((word, index) => words[index - 1] === "-name" && word.startsWith(prefix))) found.push(Number(name));
  }
  return found;
}
