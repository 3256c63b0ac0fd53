import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Database } from "../store/schema.ts";
import type { Dashboard } from "./dashboard-files.ts";
import type { LiveRuns } from "./live/live-runs.ts";
import type { Principal } from "./roles.ts";
import type { Sessions } from "./sessions.ts";
import type { Uploads } from "./uploads/uploads.ts";

/** Everything the handlers work with; tests give their own. */
export interface Centre {
  readonly db: Database;
  /** Folder with a folder a run. */
  readonly runsDir: string;
  readonly live: LiveRuns;
  readonly uploads: Uploads;
  readonly sessions: Sessions;
  readonly dashboard: Dashboard;
  /** True when reading needs no token. */
  readonly publicRead: boolean;
  /** True behind a proxy that speaks TLS: cookies then never travel in the clear. */
  readonly behindTls: boolean;
  /** Host names that browsers may use for this centre; null where any may. */
  readonly hostNames: readonly string[] | null;
  /** Ends with the server; streams watch it. */
  readonly stop: AbortSignal;
  readonly log: (line: string) => void;
}

export interface Env {
  /** `owner`: the request came by the socket in BUSLAB_HOME. */
  Bindings: { owner?: boolean };
  Variables: { who: Principal };
}

/** True for requests of the owner's socket. Whoever calls the application as a function need not say where from. */
export function isOwner(env: Env["Bindings"] | undefined): boolean {
  return env?.owner === true;
}

export type Api = OpenAPIHono<Env>;
