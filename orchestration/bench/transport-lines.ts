import { z } from "zod";
import { SuiteError } from "../base/errors.ts";

const count = z.number().int().nonnegative();
const loop = { transport: z.string(), what: z.enum(["round trip", "one way", "multicast"]), bytes: count, receivers: count.optional(), matching: count.optional() };

const timeSchema = z.strictObject({ figure: z.literal("time"), ...loop, round: count, messages: count, ns: count, partNs: count });
const countSchema = z.strictObject({ figure: z.literal("count"), ...loop, messages: count, syscalls: z.number().int(), switches: z.number().int() });
const copiesSchema = z.strictObject({ figure: z.literal("copies"), ...loop, messages: count, copied: z.number().int() });
const absentSchema = z.strictObject({ figure: z.literal("absent"), ...loop, because: z.string() });
const lineSchema = z.discriminatedUnion("figure", [timeSchema, countSchema, copiesSchema, absentSchema, z.strictObject({ figure: z.literal("end") })]);

export type TimeLine = z.infer<typeof timeSchema>;
export type CountLine = z.infer<typeof countSchema>;
export type CopiesLine = z.infer<typeof copiesSchema>;
export type AbsentLine = z.infer<typeof absentSchema>;
export type Line = TimeLine | CountLine | CopiesLine | AbsentLine;

/** What the program in the guest measured: how, what, at which size. */
export type Loop = Pick<TimeLine, "transport" | "what" | "bytes" | "receivers" | "matching">;

/**
 * What the guest's program printed. The last line says that it came to its end.
 * @throws GUEST_PROTOCOL for a line that is none of its own, or when the end is missing
 */
export function parseLines(text: string): Line[] {
  const lines: Line[] = [];
  let ended = false;
  for (const raw of text.split(/\r?\n/)) {
    if (raw === "") continue;
    const line = parseLine(raw);
    if (line.figure === "end") ended = true;
    else lines.push(line);
  }
  if (!ended) throw new SuiteError("GUEST_PROTOCOL", `the benchmark program printed ${lines.length} figures and did not come to its end`);
  return lines;
}

function parseLine(raw: string): z.infer<typeof lineSchema> {
  try {
    return lineSchema.parse(JSON.parse(raw));
  } catch (error) {
    throw new SuiteError("GUEST_PROTOCOL", `the benchmark program printed "${raw.slice(0, 120)}", which is no figure`, { cause: error });
  }
}

/** The same for two lines about the same loop. */
export function loopKey({ transport, what, bytes, receivers, matching }: Loop): string {
  return [transport, what, bytes, receivers ?? 0, matching ?? 0].join("/");
}
