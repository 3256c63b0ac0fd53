import { countsSchema, generationSchema, kernelEventSchema, levelSchema, outcomeKindSchema, runIdSchema, timeSchema, verdictKindSchema, z } from "./common.ts";

/** `running`: its records grow; `abandoned`: they stopped without an end; `unjudged`: ended, without a verdict. */
export const runStateSchema = z.enum(["running", "judged", "unjudged", "abandoned"]).openapi("RunState");

const runTargetSchema = z.object({ target: z.string(), verdict: verdictKindSchema.nullable(), counts: countsSchema.nullable() }).openapi("RunTarget");

const summary = {
  run: runIdSchema,
  state: runStateSchema,
  verdict: verdictKindSchema.nullable(),
  exitCode: z.int().nullable(),
  startedAt: timeSchema.nullable(),
  endedAt: timeSchema.nullable(),
  selection: z.string().nullable(),
};

export const runSummarySchema = z.object({ ...summary, targets: z.array(runTargetSchema) }).openapi("RunSummary");
export type RunSummary = z.infer<typeof runSummarySchema>;

export const runListSchema = z
  .object({ runs: z.array(runSummarySchema), next: runIdSchema.nullable().openapi({ description: "Give it as `before` to go on" }) })
  .openapi("RunList");
export type RunList = z.infer<typeof runListSchema>;

const tallySchema = z.object({ held: z.int(), violated: z.int(), unjudged: z.int(), waived: z.int() }).openapi("Tally");
const errorSchema = z.object({ code: z.string(), blame: z.enum(["subject", "infrastructure", "caller"]), message: z.string(), details: z.string() });

const runTargetDetailSchema = runTargetSchema
  .extend({
    accel: z.string().nullable(),
    accelWhy: z.string().nullable(),
    generation: generationSchema.nullable(),
    requirements: tallySchema.nullable(),
    error: errorSchema.nullable(),
    durationsMs: z.record(z.string(), z.number()),
    artifacts: z.array(z.object({ name: z.string(), state: z.string(), because: z.string() })),
    violated: z.array(z.object({ id: z.string(), level: levelSchema, because: z.string().nullable() })),
    areas: z.array(z.object({ area: z.string(), counts: countsSchema })),
    events: z.array(kernelEventSchema.extend({ test: z.string().nullable() })),
  })
  .openapi("RunTargetDetail");
export type RunTargetDetail = z.infer<typeof runTargetDetailSchema>;

export const runDetailSchema = z
  .object({
    ...summary,
    reasons: z.array(z.string()),
    catalogueDigest: z.string().nullable(),
    suiteDigest: z.string().nullable(),
    planDigest: z.string().nullable(),
    seed: z.int().nullable(),
    scope: z.string().nullable(),
    canaries: z.object({ right: z.int(), planned: z.int(), wrong: z.array(z.object({ target: z.string(), test: z.string(), expected: z.string(), actual: z.string() })) }).nullable(),
    waivers: z.object({ used: z.array(z.string()), expired: z.array(z.string()), unused: z.array(z.string()) }).nullable(),
    uploadedBy: z.string().nullable(),
    targets: z.array(runTargetDetailSchema),
  })
  .openapi("RunDetail");
export type RunDetail = z.infer<typeof runDetailSchema>;

export const testRowSchema = z
  .object({
    test: z.string(),
    area: z.string(),
    outcome: outcomeKindSchema,
    message: z.string().nullable(),
    durationMs: z.number().nullable(),
    waived: z.boolean(),
  })
  .openapi("TestRow");
export type TestRow = z.infer<typeof testRowSchema>;

export const runResultsSchema = z.object({ run: runIdSchema, target: z.string(), results: z.array(testRowSchema) }).openapi("RunResults");
export type RunResults = z.infer<typeof runResultsSchema>;

const attemptSchema = z
  .object({
    attempt: z.int(),
    begunAt: timeSchema.nullable(),
    runner: z.string().nullable(),
    durationMs: z.number().nullable(),
    limitMs: z.number().nullable(),
    errors: z.array(z.object({ code: z.string().nullable(), message: z.string() })),
    unsupported: z.array(z.string()),
  })
  .openapi("Attempt");

const seenSchema = z
  .object({ run: runIdSchema, target: z.string(), startedAt: timeSchema.nullable(), outcome: outcomeKindSchema, message: z.string().nullable(), durationMs: z.number().nullable(), waived: z.boolean() })
  .openapi("SeenResult");

export const testDetailSchema = z
  .object({
    run: runIdSchema,
    target: z.string(),
    test: z.string(),
    result: testRowSchema.nullable(),
    requirements: z.array(z.object({ id: z.string(), level: levelSchema, text: z.string() })),
    attempts: z.array(attemptSchema),
    events: z.array(kernelEventSchema),
    evidence: z.object({
      files: z.array(z.object({ path: z.string(), bytes: z.int() })),
      /** When retention removed it; the files are then no more. */
      prunedAt: timeSchema.nullable(),
    }),
    history: z.array(seenSchema).openapi({ description: "The same test on the same target in other runs, newest first" }),
    elsewhere: z.array(seenSchema).openapi({ description: "The newest result of the same test on each other target" }),
  })
  .openapi("TestDetail");
export type TestDetail = z.infer<typeof testDetailSchema>;
