import { readFile } from "node:fs/promises";
import { z } from "zod";
import { digestOf, type Digest } from "../../orchestration/base/digest.ts";
import { SuiteError } from "../../orchestration/base/errors.ts";

const waiverSchema = z.strictObject({
  requirement: z.string().regex(/^[A-Z]+-\d{3}$/),
  /** `<arch>/<kernel>/<lsm>/<build>`; a missing or `*` part fits everything. */
  target: z.string(),
  owner: z.string().min(1),
  reason: z.string().min(10),
  /** Last day on which it excuses, `YYYY-MM-DD`, UTC. */
  lastDay: z.iso.date(),
});
export type Waiver = z.infer<typeof waiverSchema>;

export interface Waivers {
  readonly rows: readonly Waiver[];
  readonly digest: Digest;
}

export const NO_WAIVERS: Waivers = { rows: [], digest: digestOf("") };

/** Reads the waiver file; an absent one is empty. @throws FILE_INVALID naming the row that is wrong */
export async function readWaivers(path: string): Promise<Waivers> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return NO_WAIVERS;
    throw new SuiteError("FILE_INVALID", `${path} cannot be read`, { cause: error });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new SuiteError("FILE_INVALID", `${path} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  const parsed = z.array(waiverSchema).safeParse(value);
  if (parsed.success) return { rows: parsed.data, digest: digestOf(text) };
  const issue = parsed.error.issues[0];
  throw new SuiteError("FILE_INVALID", `${path}: waiver ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "has the wrong shape"}`);
}

export function fitsTarget(pattern: string, target: string): boolean {
  const parts = pattern.split("/");
  return parts.length <= 4 && target.split("/").every((value, index) => [undefined, "", "*", value].includes(parts[index]));
}

/** @param today `YYYY-MM-DD` */
export function expired(waiver: Waiver, today: string): boolean {
  return today > waiver.lastDay;
}

/** One line for people; also the key by which a verdict names it. */
export function describeWaiver(waiver: Waiver): string {
  return `${waiver.requirement} on ${waiver.target}, by ${waiver.owner} until ${waiver.lastDay}: ${waiver.reason}`;
}
