import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { digestFile, digestJson } from "../../base/digest.ts";
import { SuiteError } from "../../base/errors.ts";
import { readJson, writeJson } from "../../base/json-file.ts";
import type { ChunkAnswer, Upload, UploadFile, UploadManifest } from "../schemas/uploads.ts";
import { manifestSchema, MOST_BYTES } from "../schemas/uploads.ts";
import { checkContent, layOut, type Uploader } from "./content.ts";

/** An upload nobody went on with. */
const STALE_MS = 7 * 24 * 60 * 60_000;
const NEEDED = ["plan.json", "records.jsonl", "verdict.json"];

/**
 * Runs on their way in. Contents wait in a folder of the upload, named by digest; the upload is named by run and manifest,
 * so the same run sent twice, one after the other or at once, is one upload. The run appears among the others in one
 * rename, whole and checked.
 */
export class Uploads {
  private readonly dir: string;
  private readonly runsDir: string;
  private readonly store: (run: string) => Promise<void>;
  /** One change at a time per upload. */
  private readonly turns = new Map<string, Promise<unknown>>();

  /** @param store copies a run folder into the database; the answer to the sender waits for it */
  constructor(dir: string, runsDir: string, store: (run: string) => Promise<void>) {
    this.dir = dir;
    this.runsDir = runsDir;
    this.store = store;
  }

  async begin(given: UploadManifest): Promise<Upload> {
    const manifest = sorted(given);
    checkManifest(manifest);
    const upload = `${manifest.run}.${digestJson(manifest).slice(7, 23)}`;
    return this.inTurn(upload, async () => {
      if (await this.isThere(manifest)) return { upload, run: manifest.run, state: "done", missing: [] };
      await mkdir(join(this.dir, upload, "blobs"), { recursive: true });
      await writeJson(join(this.dir, upload, "manifest.json"), manifest);
      return { upload, run: manifest.run, state: "open", missing: await this.missing(upload, manifest) };
    });
  }

  /** Takes the bytes if they follow what is there; tells where to go on in any case. @throws FILE_INVALID when the whole has another digest */
  async append(upload: string, digest: string, offset: number, chunk: Uint8Array): Promise<ChunkAnswer> {
    return this.inTurn(upload, async () => {
      const file = (await this.manifest(upload)).files.find((each) => each.digest === digest);
      if (file === undefined) throw new SuiteError("NOTHING_THERE", `the manifest of upload ${upload} has no content ${digest}`);
      const path = this.blob(upload, digest);
      const size = await sizeOf(path);
      if (size !== null) return { taken: false, offset: size, complete: true };
      const there = (await sizeOf(`${path}.part`)) ?? 0;
      if (offset !== there) return { taken: false, offset: there, complete: false };
      if (there + chunk.length > file.bytes) throw new SuiteError("USAGE", `${digest} has ${file.bytes} bytes by the manifest, these would make it ${there + chunk.length}`);
      await appendSynced(`${path}.part`, chunk);
      const complete = there + chunk.length === file.bytes;
      if (complete) await this.accept(path, digest);
      return { taken: true, offset: there + chunk.length, complete };
    });
  }

  /** Checks the contents against each other and puts the run among the others. Doing it again changes nothing. */
  async finish(upload: string, by: Uploader): Promise<{ run: string }> {
    return this.inTurn(upload, async () => {
      const manifest = await this.manifest(upload);
      const { run } = manifest;
      if (!(await this.isThere(manifest))) {
        const missing = await this.missing(upload, manifest);
        if (missing.length > 0) throw new SuiteError("UPLOAD_CONFLICT", `${missing.length} contents of run ${run} are not there yet, first ${missing[0]?.digest ?? ""}`);
        const made = join(this.dir, upload, run);
        await layOut(made, manifest, (digest) => this.blob(upload, digest), by);
        await checkContent(made, run);
        await mkdir(this.runsDir, { recursive: true });
        await rename(made, join(this.runsDir, run)).catch(async (error: unknown) => {
          if (!(await this.isThere(manifest))) throw error;
        });
      }
      await this.store(run);
      await rm(join(this.dir, upload), { recursive: true, force: true });
      return { run };
    });
  }

  /** Removes what was begun long ago and never finished. */
  async sweep(now: number = Date.now()): Promise<void> {
    for (const name of await readdir(this.dir).catch(() => [])) {
      const age = now - ((await stat(join(this.dir, name, "manifest.json")).catch(() => null))?.mtimeMs ?? 0);
      if (age > STALE_MS) await rm(join(this.dir, name), { recursive: true, force: true });
    }
  }

