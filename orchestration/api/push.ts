import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { basename, join, relative, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { digestFile } from "../base/digest.ts";
import { SuiteError } from "../base/errors.ts";
import { readJson } from "../base/json-file.ts";
import { verdictSchema } from "../record/verdict.ts";
import { refusalOf } from "./refusal.ts";
import { CHUNK_BYTES, chunkAnswerSchema, finishedSchema, KEPT_PATH, uploadSchema, type Finished, type UploadFile, type UploadManifest } from "./schemas/uploads.ts";

const TRIES = 5;
const ROUNDS = 3;
const FIRST_PAUSE_MS = 300;
const ANSWER_MS = 120_000;

export interface PushOptions {
  readonly runDir: string;
  /** Of the centre, without /api/v1. */
  readonly url: string;
  readonly token: string;
  readonly onProgress: (message: string, fraction: number) => void;
  readonly signal: AbortSignal;
}

export interface Pushed extends Finished {
  /** Bytes that had to be sent. */
  readonly sent: number;
  readonly bytes: number;
  readonly files: number;
  /** What is in the folder and stays there. */
  readonly leftOut: readonly string[];
}

/**
 * Sends a finished run to a results centre. What is there already is not sent again, so a push that was cut off is begun
 * again with the same command, and one that was not needed sends nothing.
 * @throws USAGE | FILE_INVALID | TOKEN_NEEDED | TOKEN_REFUSED | UPLOAD_CONFLICT | CENTRE_FAILED
 */
export async function pushRun(options: PushOptions): Promise<Pushed> {
  const centre = new CentreClient(options);
  options.onProgress("computing digests", 0);
  const { manifest, leftOut } = await manifestOf(options.runDir);
  const bytes = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
  const told = { bytes, files: manifest.files.length, leftOut };
  let sent = 0;
  for (let round = 1; ; round += 1) {
    try {
      const { verdict, more } = await sendOnce(options, centre, manifest, (now) => options.onProgress("sending", (sent + now) / Math.max(1, bytes)));
      return { run: manifest.run, state: "done", verdict, sent: sent + more, ...told };
    } catch (error) {
      // Another sender of the same run finished it meanwhile; beginning again then finds it there.
      if (!(error instanceof SuiteError) || error.code !== "NOTHING_THERE" || round === ROUNDS) throw error;
      sent = 0;
    }
  }
}

async function sendOnce(options: PushOptions, centre: CentreClient, manifest: UploadManifest, onProgress: (sent: number) => void): Promise<{ verdict: string | null; more: number }> {
  const { upload, missing, state } = await centre.json("POST", "/uploads", uploadSchema, manifest);
  // The centre compared the digests, so its verdict is the one that lies here.
  if (state === "done") return { verdict: (await readJson(join(options.runDir, "verdict.json"), verdictSchema)).verdict, more: 0 };
  const byDigest = new Map(manifest.files.map((file) => [file.digest, file]));
  let sent = 0;
  for (const { digest, offset } of missing) {
    const file = byDigest.get(digest);
    if (file === undefined) throw new SuiteError("CENTRE_FAILED", `the centre asks for ${digest}, which the run does not have`);
    sent += await sendFile(centre, upload, join(options.runDir, file.path), file, offset, (now) => onProgress(sent + now));
  }
  const done = await centre.json("POST", `/uploads/${upload}/finish`, finishedSchema);
  return { verdict: done.verdict, more: sent };
}

/** Names, sizes and digests of what is sent. @throws FILE_INVALID when the run is not finished */
async function manifestOf(runDir: string): Promise<{ manifest: UploadManifest; leftOut: string[] }> {
  const files: UploadFile[] = [];
  const leftOut: string[] = [];
  for (const entry of await readdir(runDir, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = relative(runDir, path);
    if (entry.isDirectory()) continue;
    if (!entry.isFile() || !KEPT_PATH.test(name)) leftOut.push(name);
    else files.push({ path: name, bytes: (await stat(path)).size, digest: await digestFile(path) });
  }
  for (const needed of ["plan.json", "records.jsonl", "verdict.json"]) {
    if (!files.some((file) => file.path === needed)) throw new SuiteError("FILE_INVALID", `${runDir} has no ${needed}; only finished runs are sent`);
  }
  return { manifest: { run: basename(resolve(runDir)), files: files.sort((a, b) => (a.path < b.path ? -1 : 1)) }, leftOut };
}

/** @returns bytes sent; another sender of the same run may have sent the rest */
async function sendFile(centre: CentreClient, upload: string, path: string, file: UploadFile, from: number, onProgress: (sent: number) => void): Promise<number> {
  let [offset, sent] = [from, 0];
  while (offset < file.bytes) {
    const chunk = await readChunk(path, offset);
    if (chunk.length === 0) throw new SuiteError("FILE_INVALID", `${path} became shorter while it was sent`);
    const answer = await centre.json("PUT", `/uploads/${upload}/contents/${file.digest}?offset=${offset}`, chunkAnswerSchema, chunk);
    sent += answer.taken ? chunk.length : 0;
    onProgress(sent);
    if (answer.complete) break;
    offset = answer.offset;
  }
  return sent;
}

async function readChunk(path: string, offset: number): Promise<Buffer<ArrayBuffer>> {
  const parts: Buffer[] = [];
  for await (const part of createReadStream(path, { start: offset, end: offset + CHUNK_BYTES - 1 })) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** Requests that are tried again when the line breaks or the centre is restarted: every one of them may be repeated. */
class CentreClient {
  private readonly options: PushOptions;
  private readonly base: string;

  constructor(options: PushOptions) {
    this.options = options;
    let url: URL;
    try {
      url = new URL(options.url);
    } catch (error) {
      throw new SuiteError("USAGE", `--to "${options.url}" is no address; it looks like http://127.0.0.1:8420`, { cause: error });
    }
    if (url.protocol !== "http:" && url.protocol !== "https:") throw new SuiteError("USAGE", `--to "${options.url}" is neither http nor https`);
    this.base = `${url.origin}${url.pathname.replace(/\/+$/, "")}/api/v1`;
  }

  async json<T>(method: "POST" | "PUT", path: string, schema: z.ZodType<T>, body?: unknown): Promise<T> {
    const raw = body instanceof Uint8Array;
    const type: Record<string, string> = body === undefined ? {} : { "content-type": raw ? "application/octet-stream" : "application/json" };
    const payload = body === undefined ? {} : { body: raw ? (body as Uint8Array<ArrayBuffer>) : JSON.stringify(body) };
    let last = "";
    for (let attempt = 0; attempt < TRIES; attempt += 1) {
      if (attempt > 0) await pause(FIRST_PAUSE_MS * 2 ** attempt, undefined, { signal: this.options.signal });
      const answer = await fetch(this.base + path, { method, headers: { authorization: `Bearer ${this.options.token}`, ...type }, ...payload, signal: AbortSignal.any([this.options.signal, AbortSignal.timeout(ANSWER_MS)]) }).catch((error: unknown) => {
        this.options.signal.throwIfAborted();
        last = error instanceof Error ? (error.cause instanceof Error ? error.cause.message : error.message) : String(error);
        return null;
      });
      if (answer === null) continue;
      const text = await answer.text().catch(() => "");
      if (answer.status >= 500) last = `it answered ${answer.status}: ${text.slice(0, 200)}`;
      else if (!answer.ok) throw refusalOf(answer.status, text);
      else return read(schema, text, this.base + path);
    }
    throw new SuiteError("CENTRE_FAILED", `the results centre at ${this.options.url} did not answer ${TRIES} times: ${last}`);
  }
}

function read<T>(schema: z.ZodType<T>, text: string, url: string): T {
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    throw new SuiteError("CENTRE_FAILED", `what answers at ${url} is no results centre`, { cause: error });
  }
}
