import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { readJson } from "../base/json-file.ts";

export const COLLECTION_SCHEMA = "buslab.coverage-collection/1";
/** Stands among the areas for what loading the module and mounting the bus runs, before any test. */
export const LOADING = "loading";

const collectionSchema = z.object({
  schema: z.literal(COLLECTION_SCHEMA),
  target: z.string(),
  /** What file names of the module begin with. */
  label: z.string(),
  /** Folder of the compiler's notes and of the sources as they were compiled. */
  notes: z.string(),
  objects: z.array(z.string()),
  areas: z.array(z.string()),
  /** Tests whose machine could be asked at its end. */
  tests: z.array(z.string()),
});
/** What a run collected: counters of each area in a folder of its name beside this document. */
export type Collection = z.infer<typeof collectionSchema>;

/** @throws FILE_INVALID */
export function readCollection(dir: string): Promise<Collection> {
  return readJson(join(dir, "collection.json"), collectionSchema);
}

/** Counters of one area, by path below the notes. */
export async function readArea(dir: string, collection: Collection, area: string): Promise<Map<string, Uint8Array>> {
  return new Map(await Promise.all(collection.objects.map(async (name) => [name, new Uint8Array(await readFile(join(dir, area, name)))] as const)));
}
