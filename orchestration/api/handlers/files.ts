import { open, realpath } from "node:fs/promises";
import { join, sep } from "node:path";
import { createRoute } from "@hono/zod-openapi";
import type { TypedResponse } from "hono";
import { SuiteError } from "../../base/errors.ts";
import { resolveRun } from "../../store/index.ts";
import type { Api, Centre } from "../centre.ts";
import { runNameSchema, z } from "../schemas/common.ts";
import { KEPT_PATH } from "../schemas/uploads.ts";
import { guarded } from "./routes.ts";

const WINDOW_BYTES = 512 * 1024;
const MOST_BYTES = 16 * 1024 * 1024;

/** Files of a run's folder: consoles, explanations, the records themselves. Always as plain text: nothing in them is ours. */
export function fileRoutes(api: Api, centre: Centre): void {
  api.openapi(
    createRoute({
      method: "get",
      path: "/runs/{run}/file",
      summary: "A window of one file of a run",
      request: {
        params: z.object({ run: runNameSchema }),
        query: z.object({
          path: z.string().max(500).regex(KEPT_PATH, "the path is none of a run folder").openapi({ example: "records.jsonl" }),
          from: z.coerce.number().int().optional().openapi({ description: "First byte; negative: counted from the end" }),
          bytes: z.coerce.number().int().min(1).max(MOST_BYTES).default(WINDOW_BYTES),
          download: z.enum(["true"]).optional(),
        }),
      },
      ...guarded("read", "runs", { 200: { description: "The bytes as plain text; X-Total-Bytes tells the size of the file, X-From the first byte", content: { "text/plain": { schema: z.string() } } } }),
    }),
    async (c) => {
      const { path, from = 0, bytes, download } = c.req.valid("query");
      const run = await resolveRun(centre.db, c.req.valid("param").run);
      const { body, size, start } = await readWindow(centre.live.folder(run), path, from, bytes).catch(async (error: unknown) => {
        throw await explain(centre, run, path, error);
      });
      c.header("Content-Type", "text/plain; charset=utf-8");
      c.header("X-Total-Bytes", String(size));
      c.header("X-From", String(start));
      if (download !== undefined) c.header("Content-Disposition", `attachment; filename="${path.split("/").at(-1)?.replaceAll(/[^\w.-]/g, "_") ?? "file"}"`);
      // Typed as text for the document; sent as the bytes there are, whatever they mean.
      return c.body(body, 200) as unknown as TypedResponse<string, 200, "text">;
    },
  );
}

async function readWindow(dir: string, path: string, from: number, bytes: number): Promise<{ body: Uint8Array<ArrayBuffer>; size: number; start: number }> {
  const [home, real] = [await realpath(dir), await realpath(join(dir, path))];
  if (!real.startsWith(home + sep)) throw new SuiteError("NOTHING_THERE", `${path} leads out of the run's folder`);
  const file = await open(real, "r");
  try {
    const { size } = await file.stat();
    const start = from < 0 ? Math.max(0, size + from) : Math.min(from, size);
    const body = new Uint8Array(Math.min(bytes, size - start));
    const { bytesRead } = await file.read(body, 0, body.length, start);
    return { body: body.subarray(0, bytesRead), size, start };
  } finally {
    await file.close();
  }
}

async function explain(centre: Centre, run: string, path: string, error: unknown): Promise<unknown> {
  if ((error as NodeJS.ErrnoException).code !== "ENOENT") return error;
  const row = await centre.db.selectFrom("evidence").select("pruned_at").where("run", "=", run).where("path", "=", path).executeTakeFirst();
  const when = row?.pruned_at ?? null;
  return new SuiteError("NOTHING_THERE", when === null ? `run ${run} has no file ${path}` : `${path} of run ${run} was removed by retention at ${when.toISOString()}`, { cause: error });
}
