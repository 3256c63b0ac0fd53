import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ingestRun } from "../../store/ingest.ts";
import { migrate } from "../../store/migrate.ts";
import { openPglite } from "../../store/pglite.ts";
import { createApp } from "../app.ts";
import type { Api, Centre } from "../centre.ts";
import type { Dashboard } from "../dashboard-files.ts";
import { LiveRuns } from "../live/live-runs.ts";
import type { Role } from "../roles.ts";
import { Sessions } from "../sessions.ts";
import { createToken } from "../tokens.ts";
import { Uploads } from "../uploads/uploads.ts";
import { ResponseCheck } from "./response-check.ts";

export interface Asked {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON, whatever it is. */
  readonly body: unknown;
}

export interface AskOptions {
  readonly method?: string;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly bytes?: Uint8Array<ArrayBuffer>;
  readonly owner?: boolean;
}

export interface TestCentre extends AsyncDisposable {
  readonly centre: Centre;
  readonly app: Api;
  readonly home: string;
  readonly logged: string[];
  /** Sends a request without a socket and holds the answer against the OpenAPI document. @param path below /api/v1 */
  ask(path: string, options?: AskOptions): Promise<Asked>;
  token(role: Role, expiresAt?: Date): Promise<string>;
}

const NO_DASHBOARD: Dashboard = { file: () => Promise.resolve({ body: new TextEncoder().encode("<!doctype html><title>page</title>"), type: "text/html; charset=utf-8", immutable: false }) };

export async function openTestCentre(changes: Partial<Centre> = {}): Promise<TestCentre> {
  const home = await mkdtemp(join(tmpdir(), "buslab-centre-"));
  const store = await openPglite(join(home, "db"));
  await migrate(store.db);
  const runsDir = join(home, "runs");
  const logged: string[] = [];
  const stop = new AbortController();
  const live = new LiveRuns(runsDir);
  const centre: Centre = {
    db: store.db, runsDir, live,
    uploads: new Uploads(join(home, "uploads"), runsDir, async (run) => void (await ingestRun(store.db, run, join(runsDir, run)))),
    sessions: new Sessions(), dashboard: NO_DASHBOARD, publicRead: true, behindTls: false, hostNames: ["localhost"], stop: stop.signal, log: (line) => logged.push(line), ...changes,
  }; // prettier-ignore
  const app = createApp(centre);
  const check = new ResponseCheck(await (await app.request("http://localhost/api/v1/openapi.json")).json());
  return {
    centre, app, home, logged,
    async ask(path, options = {}) {
      const headers = new Headers(options.headers);
      if (options.token !== undefined) headers.set("authorization", `Bearer ${options.token}`);
      if (options.json !== undefined) headers.set("content-type", "application/json");
      const body = options.bytes ?? (options.json === undefined ? undefined : JSON.stringify(options.json));
      const method = options.method ?? "GET";
      const answer = await app.request(`http://localhost/api/v1${path}`, { method, headers, ...(body === undefined ? {} : { body }) }, options.owner === true ? { owner: true } : {});
      const text = await answer.text();
      const problem = check.problemOf(method, path, answer.status, answer.headers.get("content-type") ?? "", text);
      assert.equal(problem, null, `${method} ${path} answered ${answer.status}: ${problem ?? ""}`);
      return { status: answer.status, headers: answer.headers, text, body: text.startsWith("{") ? (JSON.parse(text) as unknown) : null };
    },
    async token(role, expiresAt) {
      return (await createToken(store.db, { name: `a ${role}`, role, expiresAt: expiresAt ?? null })).token;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await live.close();
      await store[Symbol.asyncDispose]();
      await rm(home, { recursive: true, force: true });
    },
  }; // prettier-ignore
}
