import { countsSchema, endedSchema, levelSchema, list, outcomeKindSchema, pageOf, requirementStateSchema, runIdSchema, timeSchema, verdictKindSchema, z } from "./common.ts";

/** `running`: its records grow; `abandoned`: they stopped without an end; `unjudged`: ended, without a verdict. */
export const runStateSchema = z.enum(["running", "judged", "unjudged", "abandoned"]).openapi("RunState");
export type RunState = z.infer<typeof runStateSchema>;

const about = {
  run: runIdSchema,
  state: runStateSchema,
  startedAt: timeSchema.nullable(),
  endedAt: timeSchema.nullable(),
  ended: endedSchema.nullable(),
  verdict: verdictKindSchema.nullable(),
  exitCode: z.int().nullable(),
  selection: z.string().nullable(),
  prunedAt: timeSchema.nullable(),
};

const runTargetSchema = z.object({ target: z.string(), verdict: verdictKindSchema.nullable(), counts: countsSchema.nullable() }).openapi("RunTarget");
export const runSummarySchema = z.object({ ...about, pinned: z.boolean(), targets: list(runTargetSchema) }).openapi("RunSummary");
export type RunSummary = z.infer<typeof runSummarySchema>;
export const runListSchema = pageOf(runSummarySchema, "RunList");
export type RunList = z.infer<typeof runListSchema>;

const tallySchema = z.object({ held: z.int(), violated: z.int(), unjudged: z.int(), waived: z.int() }).openapi("Tally");
const targetErrorSchema = z.object({ code: z.string(), blame: z.string(), message: z.string(), details: z.string() });

const runTargetDetailSchema = runTargetSchema
  .extend({
    accel: z.string().nullable(),
    accelWhy: z.string().nullable(),
    generation: z.string().nullable(),
    ended: endedSchema.nullable(),
    error: targetErrorSchema.nullable(),
    durationsMs: z.record(z.string(), z.number()).nullable(),
    requirements: tallySchema.nullable(),
    artifacts: list(z.object({ name: z.string(), key: z.string(), state: z.string(), because: z.string() })),
    facts: z.record(z.string(), z.unknown()),
    attempts: z.object({ begun: z.int(), ended: z.int() }),
  })
  .openapi("RunTargetDetail");
export type RunTargetDetail = z.infer<typeof runTargetDetailSchema>;

export const runDetailSchema = z
  .object({
    ...about,
    reasons: list(z.string()),
    planDigest: z.string().nullable(),
    catalogueDigest: z.string().nullable(),
    suiteDigest: z.string().nullable(),
    seed: z.int().nullable(),
    canaries: z.object({ right: z.int().nullable(), planned: z.int().nullable() }),
    records: z.object({ read: z.int(), torn: z.int() }),
    pinnedAt: timeSchema.nullable(),
    pinReason: z.string().nullable(),
    waivers: list(z.object({ text: z.string(), state: z.string() })),
    uploadedBy: z.string().nullable().openapi({ description: "Name of the token that brought it; null for runs made on the centre's own host" }),
    targets: list(runTargetDetailSchema),
  })
  .openapi("RunDetail");
export type RunDetail = z.infer<typeof runDetailSchema>;

export const testRowSchema = z
  .object({
    target: z.string(),
    test: z.string(),
    area: z.string(),
    outcome: outcomeKindSchema,
    message: z.string().nullable(),
    durationMs: z.number().nullable(),
    waived: z.boolean(),
    canary: z.boolean(),
    requirements: list(z.string()),
  })
  .openapi("TestRow");
export type TestRow = z.infer<typeof testRowSchema>;
export const testListSchema = pageOf(testRowSchema, "TestList");
export type TestList = z.infer<typeof testListSchema>;

export const requirementRowSchema = z
  .object({ target: z.string(), requirement: z.string(), level: levelSchema, text: z.string().nullable(), state: requirementStateSchema, because: z.string().nullable() })
  .openapi("RunRequirement");
export const runRequirementsSchema = pageOf(requirementRowSchema, "RunRequirementList");
export type RunRequirements = z.infer<typeof runRequirementsSchema>;

const subject = { run: runIdSchema, startedAt: timeSchema.nullable(), target: z.string(), kernel: z.string(), module: z.string().nullable() };

export const testHistorySchema = pageOf(
  z.object({ ...subject, outcome: outcomeKindSchema, message: z.string().nullable(), durationMs: z.number().nullable(), waived: z.boolean() }).openapi("TestHistoryRow"),
  "TestHistory",
);
export type TestHistory = z.infer<typeof testHistorySchema>;

export const requirementHistoryRowSchema = z.object({ ...subject, level: levelSchema, state: requirementStateSchema, because: z.string().nullable() }).openapi("RequirementHistoryRow");

const eventSchema = z
  .object({ kind: z.string(), fingerprint: z.string(), title: z.string(), consoleOffset: z.int(), excerpt: z.string(), machine: z.string().nullable() })
  .openapi("KernelEvent");

const attemptSchema = z
  .object({
    attempt: z.int(),
    begunAt: timeSchema.nullable(),
    runner: z.string().nullable(),
    durationMs: z.number().nullable(),
    limitMs: z.number().nullable(),
    errors: list(z.object({ code: z.string().nullable(), message: z.string() })),
    unsupported: list(z.string()),
  })
  .openapi("Attempt");

export const testDetailSchema = testRowSchema
  .extend({
    run: runIdSchema,
    attempts: list(attemptSchema),
    events: list(eventSchema),
    evidence: list(z.object({ path: z.string(), bytes: z.int(), prunedAt: timeSchema.nullable() })),
    texts: list(z.object({ id: z.string(), level: levelSchema, text: z.string() })).openapi({ description: "The requirements it speaks for" }),
  })
  .openapi("TestDetail");
export type TestDetail = z.infer<typeof testDetailSchema>;
