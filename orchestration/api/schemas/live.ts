import { runIdSchema, timeSchema, z } from "./common.ts";

const liveTargetSchema = z
  .object({
    target: z.string(),
    /** `waiting` until its machine is up. */
    state: z.enum(["waiting", "running", "complete", "failed", "interrupted"]),
    accel: z.string().nullable(),
    planned: z.int(),
    done: z.int(),
    passed: z.int(),
    failed: z.int(),
    skipped: z.int(),
    canaries: z.int(),
    error: z.string().nullable(),
  })
  .openapi("LiveTarget");

/** What the records of a run say so far. The runner's words, not a verdict: the judge speaks at the end. */
export const liveStateSchema = z
  .object({
    run: runIdSchema,
    state: z.enum(["running", "over", "abandoned"]),
    startedAt: timeSchema.nullable(),
    newestAt: timeSchema.nullable(),
    planned: z.int(),
    done: z.int(),
    passed: z.int(),
    failed: z.int(),
    /** Milliseconds to go at the pace of the tests so far; null before the first one. */
    leftMs: z.number().nullable(),
    targets: z.array(liveTargetSchema),
    current: z.array(z.object({ target: z.string(), test: z.string(), since: timeSchema })),
    failures: z.array(z.object({ target: z.string(), test: z.string(), at: timeSchema, message: z.string() })).openapi({ description: "Newest first, the last fifty" }),
    events: z
      .array(z.object({ target: z.string(), test: z.string().nullable(), at: timeSchema, kind: z.string(), title: z.string(), fingerprint: z.string() }))
      .openapi({ description: "What kernels complained of, newest first, the last fifty; those of canaries are planted and left out" }),
    errors: z.array(z.object({ at: timeSchema, code: z.string(), message: z.string() })),
  })
  .openapi("LiveState");
export type LiveState = z.infer<typeof liveStateSchema>;
