import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { SuiteError } from "../orchestration/base/errors.ts";
import { killGroup, spawnTied } from "../orchestration/base/exec.ts";

/**
 * Holds an exclusive lock on a file until disposed. The holder is a child (`flock`) tied to this process, so the kernel
 * frees the lock whatever ends us, SIGKILL included; Node itself has no flock.
 * @param onWait called once when another process holds the lock
 */
export async function lockFile(path: string, onWait: () => void, signal?: AbortSignal): Promise<AsyncDisposable> {
  await mkdir(dirname(path), { recursive: true });
  const child = spawnTied(["flock", "--no-fork", "--exclusive", path, "sh", "-c", "echo held; exec cat >/dev/null"], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const waiting = setTimeout(onWait, 300);
  const abort = (): void => killGroup(child);
  signal?.addEventListener("abort", abort, { once: true });
  if (signal?.aborted === true) abort();
  try {
    let complaint = "";
    child.stderr?.on("data", (chunk: Buffer) => (complaint += chunk.toString()));
    await new Promise<void>((resolve, reject) => {
      child.stdout?.once("data", () => resolve());
      child.once("error", (error) => reject(new SuiteError("HOST_TOOL_MISSING", "the program setpriv (Debian package util-linux) is not installed", { cause: error })));
      child.once("close", () => {
        if (signal?.aborted === true) reject(new SuiteError("INTERRUPTED", `interrupted while waiting for the lock on ${path}`));
        const why = complaint.trim() || "flock ended";
        reject(new SuiteError(/No space/.test(why) ? "HOST_DISK_FULL" : "COMMAND_FAILED", `no lock on ${path}: ${why}`));
      });
    });
  } catch (error) {
    killGroup(child);
    throw error;
  } finally {
    clearTimeout(waiting);
    signal?.removeEventListener("abort", abort);
  }
  return {
    [Symbol.asyncDispose]: async () => {
      killGroup(child);
      await ended;
    },
  };
}
