import { z } from "@hono/zod-openapi";
import { MOST_ROWS } from "../../store/queries/shapes.ts";

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

const RUN = "\\d{8}-\\d{6}-[0-9a-f]{6}";
export const runIdSchema = z.string().regex(new RegExp(`^${RUN}$`), "a run id looks like 20261124-031455-a1b2c3").openapi("RunId", { example: "20261124-031455-a1b2c3" });
/** In a path or a query a run may also be named by its age. */
export const runNameSchema = z
  .string()
  .regex(new RegExp(`^(latest|previous|${RUN})$`), "a run id looks like 20261124-031455-a1b2c3; latest and previous will do as well")
  .openapi({ example: "latest" });
export const digestSchema = z.string().regex(/^sha256:[0-9a-f]{64}$/, "a digest is sha256: and 64 hexadecimal digits").openapi("Digest");
export const timeSchema = z.iso.datetime({ message: "a time is ISO 8601 in UTC" }).openapi({ description: "UTC" });

// What the database gives is typed as text; the document and the tests of the answers hold it to the list.
const oneOf = (name: string, values: readonly string[]): z.ZodString => z.string().openapi(name, { enum: [...values] });
export const verdictKindSchema = oneOf("VerdictKind", ["conformant", "violated", "undecided"]);
export const outcomeKindSchema = oneOf("OutcomeKind", ["passed", "failed", "crashed", "timed-out", "unsupported", "infra-error", "not-run"]);
export const requirementStateSchema = oneOf("RequirementState", ["held", "violated", "waived", "unjudged"]);
export const levelSchema = oneOf("Level", ["must", "should", "may"]);
export const endedSchema = oneOf("Ended", ["complete", "interrupted", "failed"]);

/** An array nobody changes. */
export const list = <S extends z.ZodType>(schema: S): z.ZodReadonly<z.ZodArray<S>> => z.array(schema).readonly();
/** Rows, and how many there are beyond them. */
export const pageOf = <S extends z.ZodType>(schema: S, name: string) => z.object({ total: z.int(), rows: list(schema) }).openapi(name);

const count = z.int().nonnegative();
export const countsSchema = z
  .object({ planned: count, passed: count, failed: count, crashed: count, timedOut: count, unsupported: count, infraError: count, notRun: count, waived: count })
  .openapi("Counts", { description: "Tests by outcome; the outcomes add up to planned, waived tells how many of the bad ones a waiver excuses" });
export type Counts = z.infer<typeof countsSchema>;

export const pagingQuery = {
  limit: z.coerce.number().int().min(1).max(MOST_ROWS).optional(),
  offset: z.coerce.number().int().min(0).max(10_000_000).optional(),
};
export const textQuery = z.string().max(300);

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
};

/** Any of the two proves who sends a request. */
export const SECURITY: Record<string, string[]>[] = [{ token: [] }, { session: [] }];
