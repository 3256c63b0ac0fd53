import { SuiteError } from "../base/errors.ts";
import { RECORD_SCHEMA, recordSchema, type RunRecord } from "./v1.ts";

const FAMILY = "buslab.record/";
const NEWEST = Number(RECORD_SCHEMA.slice(FAMILY.length));

/**
 * Reads one parsed line of any known schema version as a record of today's.
 * @returns null for a document that is no record of ours, whatever else it is
 * @throws FILE_INVALID for a record written by a newer buslab: reading it by halves could lose a result
 */
export function readRecord(value: unknown): RunRecord | null {
  if (value === null || typeof value !== "object") return null;
  const schema = (value as { schema?: unknown }).schema;
  if (typeof schema !== "string" || !schema.startsWith(FAMILY)) return null;
  const version = Number(schema.slice(FAMILY.length));
  if (Number.isInteger(version) && version > NEWEST) {
    throw new SuiteError("FILE_INVALID", `a record says ${schema}, this buslab reads up to ${RECORD_SCHEMA}; use the buslab that wrote it or a newer one`);
  }
  const parsed = recordSchema.safeParse(value);
  return parsed.success ? parsed.data : null;
}
