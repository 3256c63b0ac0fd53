import { join } from "node:path";
import { PGlite, types } from "@electric-sql/pglite";
import { Kysely, PGliteDialect } from "kysely";
import { asSuiteError, SuiteError } from "../base/errors.ts";
import { homeDir } from "../base/paths.ts";
import { lockFolder } from "./lock.ts";
import type { Tables } from "./schema.ts";
import type { Store } from "./store.ts";

/** Long enough for another run's ingest. */
const WAIT_MS = 30_000;

/**
 * The embedded database below BUSLAB_HOME. It has no lock of its own and is destroyed by a second opener, so ours is taken
 * first and released last.
 * @throws STORE_LOCKED | STORE_FAILED | HOST_DISK_FULL
 */
export async function openPglite(dir: string = join(homeDir(), "db"), waitMs: number = WAIT_MS): Promise<Store> {
  const lock = await lockFolder(dir, waitMs);
  try {
    const pglite = await PGlite.create({ dataDir: join(dir, "pglite"), parsers: { [types.INT8]: Number } });
    const db = new Kysely<Tables>({ dialect: new PGliteDialect({ pglite }) });
    return {
      db,
      where: dir,
      [Symbol.asyncDispose]: async () => {
        try {
          await db.destroy();
          if (!pglite.closed) await pglite.close();
        } finally {
          lock[Symbol.dispose]();
        }
      },
    };
  } catch (error) {
    lock[Symbol.dispose]();
    const known = asSuiteError(error);
    // Its messages may quote a whole minified source file.
    throw known.code === "HOST_DISK_FULL" ? known : new SuiteError("STORE_FAILED", `the results database in ${dir} cannot be opened: ${known.message.slice(0, 300)}`, { cause: error });
  }
}
