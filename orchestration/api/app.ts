import { OpenAPIHono } from "@hono/zod-openapi";
import { bodyLimit } from "hono/body-limit";
import { compress } from "hono/compress";
import { SuiteError } from "../base/errors.ts";
import { COOKIE, identify } from "./auth.ts";
import type { Api, Centre, Env } from "./centre.ts";
import { fileRoutes } from "./handlers/files.ts";
import { liveRoutes } from "./handlers/live.ts";
import { runRoutes } from "./handlers/runs.ts";
import { sessionRoutes } from "./handlers/session.ts";
import { tokenRoutes } from "./handlers/tokens.ts";
import { tooLarge, uploadRoutes } from "./handlers/uploads.ts";
import { viewRoutes } from "./handlers/views.ts";
import { refuse } from "./problems.ts";
import { headers, knownHost, ownOrigin, sandboxed } from "./security.ts";

const API = "/api/v1";
/** Of everything but the contents of runs. A manifest of twenty thousand files has 6 MiB. */
const BODY_BYTES = 8 * 1024 * 1024;

/** The whole of the centre as one function from request to response; it opens no socket. */
export function createApp(centre: Centre): Api {
  const app = newRouter();
  app.use(sandboxed, headers, knownHost(centre));
  app.use(compress());
  app.route(API, createApi(centre));
  app.get("*", async (c) => {
    const { pathname } = new URL(c.req.url);
    if (pathname.startsWith("/api/")) throw new SuiteError("NOTHING_THERE", `there is nothing at ${pathname.slice(0, 200)}; ${API}/openapi.json tells what there is`);
    const { body, type, immutable } = await centre.dashboard.file(pathname);
    return c.body(body, 200, { "Content-Type": type, "Cache-Control": immutable ? "public, max-age=31536000, immutable" : "no-cache" });
  });
  return withRefusals(app, centre);
}

function createApi(centre: Centre): Api {
  const api = newRouter();
  api.use(async (c, next) => {
    c.header("Cache-Control", "no-store");
    await next();
  });
  api.use(identify(centre), ownOrigin);
  const limit = bodyLimit({ maxSize: BODY_BYTES, onError: () => tooLarge(BODY_BYTES) });
  api.use((c, next) => (c.req.method === "PUT" ? next() : limit(c, next)));
  sessionRoutes(api, centre);
  runRoutes(api, centre);
  liveRoutes(api, centre);
  fileRoutes(api, centre);
  viewRoutes(api, centre);
  uploadRoutes(api, centre);
  tokenRoutes(api, centre);
  api.openAPIRegistry.registerComponent("securitySchemes", "token", { type: "http", scheme: "bearer", description: "`./buslab token create` makes one" });
  api.openAPIRegistry.registerComponent("securitySchemes", "session", { type: "apiKey", in: "cookie", name: COOKIE, description: "What POST /session sets" });
  api.doc31("/openapi.json", {
    openapi: "3.1.0",
    info: { title: "buslab results centre", version: "1", description: "Runs of the conformance suite: kept, seen, compared. It shows stored verdicts and computes none.", license: { name: "GPL-2.0-only" } },
    servers: [{ url: API }],
  });
  return withRefusals(api, centre);
}

function newRouter(): Api {
  return new OpenAPIHono<Env>({
    defaultHook: (result) => {
      if (result.success) return;
      const issue = result.error.issues[0];
      throw new SuiteError("USAGE", `${result.target} ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "has the wrong shape"}`);
    },
  });
}

function withRefusals(router: Api, centre: Centre): Api {
  router.onError((error, c) => refuse(error, c, centre.log));
  router.notFound((c) => refuse(new SuiteError("NOTHING_THERE", `there is nothing at ${c.req.method} ${c.req.path.slice(0, 200)}`), c, centre.log));
  return router;
}
