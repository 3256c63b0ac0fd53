import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z, type ZodType } from "zod";
import { ROOT } from "../../orchestration/base/paths.ts";
import { planSchema } from "../../orchestration/plan/plan.ts";
import { recordSchema } from "../../orchestration/record/v1.ts";
import { verdictSchema } from "../../orchestration/record/verdict.ts";
import { manifestSchema } from "../../vm-images/manifest.ts";

const FOLDER = join(ROOT, "docs", "schemas");

/** The documents that stages leave, and where the schema of each is published. */
const PUBLISHED: readonly (readonly [file: string, title: string, schema: ZodType])[] = [
  ["plan.json", "plan.json: what a run must give an outcome for", planSchema],
  ["manifest.json", "manifest.json: what went into a built artifact and what came out", manifestSchema],
  ["record.json", "records.jsonl: one line of it", recordSchema],
  ["verdict.json", "verdict.json and the document of `buslab run --json`", verdictSchema],
];

/** The published schemas that differ from what the code reads and writes; empty when all is well. */
export async function staleSchemas(): Promise<string[]> {
  const stale: string[] = [];
  for (const [file, text] of rendered()) {
    if ((await readFile(join(FOLDER, file), "utf8").catch(() => "")) !== text) stale.push(`docs/schemas/${file}`);
  }
  return stale;
}

async function writeSchemas(): Promise<void> {
  await mkdir(FOLDER, { recursive: true });
  for (const [file, text] of rendered()) await writeFile(join(FOLDER, file), text);
}

function rendered(): (readonly [string, string])[] {
  return PUBLISHED.map(([file, title, schema]) => [file, `${JSON.stringify({ title, ...z.toJSONSchema(schema, { io: "input" }) }, null, 2)}\n`]);
}

if (process.argv[1] === import.meta.filename && process.argv.includes("--write")) await writeSchemas();
