import { z } from "zod";

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);

export const ARTIFACT_KINDS = ["kernel", "module", "image", "rootfs", "agent", "fuzzer", "bench", "initrd"] as const;
export type ArtifactKind = (typeof ARTIFACT_KINDS)[number];

/** A file, or a folder counted and digested as a whole. `mtimeMs` lets a later run see a changed file without reading it. */
export const outputSchema = z.strictObject({
  path: z.string(),
  type: z.enum(["file", "tree"]),
  digest,
  sizeBytes: z.number().int().nonnegative(),
  files: z.number().int().positive(),
  mtimeMs: z.number(),
});

/** `manifest.json` beside every built thing: everything that went in, everything that came out, and by which tools. */
export const manifestSchema = z.strictObject({
  schema: z.literal("buslab.manifest/1"),
  kind: z.enum(ARTIFACT_KINDS),
  /** What it is a build of, e.g. `x86_64/debian-6.1/plain`; builds of one subject are compared with each other. */
  subject: z.string(),
  /** Digest of kind, subject, recipe, inputs and tools: the name of the cache entry. */
  key: digest,
  /** Version of the steps that built it; grows when they change. */
  recipe: z.number().int().positive(),
  /** Name to digest, or to the value itself where it is short (a package version). */
  inputs: z.record(z.string(), z.string()),
  /** Program to the version line it printed. */
  tools: z.record(z.string(), z.string()),
  outputs: z.array(outputSchema).min(1),
  /** Facts worth keeping that do not decide the key: package versions, dates, what was done or left out. */
  facts: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())])),
  /** Why it was built rather than reused. */
  because: z.string(),
  builtAt: z.iso.datetime(),
  durationMs: z.number().nonnegative(),
});

export type Output = z.infer<typeof outputSchema>;
export type Manifest = z.infer<typeof manifestSchema>;
export type Facts = Manifest["facts"];

/** Name of the manifest in the folder of an artifact. */
export const MANIFEST = "manifest.json";

/**
 * What differs between the inputs of two builds, in words: `fixtures/module/pool.c changed, gcc changed`.
 * Empty when nothing differs.
 */
export function difference(before: Pick<Manifest, "inputs" | "tools" | "recipe">, now: Pick<Manifest, "inputs" | "tools" | "recipe">): string {
  const words = [...changes(before.inputs, now.inputs), ...changes(before.tools, now.tools)];
  if (before.recipe !== now.recipe) words.push("the build steps changed");
  const shown = words.slice(0, 3).join(", ");
  return words.length > 3 ? `${shown} and ${words.length - 3} more` : shown;
}

function changes(before: Readonly<Record<string, string>>, now: Readonly<Record<string, string>>): string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])].sort();
  return names.flatMap((name) => {
    const [old, fresh] = [before[name], now[name]];
    if (old === fresh) return [];
    if (old === undefined) return [`${name} appeared`];
    if (fresh === undefined) return [`${name} vanished`];
    return [`${name} changed`];
  });
}
