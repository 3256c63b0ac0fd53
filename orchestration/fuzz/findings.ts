import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { digestOf } from "../base/digest.ts";
import { SuiteError } from "../base/errors.ts";
import { readJson, writeJson } from "../base/json-file.ts";
import { homeDir } from "../base/paths.ts";
import { kernelEventSchema } from "../record/v1.ts";

export const findingSchema = z.object({
  schema: z.literal("buslab.fuzz-finding/1"),
  /** Name of its folder. */
  id: z.string(),
  target: z.string(),
  module: z.string(),
  kernelRelease: z.string(),
  seed: z.string(),
  /** Number of the program that ran when the kernel complained. */
  index: z.int().nullable(),
  event: kernelEventSchema,
  death: z.object({ kind: z.string(), detail: z.string() }).nullable(),
  foundAt: z.iso.datetime(),
  /** Time of fuzzing until then, in this campaign. */
  afterMs: z.number(),
  /** How often it came up in this campaign. */
  seen: z.int().positive(),
  reproduced: z.boolean(),
  /** Programs and calls of the smallest reproducer; of what was run where none was found. */
  programs: z.int(),
  calls: z.int(),
  tries: z.int(),
  complete: z.boolean(),
});
export type Finding = z.infer<typeof findingSchema>;

const FILES = { finding: "finding.json", original: "programs.bin", minimised: "minimised.bin", text: "minimised.txt", console: "console.log", report: "report.txt" } as const;

export function fuzzDir(): string {
  return join(homeDir(), "fuzz");
}

/** The name of a finding: what one can read of its fingerprint, and a digest of the whole. */
export function findingId(fingerprint: string): string {
  const words = fingerprint.replace(/[^\w]+/g, "-").replace(/^-|-$/g, "").slice(0, 60);
  return `${words}-${digestOf(fingerprint).slice(7, 13)}`;
}

export interface Evidence {
  readonly original: Uint8Array;
  readonly minimised: Uint8Array;
  readonly text: string;
  readonly console: Uint8Array;
}

/** A finding is written as soon as it is met, and again when it has become smaller. */
export async function saveFinding(finding: Finding, evidence: Partial<Evidence>): Promise<string> {
  const dir = join(fuzzDir(), finding.id);
  await mkdir(dir, { recursive: true });
  for (const name of ["original", "minimised", "text", "console"] as const) {
    const content = evidence[name];
    if (content !== undefined) await writeFile(join(dir, FILES[name]), content);
  }
  await writeFile(join(dir, FILES.report), `${finding.event.title}\n\n${finding.event.excerpt}\n`);
  await writeJson(join(dir, FILES.finding), finding);
  return dir;
}

/** Every finding kept, the newest first. */
export async function listFindings(): Promise<Finding[]> {
  const names = await readdir(fuzzDir()).catch(() => []);
  const found = await Promise.all(names.map((name) => readJson(join(fuzzDir(), name, FILES.finding), findingSchema).catch(() => undefined)));
  return found.filter((finding) => finding !== undefined).sort((a, b) => (a.foundAt < b.foundAt ? 1 : -1));
}

/** A finding by its id or the beginning of it, with the programs to run. @throws FINDING_UNKNOWN */
export async function loadFinding(name: string): Promise<{ readonly finding: Finding; readonly dir: string; readonly programs: Uint8Array }> {
  const matching = (await listFindings()).filter((finding) => finding.id === name || finding.id.startsWith(name) || finding.event.fingerprint === name);
  const [finding, ...more] = matching;
  if (finding === undefined || more.length > 0) throw new SuiteError("FINDING_UNKNOWN", `"${name}" names ${matching.length} findings of ${fuzzDir()}; exactly one is needed`);
  const dir = join(fuzzDir(), finding.id);
  const programs = await readFile(join(dir, FILES.minimised)).catch(() => readFile(join(dir, FILES.original)));
  return { finding, dir, programs };
}
