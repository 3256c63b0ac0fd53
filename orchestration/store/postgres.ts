import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import { SuiteError } from "../base/errors.ts";
import type { Tables } from "./schema.ts";
import type { Store } from "./store.ts";

/** A PostgreSQL server; the same tables as the embedded database. @throws STORE_FAILED when it does not answer */
export async function openPostgres(url: string): Promise<Store> {
  // int8 as number, as the embedded database gives it: none of ours passes 2^53.
  const types = { getTypeParser: (oid: number, format?: unknown) => (oid === pg.types.builtins.INT8 ? Number : (pg.types.getTypeParser as (oid: number, format?: unknown) => unknown)(oid, format)) };
  const pool = new pg.Pool({ connectionString: url, max: 4, types: types });
  pool.on("error", () => undefined); // an idle connection that breaks is replaced; one in use rejects its query
  // One that breaks between two statements of a transaction tells it as an event, which nobody else listens to: the next statement then rejects.
  pool.on("connect", (client) => client.on("error", () => undefined));
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  try {
    await pool.query("select 1");
  } catch (error) {
    await db.destroy();
    throw new SuiteError("STORE_FAILED", `the results database named by BUSLAB_DATABASE_URL does not answer: ${(error as Error).message}`, { cause: error });
  }
  return { db, where: "BUSLAB_DATABASE_URL", [Symbol.asyncDispose]: () => db.destroy() };
}
