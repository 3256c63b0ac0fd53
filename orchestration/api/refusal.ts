import { z } from "zod";
import { ERROR_TABLE, SuiteError, type ErrorCode } from "../base/errors.ts";

const refusalSchema = z.object({ code: z.string(), message: z.string() });

/** What a centre refused with, as the error it had there: a caller's mistake stays one on this side of the line. */
export function refusalOf(status: number, text: string): SuiteError {
  try {
    const { code, message } = refusalSchema.parse(JSON.parse(text));
    return new SuiteError(code in ERROR_TABLE ? (code as ErrorCode) : "CENTRE_FAILED", message);
  } catch {
    return new SuiteError("CENTRE_FAILED", `the address answered ${status} and is no results centre`);
  }
}
