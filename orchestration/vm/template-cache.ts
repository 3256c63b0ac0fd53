import { mkdir, mkdtemp, readdir, rename, rm, stat, statfs, utimes } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { digestFile } from "../base/digest.ts";
import { asSuiteError, SuiteError } from "../base/errors.ts";
import { readJson, writeJson } from "../base/json-file.ts";
import { cacheDir } from "../base/paths.ts";
import type { Progress, Step } from "../base/progress.ts";
import { kernelEventSchema } from "../record/v1.ts";
import { lockFile } from "../../vm-images/lock.ts";

const parameterSchema = z.object({ was: z.string(), now: z.string() });
const factsSchema = z.object({ taint: z.number(), events: z.array(kernelEventSchema), parameters: z.record(z.string(), parameterSchema).default({}) });
const PARTS = ["ram", "state", "disk.qcow2"] as const;
const templateSchema = z.object({
  schema: z.literal("buslab.template/1"),
  key: z.string(),
  facts: factsSchema,
  parts: z.record(z.enum(PARTS), z.object({ sizeBytes: z.number(), mtimeMs: z.number(), digest: z.string().nullable() })),
});

/** A whole template on disk. */
export interface TemplateFiles {
  readonly key: string;
  readonly dir: string;
  readonly ram: string;
  readonly disk: string;
  /** Device state. */
  readonly stateFile: string;
  readonly facts: z.infer<typeof factsSchema>;
  readonly state: "built" | "reused";
  readonly because: string;
}

export interface ObtainTemplate {
  readonly key: string;
  readonly title: string;
  readonly needsBytes: number;
  readonly ctx: { readonly progress: Progress; readonly signal?: AbortSignal };
  readonly build: (dir: string, step: Step) => Promise<TemplateFiles["facts"]>;
  /** Throws when a kept template does not work; gets a folder for what the trial writes. */
  readonly check: (files: TemplateFiles, dir: string) => Promise<void>;
}

const KEEP = 6;
const IN_USE_MS = 24 * 60 * 60 * 1000;
const FULL_BYTES = 64 * 1024 * 1024;

/**
 * The template of this key, made when the cache has none that is whole and restores. It is made in a temporary folder
 * and renamed, under a lock: two processes never make the same, a killed one leaves nothing that is taken for whole.
 */
export async function obtainTemplate(options: ObtainTemplate): Promise<TemplateFiles> {
  const shelf = join(cacheDir(), "templates");
  const dir = join(shelf, options.key);
  const step = options.ctx.progress.step(options.title);
  try {
    await mkdir(shelf, { recursive: true });
    await using _lock = await lockFile(`${dir}.lock`, () => step.update("another process makes it, waiting"), options.ctx.signal);
    const known = await lookUp(dir, options.key);
    let because = known.because;
    if (known.files !== undefined) {
      const failure = await trial(known.files, options, shelf);
      if (failure === undefined) {
        const now = new Date();
        await utimes(dir, now, now).catch(() => undefined); // used: not to be pruned
        step.done("reused, same inputs");
        return known.files;
      }
      because = `the kept one does not restore: ${failure}`;
    }
    await requireSpace(shelf, options.needsBytes);
    for (const entry of await readdir(shelf)) {
      if (entry.startsWith(`.${options.key}-`)) await rm(join(shelf, entry), { recursive: true, force: true });
    }
    const temporary = await mkdtemp(join(shelf, `.${options.key}-`));
    try {
      step.update(because);
      const facts = await options.build(temporary, step);
      await writeJson(join(temporary, "template.json"), { schema: "buslab.template/1", key: options.key, facts, parts: await describe(temporary) });
      await rm(dir, { recursive: true, force: true });
      await rename(temporary, dir);
      await prune(shelf);
      step.done(`made, because ${because}`);
      return { ...paths(dir), key: options.key, facts, state: "built", because };
    } catch (error) {
      const free = await freeBytes(shelf);
      throw free < FULL_BYTES ? new SuiteError("HOST_DISK_FULL", `no space left for ${shelf} (${free} bytes free)`, { cause: error }) : error;
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  } catch (error) {
    const named = asSuiteError(error);
    step.fail(named.message);
    throw named;
  }
}

async function trial(files: TemplateFiles, options: ObtainTemplate, shelf: string): Promise<string | undefined> {
  const dir = await mkdtemp(join(shelf, ".trial-"));
  try {
    await options.check(files, dir);
    return undefined;
  } catch (error) {
    if (options.ctx.signal?.aborted === true) throw error;
    const named = asSuiteError(error);
    if (named.code === "HOST_TOOL_MISSING" || named.code === "HOST_DISK_FULL") throw named;
    return named.message;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function lookUp(dir: string, key: string): Promise<{ files?: TemplateFiles; because: string }> {
  const found = await stat(dir).catch(() => undefined);
  if (found === undefined) return { because: "none of these inputs was made before" };
  try {
    const known = await readJson(join(dir, "template.json"), templateSchema);
    for (const part of PARTS) {
      const path = join(dir, part);
      const now = await stat(path);
      const then = known.parts[part];
      // The RAM file is half a gigabyte: its size and time are compared, the small parts are read whole.
      if (now.size !== then.sizeBytes || now.mtimeMs !== then.mtimeMs) return { because: `${path} was changed since it was made` };
      if (then.digest !== null && (await digestFile(path)) !== then.digest) return { because: `${path} is damaged` };
    }
    return { files: { ...paths(dir), key, facts: known.facts, state: "reused", because: "same inputs" }, because: "" };
  } catch (error) {
    return { because: `the kept one is damaged: ${(error as Error).message.split("\n")[0] ?? ""}` };
  }
}

async function describe(dir: string): Promise<z.infer<typeof templateSchema>["parts"]> {
  const entries = await Promise.all(
    PARTS.map(async (part) => {
      const path = join(dir, part);
      const { size, mtimeMs } = await stat(path);
      return [part, { sizeBytes: size, mtimeMs, digest: part === "ram" ? null : await digestFile(path) }] as const;
    }),
  );
  return Object.fromEntries(entries) as z.infer<typeof templateSchema>["parts"];
}

function paths(dir: string): Pick<TemplateFiles, "dir" | "ram" | "disk" | "stateFile"> {
  return { dir, ram: join(dir, "ram"), disk: join(dir, "disk.qcow2"), stateFile: join(dir, "state") };
}

/** Each changed module line makes a template of 100 MB; the least recently used go, but none that a run may be using. */
async function prune(shelf: string): Promise<void> {
  const names = (await readdir(shelf)).filter((name) => /^[0-9a-f]{16}$/.test(name));
  const aged = await Promise.all(names.map(async (name) => ({ path: join(shelf, name), usedMs: (await stat(join(shelf, name))).mtimeMs })));
  aged.sort((a, b) => b.usedMs - a.usedMs);
  for (const { path, usedMs } of aged.slice(KEEP)) {
    if (Date.now() - usedMs > IN_USE_MS) await rm(path, { recursive: true, force: true });
  }
}

async function requireSpace(dir: string, needsBytes: number): Promise<void> {
  const free = await freeBytes(dir);
  if (free < needsBytes) throw new SuiteError("HOST_DISK_FULL", `${mib(free)} MiB are free for ${dir}, and a template needs ${mib(needsBytes)} MiB`);
}

async function freeBytes(dir: string): Promise<number> {
  const info = await statfs(dir);
  return info.bavail * info.bsize;
}

function mib(bytes: number): number {
  return Math.floor(bytes / 1024 / 1024);
}
