import { mkdir, mkdtemp, readdir, rename, rm, stat, statfs, utimes } from "node:fs/promises";
import { join } from "node:path";
import { digestJson, short } from "../orchestration/base/digest.ts";
import { asSuiteError, SuiteError } from "../orchestration/base/errors.ts";
import { readJson, writeJson } from "../orchestration/base/json-file.ts";
import { cacheDir } from "../orchestration/base/paths.ts";
import type { Progress, Step } from "../orchestration/base/progress.ts";
import { lockFile } from "./lock.ts";
import { type ArtifactKind, difference, type Facts, MANIFEST, type Manifest, manifestSchema } from "./manifest.ts";
import { describeOutput, fault } from "./outputs.ts";
import { pruneOld } from "./prune.ts";
import type { Toolchain } from "./toolchain.ts";

/** Everything that decides what a build yields; equal inputs name the same cache entry. */
export interface Inputs {
  /** What is built, e.g. `x86_64/debian-6.1/plain`. */
  readonly subject: string;
  readonly recipe: number;
  readonly inputs: Readonly<Record<string, string>>;
  readonly tools: Readonly<Record<string, string>>;
}

export interface BuildContext {
  readonly progress: Progress;
  readonly signal?: AbortSignal;
  /** Logs of the tools go here. */
  readonly logDir: string;
  /** Where compilers run; default: this host. */
  readonly toolchain?: Toolchain;
}

/** One cached result. */
export interface Artifact {
  readonly kind: ArtifactKind;
  /** Short digest of the inputs. */
  readonly key: string;
  readonly dir: string;
  readonly state: "built" | "reused";
  /** Why: `same inputs`, `fixtures/module/pool.c changed`, `no earlier build of it`. */
  readonly because: string;
  readonly manifest: Manifest;
}

export interface Build {
  /** Files and folders of the artifact, relative to the folder the build was given. */
  readonly outputs: readonly string[];
  readonly facts?: Facts;
}

export interface ObtainOptions {
  /** Shown in front of progress lines. */
  readonly title: string;
  /** Free space the build takes at its peak, in bytes; less is refused before an hour is lost. */
  readonly needsBytes: number;
  /** Old builds of the same subject that stay. */
  readonly keep?: number;
}

/** What is left free below this, a failed build is taken for a full disk: not every tool says so itself. */
const FULL_BYTES = 32 * 1024 * 1024;
const FORGOTTEN_MS = 24 * 60 * 60 * 1000;

/**
 * Returns the artifact of these inputs, building it when the cache does not have it whole. The build works in a temporary
 * folder that is renamed at the end: a killed build leaves nothing that is taken for whole. Two processes never build the same.
 * @throws HOST_DISK_FULL naming the folder; whatever `build` throws
 */
