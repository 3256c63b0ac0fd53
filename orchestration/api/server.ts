import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { asSuiteError, SuiteError } from "../base/errors.ts";
import { homeDir, runsDir } from "../base/paths.ts";
import { describeWaiver, readWaivers } from "../../ci/policy/waivers.ts";
import { ingestRun } from "../store/ingest.ts";
import { openStore, storeWaivers, type Store } from "../store/index.ts";
import type { Database } from "../store/schema.ts";
import { createApp } from "./app.ts";
import type { Centre } from "./centre.ts";
import { BuiltDashboard, buildDashboard, type Dashboard } from "./dashboard-files.ts";
import { Keeper } from "./keeper.ts";
import { close, hostNames, listenSocket, listenTcp, type Address } from "./listen.ts";
import { LiveRuns } from "./live/live-runs.ts";
import { socketPath } from "./local.ts";
import { Sessions } from "./sessions.ts";
import { Uploads } from "./uploads/uploads.ts";

const GRACE_MS = 5_000;

export interface ServeOptions {
  readonly address: Address;
  readonly publicRead: boolean;
  readonly names: readonly string[];
  readonly behindTls: boolean;
  readonly waiversFile: string;
  readonly log: (line: string) => void;
  /** Called once requests are answered. */
  readonly onReady: (ready: { readonly url: string; readonly store: string; readonly tokens: number }) => void;
  readonly signal: AbortSignal;
}

/**
 * Runs the results centre until the signal: one process that owns the database, follows the run folders and answers.
 * @throws LISTEN_FAILED | STORE_LOCKED | STORE_FAILED | FILE_INVALID
 */
export async function serveCentre(options: ServeOptions): Promise<void> {
  await using scope = new AsyncDisposableStack();
  await mkdir(runsDir(), { recursive: true });
  const store: Store = scope.use(await openStore());
  const { db } = store;
  const waivers = await readWaivers(options.waiversFile);
  await storeWaivers(db, waivers.rows.map((row) => ({ ...row, text: describeWaiver(row) })));
  const keeper = scope.use(new Keeper(db, runsDir(), options.log));
  const live = new LiveRuns(runsDir());
  scope.defer(() => live.close());
  const uploads = new Uploads(join(homeDir(), "uploads"), runsDir(), (run) => storeRun(db, run));
  await uploads.sweep();
  const app = createApp({
    db, runsDir: runsDir(), live, uploads,
    sessions: new Sessions(),
    dashboard: builtInBackground(options.log),
    publicRead: options.publicRead,
    behindTls: options.behindTls,
    hostNames: hostNames(options.address, options.names),
    stop: options.signal,
    log: options.log,
  } satisfies Centre); // prettier-ignore

  const { server, url } = await listenTcp(app, options.address);
  scope.defer(() => close(server, GRACE_MS));
  const path = await socketPath();
  // Left over from a centre that was killed; a living one would hold the lock of the database, or of its address.
  await rm(path, { force: true });
  const local = await listenSocket(app, path);
  scope.defer(() => close(local, GRACE_MS));
  keeper.start();
  const { n } = await db.selectFrom("token").select((eb) => eb.fn.countAll<number>().as("n")).where("revoked_at", "is", null).executeTakeFirstOrThrow();
  options.onReady({ url, store: store.where, tokens: n });
  const asked = new Promise<"asked">((resolve) => (options.signal.aborted ? resolve("asked") : options.signal.addEventListener("abort", () => resolve("asked"), { once: true })));
  if ((await Promise.race([asked, keeper.gone])) !== "asked") throw new SuiteError("STORE_FAILED", `the folder of runs ${runsDir()} was removed while the results centre ran on it`);
}

async function storeRun(db: Database, run: string): Promise<void> {
  await ingestRun(db, run, join(runsDir(), run));
}

/** The first start after a change builds it, which takes moments; requests for it wait that long. */
function builtInBackground(log: (line: string) => void): Dashboard {
  const built = buildDashboard();
  built.catch((error: unknown) => log(asSuiteError(error).message));
  return new BuiltDashboard(built);
}
