import { z } from "zod";

/** A row of a module's coverage-reasons.json: why lines need not be, or cannot be, reached by the suite. */
const reasonSchema = z.strictObject({
  /** Path below the module's folder. */
  file: z.string(),
  /** Only lines of this function. */
  function: z.string().optional(),
  /** Only lines whose text this regular expression finds. */
  line: z.string().optional(),
  reason: z.string().min(10),
});
export const reasonsSchema = z.strictObject({ schema: z.literal("buslab.coverage-reasons/1"), reasons: z.array(reasonSchema) });
export type Reason = z.infer<typeof reasonSchema>;

/** Name of the table in the module's folder. */
export const REASONS_FILE = "coverage-reasons.json";

/** The first row that speaks of a line. */
export function reasonFor(reasons: readonly Reason[], place: { readonly file: string; readonly function: string; readonly text: string }): Reason | undefined {
  return reasons.find(
    (row) => row.file === place.file && (row.function === undefined || row.function === place.function) && (row.line === undefined || new RegExp(row.line).test(place.text)),
  );
}