  /** True when the centre has this very run. @throws UPLOAD_CONFLICT when it has another one of this name */
  private async isThere(manifest: UploadManifest): Promise<boolean> {
    const dir = join(this.runsDir, manifest.run);
    if ((await stat(dir).catch(() => null)) === null) return false;
    // Evidence may have been pruned since; what the verdict rests on never is.
    for (const file of manifest.files.filter((each) => NEEDED.includes(each.path))) {
      const found = await digestFile(join(dir, file.path)).catch(() => null);
      if (found !== file.digest) throw new SuiteError("UPLOAD_CONFLICT", `the centre has a run ${manifest.run} whose ${file.path} is ${found ?? "missing"}, not ${file.digest}`);
    }
    return true;
  }

  private async missing(upload: string, manifest: UploadManifest): Promise<{ digest: string; offset: number }[]> {
    const missing: { digest: string; offset: number }[] = [];
    for (const { digest, bytes } of new Map(manifest.files.map((file) => [file.digest, file])).values()) {
      const path = this.blob(upload, digest);
      if ((await sizeOf(path)) !== null) continue;
      if (bytes === 0) await appendSynced(`${path}.part`, new Uint8Array());
      if (bytes === 0) await this.accept(path, digest);
      else missing.push({ digest, offset: (await sizeOf(`${path}.part`)) ?? 0 });
    }
    return missing;
  }

  private async accept(path: string, digest: string): Promise<void> {
    const found = await digestFile(`${path}.part`);
    if (found === digest) return rename(`${path}.part`, path);
    await rm(`${path}.part`, { force: true });
    throw new SuiteError("FILE_INVALID", `what arrived as ${digest} is ${found}; send it again from its first byte`);
  }

  private async manifest(upload: string): Promise<UploadManifest> {
    const path = join(this.dir, upload, "manifest.json");
    if ((await sizeOf(path)) === null) throw new SuiteError("NOTHING_THERE", `there is no open upload ${upload}; begin it again`);
    return readJson(path, manifestSchema);
  }

  private blob(upload: string, digest: string): string {
    return join(this.dir, upload, "blobs", digest.slice(7));
  }

  private async inTurn<T>(upload: string, work: () => Promise<T>): Promise<T> {
    const mine = (this.turns.get(upload) ?? Promise.resolve()).then(work, work);
    this.turns.set(upload, mine);
    try {
      return await mine;
    } finally {
      if (this.turns.get(upload) === mine) this.turns.delete(upload);
    }
  }
}

/** Name of the token that brought a run; null for runs that were made here. */
export async function uploaderOf(runDir: string): Promise<string | null> {
  const text = await readFile(join(runDir, "upload.json"), "utf8").catch(() => null);
  return text === null ? null : (JSON.parse(text) as { by: string }).by;
}

function sorted(manifest: UploadManifest): UploadManifest {
  return { run: manifest.run, files: [...manifest.files].sort((a, b) => (a.path < b.path ? -1 : 1)).map(({ path, bytes, digest }) => ({ path, bytes, digest })) };
}

function checkManifest({ files }: UploadManifest): void {
  const paths = new Set(files.map((file) => file.path));
  if (paths.size !== files.length) throw new SuiteError("USAGE", "the manifest names a path twice");
  for (const needed of NEEDED) if (!paths.has(needed)) throw new SuiteError("USAGE", `the manifest has no ${needed}; only finished runs are taken`);
  const under = files.find((file) => parents(file).some((folder) => paths.has(folder)));
  if (under !== undefined) throw new SuiteError("USAGE", `${under.path} lies in something that is itself a file of the manifest`);
  const sizes = new Map<string, number>();
  for (const { digest, bytes } of files) {
    if ((sizes.get(digest) ?? bytes) !== bytes) throw new SuiteError("USAGE", `the manifest gives ${digest} two sizes`);
    sizes.set(digest, bytes);
  }
  const total = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  if (total > MOST_BYTES) throw new SuiteError("USAGE", `the run has ${total} bytes, at most ${MOST_BYTES} are taken`);
}

function parents({ path }: UploadFile): string[] {
  const parts = path.split("/");
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("/"));
}

async function sizeOf(path: string): Promise<number | null> {
  return (await stat(path).catch(() => null))?.size ?? null;
}

async function appendSynced(path: string, chunk: Uint8Array): Promise<void> {
  const file = await open(path, "a");
  try {
    await file.writeFile(chunk);
    await file.datasync();
  } finally {
    await file.close();
  }
}
