import { join } from "node:path";
import { ingestRun } from "../../store/ingest.ts";
import type { Database } from "../../store/schema.ts";
import { createApp } from "../app.ts";
import { BuiltDashboard, buildDashboard } from "../dashboard-files.ts";
import { close, listenTcp } from "../listen.ts";
import { LiveRuns } from "../live/live-runs.ts";
import { Sessions } from "../sessions.ts";
import { Uploads } from "../uploads/uploads.ts";

const GRACE_MS = 500;

/** API and dashboard over an open database, on a free port of the loopback. @param home a folder for uploads; run folders lie in its `runs` */
export async function serveDatabase(db: Database, home: string, options: { readonly publicRead: boolean }): Promise<{ readonly url: string } & AsyncDisposable> {
  await using scope = new AsyncDisposableStack();
  const stop = new AbortController();
  const runsDir = join(home, "runs");
  const live = new LiveRuns(runsDir);
  scope.defer(() => live.close());
  const app = createApp({
    db, runsDir, live, uploads: new Uploads(join(home, "uploads"), runsDir, async (id) => void (await ingestRun(db, id, join(runsDir, id)))), sessions: new Sessions(),
    dashboard: new BuiltDashboard(buildDashboard()), publicRead: options.publicRead, behindTls: false, hostNames: null, stop: stop.signal, log: (line) => process.stderr.write(`${line}\n`),
  }); // prettier-ignore
  const { server, url } = await listenTcp(app, { host: "127.0.0.1", port: 0 });
  scope.defer(() => close(server, GRACE_MS));
  scope.defer(() => stop.abort());
  const owned = scope.move();
  return { url, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
