import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import type { ZodType } from "zod";
import { SuiteError } from "./errors.ts";

/** Writes a JSON document so that a reader sees the old one or the new one, never a half. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  const file = await open(temporary, "w");
  try {
    await file.writeFile(`${JSON.stringify(value, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

/** Reads a JSON document and checks its shape. @throws FILE_INVALID naming file and first offending key */
export async function readJson<T>(path: string, schema: ZodType<T>): Promise<T> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new SuiteError("FILE_INVALID", `${path} cannot be read`, { cause: error });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new SuiteError("FILE_INVALID", `${path} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new SuiteError("FILE_INVALID", `${path}: ${issue?.path.join(".") ?? ""} ${issue?.message ?? "has the wrong shape"}`);
}
