import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mkdir } from "node:fs/promises";
import { digestOf } from "../base/digest.ts";
import { SuiteError } from "../base/errors.ts";
import { homeDir } from "../base/paths.ts";
import { refusalOf } from "./refusal.ts";

/** The kernel takes no longer names of sockets. */
const MOST_CHARS = 100;

/** Where the centre of this home listens for commands of its owner. */
export async function socketPath(): Promise<string> {
  const path = join(homeDir(), "serve.sock");
  if (path.length <= MOST_CHARS) return path;
  const dir = join(tmpdir(), `buslab-${process.getuid?.() ?? 0}`);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  return join(dir, `${digestOf(path).slice(7, 23)}.sock`);
}

/**
 * Asks the centre that runs on this home, which then is the one process that may open the database.
 * @returns null when none runs
 * @throws what the centre refuses with
 */
export async function askLocalCentre<T>(method: "GET" | "POST" | "DELETE", path: string, body?: unknown): Promise<T | null> {
  const answer = await send(await socketPath(), method, `/api/v1${path}`, body);
  if (answer === null) return null;
  if (answer.status >= 300) throw refusalOf(answer.status, answer.text);
  return JSON.parse(answer.text) as T;
}

/** True while a centre runs on this home. */
export async function centreRuns(): Promise<boolean> {
  return (await askLocalCentre("GET", "/session").catch(() => null)) !== null;
}

function send(socket: string, method: string, path: string, body: unknown): Promise<{ status: number; text: string } | null> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: socket, method, path, headers: { host: "localhost", ...(body === undefined ? {} : { "content-type": "application/json" }) } }, (answer) => {
      const parts: Buffer[] = [];
      answer.on("data", (part: Buffer) => parts.push(part));
      answer.on("end", () => resolve({ status: answer.statusCode ?? 500, text: Buffer.concat(parts).toString("utf8") }));
    });
    asked.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ECONNREFUSED") resolve(null);
      else reject(new SuiteError("CENTRE_FAILED", `the results centre behind ${socket} does not answer: ${error.message}`, { cause: error }));
    });
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
