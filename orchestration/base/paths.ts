import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** Top of the repository. */
export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

/** Content-addressed build results; may be absent or deleted at any time. */
export function cacheDir(): string {
  return resolve(process.env["BUSLAB_CACHE"] ?? join(homedir(), ".cache", "buslab"));
}

/** Runs and the embedded database. */
export function homeDir(): string {
  return resolve(process.env["BUSLAB_HOME"] ?? join(homedir(), ".local", "state", "buslab"));
}

export function runsDir(): string {
  return join(homeDir(), "runs");
}
