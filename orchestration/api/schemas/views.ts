import { countsSchema, levelSchema, list, outcomeKindSchema, pageOf, requirementStateSchema, runIdSchema, timeSchema, verdictKindSchema, z } from "./common.ts";
import { requirementHistoryRowSchema } from "./runs.ts";

export const matrixSchema = z
  .object({
    targets: list(z.object({ target: z.string(), run: runIdSchema, verdict: verdictKindSchema.nullable() })),
    areas: list(z.string()),
    cells: list(countsSchema.extend({ target: z.string(), area: z.string(), run: runIdSchema }).openapi("MatrixCell")),
  })
  .openapi("Matrix");
export type Matrix = z.infer<typeof matrixSchema>;

const comparedSchema = z.object({ run: runIdSchema, startedAt: timeSchema.nullable(), verdict: verdictKindSchema.nullable(), selection: z.string().nullable() });
const differenceSchema = z
  .object({ kind: z.enum(["test", "requirement"]), target: z.string(), id: z.string(), before: z.string().nullable(), after: z.string().nullable(), waived: z.boolean(), message: z.string().nullable() })
  .openapi("Difference");
export type Difference = z.infer<typeof differenceSchema>;
const differences = list(differenceSchema);
export const comparisonSchema = z
  .object({
    schema: z.literal("buslab.compare/1"),
    a: comparedSchema,
    b: comparedSchema,
    broke: differences,
    mended: differences,
    appeared: differences,
    vanished: differences,
    notRun: differences,
    changed: differences,
    same: z.int(),
    stillBad: z.int(),
  })
  .openapi("Comparison");
export type Comparison = z.infer<typeof comparisonSchema>;

const crashSchema = z
  .object({
    fingerprint: z.string(),
    kind: z.string(),
    title: z.string(),
    count: z.int(),
    runs: z.int(),
    targets: list(z.string()),
    firstSeen: timeSchema.nullable(),
    firstRun: runIdSchema,
    lastSeen: timeSchema.nullable(),
    lastRun: runIdSchema,
  })
  .openapi("Crash");
export const crashListSchema = pageOf(crashSchema, "CrashList");
export type CrashList = z.infer<typeof crashListSchema>;
export const crashEventsSchema = pageOf(
  z.object({ run: runIdSchema, target: z.string(), test: z.string().nullable(), kind: z.string(), title: z.string(), excerpt: z.string() }).openapi("CrashEvent"),
  "CrashEventList",
);
export type CrashEvents = z.infer<typeof crashEventsSchema>;

export const figureListSchema = pageOf(
  z
    .object({
      bench: z.string(),
      measuredAt: timeSchema,
      target: z.string(),
      accel: z.string(),
      name: z.string(),
      value: z.number(),
      unit: z.string(),
      against: z.string().nullable(),
      ratio: z.number().nullable(),
      exact: z.boolean(),
    })
    .openapi("Figure"),
  "FigureList",
);
export type FigureList = z.infer<typeof figureListSchema>;
export const figureNamesSchema = z.object({ names: list(z.object({ name: z.string(), unit: z.string(), target: z.string(), count: z.int() })) }).openapi("FigureNames");
export type FigureNames = z.infer<typeof figureNamesSchema>;

export const waiverListSchema = z
  .object({
    today: z.string(),
    waivers: list(
      z
        .object({
          text: z.string(),
          requirement: z.string(),
          target: z.string(),
          owner: z.string(),
          reason: z.string(),
          lastDay: z.string(),
          daysLeft: z.int().openapi({ description: "0 on the last day, negative when it has expired" }),
          present: z.boolean(),
          usedInRuns: z.int(),
          lastUsedRun: runIdSchema.nullable(),
        })
        .openapi("Waiver"),
    ),
  })
  .openapi("WaiverList");
export type WaiverList = z.infer<typeof waiverListSchema>;

const requirementEntry = { id: z.string(), area: z.string(), level: levelSchema, text: z.string() };
export const requirementListSchema = z
  .object({
    requirements: list(
      z
        .object({ ...requirementEntry, states: list(z.object({ target: z.string(), state: requirementStateSchema })).openapi({ description: "In the run of each target that the matrix shows" }) })
        .openapi("RequirementEntry"),
    ),
  })
  .openapi("RequirementList");
export type RequirementList = z.infer<typeof requirementListSchema>;

export const requirementDetailSchema = z
  .object({
    ...requirementEntry,
    source: z.string().nullable(),
    verify: z.string().nullable(),
    untestable: z.string().nullable(),
    generations: list(z.string()).nullable(),
    tests: list(z.object({ test: z.string(), latest: list(z.object({ target: z.string(), run: runIdSchema, outcome: outcomeKindSchema })) })),
    history: pageOf(requirementHistoryRowSchema, "RequirementHistory"),
  })
  .openapi("RequirementDetail");
export type RequirementDetail = z.infer<typeof requirementDetailSchema>;
