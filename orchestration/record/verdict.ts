import { z } from "zod";
import { kernelEventSchema } from "./v1.ts";

export const VERDICT_SCHEMA = "buslab.run/1";

const levelSchema = z.enum(["must", "should", "may"]);

/** Number of tests by outcome. The outcomes add up to `planned`; `waived` tells how many of the failed, crashed and timed out ones a waiver excuses. */
const countsSchema = z.object({
  planned: z.int(),
  passed: z.int(),
  failed: z.int(),
  crashed: z.int(),
  timedOut: z.int(),
  unsupported: z.int(),
  infraError: z.int(),
  notRun: z.int(),
  waived: z.int(),
});
export type Counts = z.infer<typeof countsSchema>;

const outcomeSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("passed") }),
  z.object({ kind: z.literal("failed"), message: z.string() }),
  z.object({ kind: z.literal("crashed"), signature: z.string(), message: z.string() }),
  z.object({ kind: z.literal("timed-out"), limitMs: z.number(), message: z.string() }),
  z.object({ kind: z.literal("unsupported"), missing: z.array(z.string()) }),
  z.object({ kind: z.literal("infra-error"), code: z.string(), message: z.string() }),
  z.object({ kind: z.literal("not-run"), because: z.string() }),
]);

const testVerdictSchema = z.object({
  id: z.string(),
  requirements: z.array(z.string()),
  outcome: outcomeSchema,
  durationMs: z.number().nullable(),
  waived: z.boolean(),
  evidence: z.string().nullable(),
});
export type TestVerdict = z.infer<typeof testVerdictSchema>;

const requirementVerdictSchema = z.object({
  id: z.string(),
  level: levelSchema,
  text: z.string(),
  state: z.enum(["held", "violated", "waived", "unjudged"]),
  /** Why it is not held. */
  because: z.string().nullable(),
  /** Tests that speak against it. */
  tests: z.array(z.string()),
});
export type RequirementVerdict = z.infer<typeof requirementVerdictSchema>;

const canaryVerdictSchema = z.object({
  target: z.string(),
  test: z.string(),
  expected: z.string(),
  actual: z.string(),
  right: z.boolean(),
});
export type CanaryVerdict = z.infer<typeof canaryVerdictSchema>;

/** Something by which the subject is at fault. */
const violationSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("requirement"), requirement: z.string(), tests: z.array(z.string()) }),
  /** The kernel crashed or complained in a test of lower level, or outside of any test: red whatever the level. */
  z.object({ kind: z.literal("crash"), test: z.string().nullable(), signature: z.string(), title: z.string() }),
  /** The signs of the two generations disagree or are missing. */
  z.object({ kind: z.literal("generation"), title: z.string() }),
  /** Module or kernel could not be built, loaded or booted. */
  z.object({ kind: z.literal("bring-up"), code: z.string(), title: z.string() }),
]);
export type Violation = z.infer<typeof violationSchema>;

const targetVerdictSchema = z.object({
  id: z.string(),
  verdict: z.enum(["conformant", "violated", "undecided"]),
  accel: z.object({ kind: z.enum(["kvm", "tcg", "none"]), why: z.string() }),
  counts: countsSchema,
  /** The same by area; absent from documents of before there was a matrix. */
  areas: z.record(z.string(), countsSchema).optional(),
  /** Requirements of level must in scope; held + violated + waived + unjudged is all of them. */
  requirements: z.object({ held: z.int(), violated: z.int(), unjudged: z.int(), waived: z.int() }),
  /** The same for should and may, which never make a verdict red. */
  advisory: z.object({ held: z.int(), violated: z.int(), unjudged: z.int(), waived: z.int() }),
  /** Requirements of level must that are violated and not waived. */
  violated: z.array(z.string()),
  violations: z.array(violationSchema),
  durationsMs: z.object({ build: z.number(), boot: z.number(), run: z.number(), total: z.number() }),
  artifacts: z.record(z.string(), z.enum(["built", "reused"])),
  generation: z.object({ used: z.enum(["2015-03", "2015-08"]).nullable(), detected: z.enum(["2015-03", "2015-08", "unknown"]).nullable(), signs: z.record(z.string(), z.string()) }),
  error: z.object({ code: z.string(), blame: z.enum(["subject", "infrastructure", "caller"]), message: z.string(), details: z.string() }).nullable(),
  events: z.array(kernelEventSchema.extend({ test: z.string().nullable() })),
  requirementStates: z.array(requirementVerdictSchema),
  tests: z.array(testVerdictSchema),
});
export type TargetVerdict = z.infer<typeof targetVerdictSchema>;

/** What a run comes to: the document that `run --json` ends with, and `verdict.json`. */
export const verdictSchema = z.object({
  schema: z.literal(VERDICT_SCHEMA),
  run: z.string(),
  verdict: z.enum(["conformant", "violated", "undecided"]),
  exitCode: z.union([z.literal(0), z.literal(1), z.literal(2), z.literal(3), z.literal(130)]),
  /** Sentences that tell why the verdict is what it is. */
  reasons: z.array(z.string()),
  catalogue: z.object({ digest: z.string(), must: z.int(), should: z.int(), may: z.int() }),
  plan: z.object({ digest: z.string(), suite: z.string(), seed: z.int(), selection: z.string() }),
  targets: z.array(targetVerdictSchema),
  canaries: z.object({ right: z.int(), planned: z.int(), all: z.array(canaryVerdictSchema) }),
  /** How much of the catalogue the verdict speaks for. */
  scope: z.object({ complete: z.boolean(), must: z.int(), mustWithTest: z.int(), mustWithoutTest: z.array(z.string()), statement: z.string() }),
  records: z.object({ read: z.int(), torn: z.int(), gaps: z.array(z.string()), unplanned: z.array(z.string()) }),
  waivers: z.object({
    digest: z.string(),
    used: z.array(z.string()),
    expired: z.array(z.string()),
    unused: z.array(z.string()),
  }),
  startedAt: z.string().nullable(),
  endedAt: z.string().nullable(),
});
export type Verdict = z.infer<typeof verdictSchema>;
