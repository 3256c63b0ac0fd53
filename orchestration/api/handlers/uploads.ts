import { createRoute } from "@hono/zod-openapi";
import { bodyLimit } from "hono/body-limit";
import { SuiteError } from "../../base/errors.ts";
import { needs } from "../auth.ts";
import type { Api, Centre } from "../centre.ts";
import { digestSchema, json, problemSchema, z } from "../schemas/common.ts";
import { CHUNK_BYTES, chunkAnswerSchema, finishedSchema, manifestSchema, uploadIdSchema, uploadSchema } from "../schemas/uploads.ts";
import { guarded } from "./routes.ts";

const uploadPath = z.object({ upload: uploadIdSchema });
const refused = { 409: json(problemSchema, "The centre has other content under this name, or not yet all of it"), 413: json(problemSchema, "The body is too large"), 422: json(problemSchema, "The content is not what it is said to be"), 507: json(problemSchema, "The centre's disk is full") };

/** Finished runs come in here: manifest, contents piece by piece, end. Each step may be repeated. */
export function uploadRoutes(api: Api, centre: Centre): void {
  const { uploads, db } = centre;

  api.openapi(
    createRoute({
      method: "post",
      path: "/uploads",
      summary: "Begins an upload, or tells how far it is",
      request: { body: { required: true, content: { "application/json": { schema: manifestSchema } } } },
      ...guarded("submit", "uploads", { ...refused, 200: json(uploadSchema, "What is wanted") }),
    }),
    async (c) => c.json(await uploads.begin(c.req.valid("json")), 200),
  );

  api.openapi(
    createRoute({
      method: "put",
      path: "/uploads/{upload}/contents/{digest}",
      summary: "Bytes of one content",
      request: {
        params: uploadPath.extend({ digest: digestSchema }),
        query: z.object({ offset: z.coerce.number().int().min(0) }),
        body: { required: true, content: { "application/octet-stream": { schema: z.string().openapi({ format: "binary" }) } } },
      },
      ...guarded("submit", "uploads", { ...refused, 200: json(chunkAnswerSchema, "Where to go on") }),
      // after the role: who may not write is told so before anything is read
      middleware: [needs("submit"), bodyLimit({ maxSize: CHUNK_BYTES, onError: () => tooLarge(CHUNK_BYTES) })],
    }),
    async (c) => {
      const { upload, digest } = c.req.valid("param");
      return c.json(await uploads.append(upload, digest, c.req.valid("query").offset, new Uint8Array(await c.req.arrayBuffer())), 200);
    },
  );

  api.openapi(
    createRoute({ method: "post", path: "/uploads/{upload}/finish", summary: "Puts the run among the others", request: { params: uploadPath }, ...guarded("submit", "uploads", { ...refused, 200: json(finishedSchema, "The run is stored") }) }),
    async (c) => {
      const who = c.get("who");
      const { run } = await uploads.finish(c.req.valid("param").upload, { by: who.name, token: who.token });
      const row = await db.selectFrom("run").select("verdict").where("id", "=", run).executeTakeFirst();
      return c.json({ run, state: "done" as const, verdict: row?.verdict ?? null }, 200);
    },
  );
}

export function tooLarge(maxBytes: number): never {
  throw new SuiteError("BODY_TOO_LARGE", `the body is larger than ${maxBytes} bytes`);
}
