import { sql } from "kysely";
import { z } from "zod";
import { digestJson } from "../base/digest.ts";
import { SuiteError } from "../base/errors.ts";
import { json, recordset } from "./rows.ts";
import type { Database } from "./schema.ts";

/** What is read of a document of `bench`; more keys may be there and are kept. */
const benchSchema = z.looseObject({
  schema: z.literal("buslab.bench/1"),
  target: z.string().default(""),
  accel: z.looseObject({ kind: z.string() }).default({ kind: "" }),
  /** Wall time of the measurement. */
  at: z.iso.datetime().optional(),
  figures: z.array(
    z.looseObject({ name: z.string(), value: z.number(), unit: z.string(), against: z.string().optional(), ratio: z.number().optional(), exact: z.boolean() }),
  ),
});

/**
 * Stores a document of `bench`; the same one again changes nothing.
 * @param at when it was measured, for a document that does not say so itself
 * @throws FILE_INVALID naming the first wrong key
 */
export async function storeBench(db: Database, document: unknown, at: string): Promise<{ readonly bench: string; readonly figures: number; readonly stored: boolean }> {
  const parsed = benchSchema.safeParse(document);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new SuiteError("FILE_INVALID", `no document of bench: ${issue?.path.join(".") ?? ""} ${issue?.message ?? ""}`);
  }
  const { data } = parsed;
  const bench = digestJson(document);
  const names = data.figures.map((figure) => figure.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new SuiteError("FILE_INVALID", `the document of bench has the figure "${twice}" twice`);
  return db.transaction().execute(async (tx) => {
    const { rows } = await sql`
      insert into bench (id, measured_at, target, accel, document) values (${bench}, ${data.at ?? at}, ${data.target}, ${data.accel.kind}, ${json(document)})
      on conflict do nothing returning id`.execute(tx);
    if (rows.length === 0) return { bench, figures: data.figures.length, stored: false };
    await sql`
      insert into figure (bench, name, value, unit, against, ratio, exact)
      select ${bench}, r.name, r.value, r.unit, r.against, r.ratio, r.exact
      from ${recordset(data.figures, "name text, value double precision, unit text, against text, ratio double precision, exact boolean")}`.execute(tx);
    return { bench, figures: data.figures.length, stored: true };
  });
}
