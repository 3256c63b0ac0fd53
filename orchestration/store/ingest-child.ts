import { basename } from "node:path";
import { ingestRun } from "./ingest.ts";
import { openPglite } from "./pglite.ts";
import { openPostgres } from "./postgres.ts";

/**
 * Stores one run and ends; made to be killed. `node ingest-child.ts <url or folder of the embedded database> <run folder> <bytes a chunk>`.
 * Says `begin` when the database is open, so that whoever kills it hits the ingest and not the start of a program.
 */
const [where = "", runDir = "", chunkBytes = "65536"] = process.argv.slice(2);
const store = where.startsWith("postgres") ? await openPostgres(where) : await openPglite(where);
process.stdout.write("begin\n");
await ingestRun(store.db, basename(runDir), runDir, { chunkBytes: Number(chunkBytes) });
await store[Symbol.asyncDispose]();
process.stdout.write("end\n");
