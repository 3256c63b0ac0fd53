import { writeSync } from "node:fs";
import { basename } from "node:path";
import type { KyselyPlugin } from "kysely";
import { ingestRun } from "./ingest.ts";
import { openPglite } from "./pglite.ts";
import { openPostgres } from "./postgres.ts";

/** Time of the parent to kill amid a statement; then this process does it itself, so that a slow parent misses nothing. */
const LATEST_MS = 3;

/**
 * Stores one run and ends; made to be killed. `node ingest-child.ts <url or folder of the embedded database> <run folder> <bytes a chunk>
 * <statement>`: says `now` when that statement, counted from 1, is about to be sent, and does not live much longer; 0 is never.
 */
const [where = "", runDir = "", chunkBytes = "65536", last = "0"] = process.argv.slice(2);

let statements = 0;
const countdown: KyselyPlugin = {
  transformQuery: ({ node }) => {
    if (++statements === Number(last)) {
      writeSync(1, "now\n");
      setTimeout(() => process.kill(process.pid, "SIGKILL"), LATEST_MS);
    }
    return node;
  },
  transformResult: ({ result }) => Promise.resolve(result),
};

const store = where.startsWith("postgres") ? await openPostgres(where) : await openPglite(where);
await ingestRun(store.db.withPlugin(countdown), basename(runDir), runDir, { chunkBytes: Number(chunkBytes) });
await store[Symbol.asyncDispose]();
writeSync(1, "end\n");
