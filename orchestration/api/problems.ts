import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { asSuiteError, SuiteError, type ErrorCode } from "../base/errors.ts";
import type { Problem } from "./schemas/common.ts";

const STATUS: Readonly<Partial<Record<ErrorCode, ContentfulStatusCode>>> = {
  USAGE: 400,
  TOKEN_NEEDED: 401,
  TOKEN_REFUSED: 403,
  RUN_UNKNOWN: 404,
  TARGET_UNKNOWN: 404,
  REQUIREMENT_UNKNOWN: 404,
  NOTHING_THERE: 404,
  UPLOAD_CONFLICT: 409,
  BODY_TOO_LARGE: 413,
  FILE_INVALID: 422,
  HOST_DISK_FULL: 507,
};

/** Turns whatever a handler threw into an answer; what is nobody's business outside goes to the log only. */
export function refuse(thrown: unknown, c: Context, log: (line: string) => void): Response {
  if (thrown instanceof HTTPException) return problem(c, new SuiteError("USAGE", thrown.message === "" ? "the request is malformed" : thrown.message), thrown.status);
  const error = asSuiteError(thrown);
  const status = STATUS[error.code] ?? 500;
  if (status < 500) return problem(c, error, status);
  log(`${c.req.method} ${c.req.path}: ${error.message} [${error.code}]${error.details === undefined ? "" : `\n${error.details}`}`);
  return problem(c, error.code === "HOST_DISK_FULL" ? error : new SuiteError(error.code, "the centre could not answer; its log says why"), status);
}

export function problem(c: Context, error: SuiteError, status: ContentfulStatusCode = STATUS[error.code] ?? 500): Response {
  const body: Problem = { schema: "buslab.error/1", code: error.code, message: error.message, hint: error.hint };
  return c.json(body, status, status === 401 ? { "WWW-Authenticate": 'Bearer realm="buslab"' } : {});
}
