import { digestSchema, list, runIdSchema, verdictKindSchema, z } from "./common.ts";

/** Nothing begins with a dot, so nothing climbs; what a run folder holds besides these is of no use elsewhere. */
export const KEPT_PATH = /^(plan\.json|records\.jsonl|verdict\.json|runner\.log|(manifests|console|evidence)(\/[\w+,=~@:-][\w.+,=~@:-]*){1,8})$/;
export const MOST_FILES = 20_000;
export const MOST_BYTES = 8 * 1024 ** 3;
export const CHUNK_BYTES = 4 * 1024 ** 2;

export const uploadFileSchema = z
  .object({ path: z.string().max(500).regex(KEPT_PATH, "a path is one of a run folder's own"), bytes: z.int().min(0).max(MOST_BYTES), digest: digestSchema })
  .openapi("UploadFile");
export type UploadFile = z.infer<typeof uploadFileSchema>;

export const manifestSchema = z.object({ run: runIdSchema, files: z.array(uploadFileSchema).min(3).max(MOST_FILES) }).openapi("UploadManifest");
export type UploadManifest = z.infer<typeof manifestSchema>;

export const uploadIdSchema = z.string().regex(/^\d{8}-\d{6}-[0-9a-f]{6}\.[0-9a-f]{16}$/, "an upload id is what POST /uploads answered");

export const uploadSchema = z
  .object({
    upload: uploadIdSchema,
    run: runIdSchema,
    state: z.enum(["open", "done"]).openapi({ description: "done: the centre has this very run" }),
    missing: list(z.object({ digest: digestSchema, offset: z.int() })).openapi({ description: "Contents that are wanted, and from which byte on" }),
  })
  .openapi("Upload");
export type Upload = z.infer<typeof uploadSchema>;

export const chunkAnswerSchema = z
  .object({
    taken: z.boolean().openapi({ description: "False when the bytes do not follow what is there: go on from offset" }),
    offset: z.int(),
    complete: z.boolean(),
  })
  .openapi("ChunkAnswer");
export type ChunkAnswer = z.infer<typeof chunkAnswerSchema>;

export const finishedSchema = z.object({ run: runIdSchema, state: z.literal("done"), verdict: verdictKindSchema.nullable() }).openapi("FinishedUpload");
export type Finished = z.infer<typeof finishedSchema>;
