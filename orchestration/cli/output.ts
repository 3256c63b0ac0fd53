import type { SuiteError } from "../base/errors.ts";

/** The one document of a command with --json. */
export function printJson(document: unknown): void {
  process.stdout.write(`${JSON.stringify(document)}\n`);
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** What went wrong, its evidence, and the next step; on stdout as a document too when the caller asked for JSON. */
export function printError(error: SuiteError, json: boolean): void {
  if (json) printJson({ schema: "buslab.error/1", code: error.code, blame: error.blame, message: error.message, hint: error.hint });
  process.stderr.write(`buslab: ${error.message} [${error.code}]\n`);
  if (error.details !== undefined && error.details !== "") process.stderr.write(`${error.details.replaceAll(/^/gm, "  | ")}\n`);
  process.stderr.write(`next: ${error.hint}\n`);
}
