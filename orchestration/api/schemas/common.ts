import { z } from "@hono/zod-openapi";
import { RUN_ID } from "../../base/ids.ts";
import { GENERATIONS } from "../../../conformance/catalogue/index.ts";

export { z };

/** The body of every refusal. */
export const problemSchema = z
  .object({
    schema: z.literal("buslab.error/1"),
    code: z.string().openapi({ description: "A code of docs/errors.md", example: "RUN_UNKNOWN" }),
    message: z.string(),
    hint: z.string().openapi({ description: "What to do next" }),
  })
  .openapi("Problem");
export type Problem = z.infer<typeof problemSchema>;

export const runIdSchema = z.string().regex(RUN_ID, "a run id looks like 20261124-031455-a1b2c3").openapi("RunId", { example: "20261124-031455-a1b2c3" });
export const digestSchema = z.string().regex(/^sha256:[0-9a-f]{64}$/, "a digest is sha256: and 64 hexadecimal digits").openapi("Digest");
export const timeSchema = z.iso.datetime().openapi({ description: "UTC" });

export const verdictKindSchema = z.enum(["conformant", "violated", "undecided"]).openapi("VerdictKind");
export const outcomeKindSchema = z.enum(["passed", "failed", "crashed", "timed-out", "unsupported", "infra-error", "not-run"]).openapi("OutcomeKind");
export const levelSchema = z.enum(["must", "should", "may"]).openapi("Level");
export const generationSchema = z.enum(GENERATIONS).openapi("Generation");

const count = z.int().nonnegative();
export const countsSchema = z
  .object({ planned: count, passed: count, failed: count, crashed: count, timedOut: count, unsupported: count, infraError: count, notRun: count, waived: count })
  .openapi("Counts", { description: "Tests by outcome; the outcomes add up to planned, waived tells how many of the bad ones a waiver excuses" });
export type Counts = z.infer<typeof countsSchema>;

export const kernelEventSchema = z
  .object({ kind: z.string(), fingerprint: z.string(), title: z.string(), consoleOffset: z.int(), excerpt: z.string() })
  .openapi("KernelEvent");

type Described = { readonly description: string; readonly content: { readonly "application/json": { readonly schema: z.ZodType } } };

/** A JSON answer of a route. */
export function json<S extends z.ZodType>(schema: S, description: string): { description: string; content: { "application/json": { schema: S } } } {
  return { description, content: { "application/json": { schema } } };
}

/** Answers that any route may give. */
export const REFUSALS = {
  400: json(problemSchema, "The request is not understood; the message names the value"),
  401: json(problemSchema, "A token is needed, or the one given is unknown, expired or revoked"),
  403: json(problemSchema, "The token's role does not suffice, or the request comes from a page of another origin"),
  404: json(problemSchema, "There is no such thing"),
  500: json(problemSchema, "The centre could not answer"),
} as const satisfies Record<number, Described>;
