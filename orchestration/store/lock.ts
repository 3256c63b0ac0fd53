import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as pause } from "node:timers/promises";
import { nowMs } from "../base/deadline.ts";
import { SuiteError } from "../base/errors.ts";

const RETRY_MS = 100;

/**
 * Takes the one lock of a folder and keeps it until disposed; the system frees it when the process dies, kill -9 included.
 * It is the lock of an SQLite file, the only one that node can take by itself.
 * @throws STORE_LOCKED naming the holder when it is not free within `waitMs`
 */
export async function lockFolder(dir: string, waitMs: number): Promise<Disposable> {
  mkdirSync(dir, { recursive: true });
  const holder = join(dir, "owner.pid");
  const deadline = nowMs() + waitMs;
  for (;;) {
    const lock = tryLock(join(dir, "owner.lock"));
    if (lock !== null) {
      writeFileSync(holder, `${process.pid}\n`);
      return { [Symbol.dispose]: () => lock.close() };
    }
    if (nowMs() >= deadline) throw new SuiteError("STORE_LOCKED", `the results database ${dir} is held by process ${readHolder(holder)}, waited ${waitMs} ms`);
    await pause(RETRY_MS);
  }
}

function tryLock(path: string): DatabaseSync | null {
  const db = new DatabaseSync(path, { timeout: 0 });
  try {
    // In exclusive mode the lock of the first write stays until the file is closed.
    db.exec("pragma locking_mode = exclusive; begin exclusive; create table if not exists held (at text); delete from held; insert into held values (datetime('now')); commit");
    return db;
  } catch (error) {
    db.close();
    if (/locked|busy/i.test((error as Error).message)) return null;
    throw new SuiteError("STORE_FAILED", `the lock ${path} cannot be used: ${(error as Error).message}`, { cause: error });
  }
}

function readHolder(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "unknown";
  }
}