export async function obtain(
  kind: ArtifactKind,
  inputs: Inputs,
  build: (dir: string, step: Step) => Promise<Build>,
  options: ObtainOptions,
  ctx: BuildContext,
): Promise<Artifact> {
  const key = digestJson({ kind, ...inputs });
  const shelf = join(cacheDir(), "artifacts", kind);
  const dir = join(shelf, short(key));
  const step = ctx.progress.step(options.title);
  try {
    await mkdir(shelf, { recursive: true });
    const known = await lookUp(dir, key);
    if (known.manifest !== undefined) return await reuse(kind, dir, known.manifest, step);

    await using _lock = await lockFile(`${dir}.lock`, () => step.update("another process builds it, waiting"), ctx.signal);
    const again = await lookUp(dir, key);
    if (again.manifest !== undefined) return await reuse(kind, dir, again.manifest, step);

    const because = again.fault ?? (await whyNotReused(shelf, inputs));
    const started = performance.now();
    await requireSpace(shelf, options.needsBytes);
    await removeRests(shelf, short(key));
    const temporary = await mkdtemp(join(shelf, `.${short(key)}-`));
    try {
      step.update(because);
      const result = await build(temporary, step);
      const manifest: Manifest = {
        schema: "buslab.manifest/1",
        kind,
        subject: inputs.subject,
        key,
        recipe: inputs.recipe,
        inputs: { ...inputs.inputs },
        tools: { ...inputs.tools },
        outputs: await Promise.all(result.outputs.map((path) => describeOutput(temporary, path))),
        facts: result.facts ?? {},
        because,
        builtAt: new Date().toISOString(),
        durationMs: Math.round(performance.now() - started),
      };
      await writeJson(join(temporary, MANIFEST), manifest);
      await rm(dir, { recursive: true, force: true });
      await rename(temporary, dir);
      await pruneOld(shelf, inputs.subject, options.keep ?? 4);
      step.done(`built, because ${because}`);
      return { kind, key: short(key), dir, state: "built", because, manifest };
    } catch (error) {
      throw await nameFullDisk(error, shelf);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  } catch (error) {
    const named = asSuiteError(error);
    step.fail(named.message.split("\n")[0] ?? named.code);
    throw named;
  }
}

/** Manifests of whole entries on a shelf, newest first. */
export async function manifests(shelf: string): Promise<Manifest[]> {
  const names = (await readdir(shelf)).filter((name) => /^[0-9a-f]{16}$/.test(name));
  const read = await Promise.all(names.map((name) => readJson(join(shelf, name, MANIFEST), manifestSchema).catch(() => undefined)));
  return read.filter((manifest) => manifest !== undefined).sort((a, b) => (a.builtAt < b.builtAt ? 1 : -1));
}

async function reuse(kind: ArtifactKind, dir: string, manifest: Manifest, step: Step): Promise<Artifact> {
  const now = new Date();
  await utimes(dir, now, now).catch(() => undefined); // marks it used for the pruning; a read-only cache serves as well
  step.done("reused, same inputs");
  return { kind, key: short(manifest.key as `sha256:${string}`), dir, state: "reused", because: "same inputs", manifest };
}

async function lookUp(dir: string, key: string): Promise<{ manifest?: Manifest; fault?: string }> {
  const path = join(dir, MANIFEST);
  let manifest: Manifest;
  try {
    manifest = await readJson(path, manifestSchema);
  } catch (error) {
    const cause = error instanceof SuiteError ? error.cause : undefined;
    return (cause as NodeJS.ErrnoException | undefined)?.code === "ENOENT" ? {} : { fault: `the cache entry ${dir} was damaged: its manifest is unreadable` };
  }
  if (manifest.key !== key) return { fault: `the cache entry ${dir} was damaged: its manifest is of another build` };
  const faults = await Promise.all(manifest.outputs.map((output) => fault(dir, output)));
  const first = faults.find((found) => found !== undefined);
  return first === undefined ? { manifest } : { fault: `the cache entry ${dir} was damaged: ${first}` };
}

async function whyNotReused(shelf: string, inputs: Inputs): Promise<string> {
  const earlier = (await manifests(shelf)).find((manifest) => manifest.subject === inputs.subject);
  if (earlier === undefined) return "no earlier build of it is in the cache";
  const words = difference(earlier, { inputs: { ...inputs.inputs }, tools: { ...inputs.tools }, recipe: inputs.recipe });
  return words === "" ? "the cache entry is gone" : words;
}

/** What a killed build left: of the same key ours to remove, since we hold its lock; of others when no build can last that long. */
async function removeRests(shelf: string, name: string): Promise<void> {
  for (const entry of await readdir(shelf)) {
    if (!entry.startsWith(".")) continue;
    const path = join(shelf, entry);
    const forgotten = Date.now() - (await stat(path)).mtimeMs > FORGOTTEN_MS;
    if (forgotten || entry.startsWith(`.${name}-`)) await rm(path, { recursive: true, force: true });
  }
}

async function requireSpace(dir: string, needsBytes: number): Promise<void> {
  const free = await freeBytes(dir);
  if (free < needsBytes) throw new SuiteError("HOST_DISK_FULL", `${mib(free)} MiB are free for ${dir}, and the build needs ${mib(needsBytes)} MiB`);
}

async function nameFullDisk(error: unknown, dir: string): Promise<unknown> {
  const named = asSuiteError(error);
  const free = await freeBytes(dir);
  if (named.code !== "HOST_DISK_FULL" && free > FULL_BYTES) return error;
  return new SuiteError("HOST_DISK_FULL", `no space left for ${dir} (${mib(free)} MiB free)`, {
    cause: error,
    details: [named.message, named.details ?? ""].join("\n"),
  });
}

async function freeBytes(dir: string): Promise<number> {
  const info = await statfs(dir);
  return info.bavail * info.bsize;
}

function mib(bytes: number): number {
  return Math.floor(bytes / 1024 / 1024);
}
