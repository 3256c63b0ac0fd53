import { createRoute } from "@hono/zod-openapi";
import { streamSSE, type SSEStreamingApi } from "hono/streaming";
import { setTimeout as pause } from "node:timers/promises";
import { resolveRun } from "../../store/index.ts";
import type { Api, Centre } from "../centre.ts";
import { Tail } from "../live/tail.ts";
import type { Principal } from "../roles.ts";
import { json, runNameSchema, z } from "../schemas/common.ts";
import { liveStateSchema } from "../schemas/live.ts";
import { validToken } from "../tokens.ts";
import { guarded } from "./routes.ts";

const EVERY_MS = 300;
const HEARTBEAT_MS = 15_000;
/** The judge needs moments; a run that ended without one keeps nobody waiting. */
const VERDICT_WAIT_MS = 60_000;

/** Runs while they go on. `./buslab run` knows nothing of it: its folder is followed. */
export function liveRoutes(api: Api, centre: Centre): void {
  const runPath = z.object({ run: runNameSchema });

  api.openapi(
    createRoute({ method: "get", path: "/runs/{run}/live", summary: "What the records say so far", request: { params: runPath }, ...guarded("read", "live", { 200: json(liveStateSchema, "Counts, tests that run, kernel events, time to go") }) }),
    async (c) => c.json(await centre.live.state(await nameOf(centre, c.req.valid("param").run)), 200),
  );

  api.openapi(
    createRoute({
      method: "get",
      path: "/runs/{run}/events",
      summary: "Server-sent events of a run",
      description:
        "`what=progress`: an event `progress` (LiveState) at each change. `what=records`: an event `record` for each record of the run; its id is a place in the log, and a client that comes back with Last-Event-ID misses and repeats nothing. Both end with an event `end` when nothing more will come.",
      request: {
        params: runPath,
        query: z.object({ what: z.enum(["progress", "records"]).default("records") }),
        headers: z.object({ "last-event-id": z.string().regex(/^\d{1,15}$/, "Last-Event-ID is an id of this stream").optional() }),
      },
      ...guarded("read", "live", { 200: { description: "The stream", content: { "text/event-stream": { schema: z.string() } } } }),
    }),
    async (c) => {
      const run = await nameOf(centre, c.req.valid("param").run);
      await centre.live.state(run); // no such run: say so before the stream begins
      const from = Number(c.req.valid("header")["last-event-id"] ?? 0);
      const { what } = c.req.valid("query");
      const who = c.get("who");
      c.header("X-Accel-Buffering", "no");
      return streamSSE(c, async (stream) => {
        const aborted = new AbortController();
        stream.onAbort(() => aborted.abort());
        const signal = AbortSignal.any([centre.stop, aborted.signal]);
        await (what === "progress" ? sendProgress(centre, run, who, stream, signal) : sendRecords(centre, run, who, from, stream, signal));
      });
    },
  );
}

async function sendProgress(centre: Centre, run: string, who: Principal, stream: SSEStreamingApi, signal: AbortSignal): Promise<void> {
  let sent = "";
  await untilEnd(centre, run, who, stream, signal, async () => {
    const data = JSON.stringify(await centre.live.state(run));
    if (data === sent) return false;
    sent = data;
    await stream.writeSSE({ event: "progress", data });
    return true;
  });
}

async function sendRecords(centre: Centre, run: string, who: Principal, from: number, stream: SSEStreamingApi, signal: AbortSignal): Promise<void> {
  await using tail = new Tail(centre.live.records(run), from);
  await untilEnd(centre, run, who, stream, signal, async () => {
    const news = await tail.read();
    for (const { record, end } of news) await stream.writeSSE({ id: String(end), event: "record", data: JSON.stringify(record) });
    return news.length > 0;
  });
}

/** @param step sends what is new; true when there was something */
async function untilEnd(centre: Centre, run: string, who: Principal, stream: SSEStreamingApi, signal: AbortSignal, step: () => Promise<boolean>): Promise<void> {
  let heartbeatMs = performance.now();
  let overMs: number | null = null;
  while (!signal.aborted) {
    const busy = await step();
    const now = performance.now();
    if (!busy) {
      const { state } = await centre.live.state(run);
      if (state === "over") overMs ??= now;
      const judged = state !== "running" && (await centre.live.hasVerdict(run));
      if (judged || state === "abandoned" || (overMs !== null && now - overMs > VERDICT_WAIT_MS)) {
        // What came between the last look and the end.
        while (await step()) continue;
        await stream.writeSSE({ event: "end", data: JSON.stringify({ run, state, judged }) });
        return;
      }
      await pause(EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
    if (now - heartbeatMs > HEARTBEAT_MS) {
      heartbeatMs = now;
      // A stream outlives the check at its beginning.
      if (who.token !== null && (await validToken(centre.db, who.token)) === null) return;
      await stream.write(": still here\n\n");
    }
  }
}

/** A run that goes on may not be in the database yet. */
async function nameOf(centre: Centre, name: string): Promise<string> {
  return name === "latest" || name === "previous" ? resolveRun(centre.db, name) : name;
}
