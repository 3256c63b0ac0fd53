import type { MiddlewareHandler } from "hono";
import { secureHeaders } from "hono/secure-headers";
import { SuiteError } from "../base/errors.ts";
import { isOwner, type Centre, type Env } from "./centre.ts";

const SAFE = new Set(["GET", "HEAD", "OPTIONS"]);

/** Scripts, styles and pictures come from this server alone, nothing is inline, and no other page may frame it. */
export const headers: MiddlewareHandler<Env> = secureHeaders({
  contentSecurityPolicy: { defaultSrc: ["'self'"], frameAncestors: ["'none'"], baseUri: ["'none'"], formAction: ["'self'"], objectSrc: ["'none'"] },
  xFrameOptions: "DENY",
  referrerPolicy: "same-origin",
  crossOriginResourcePolicy: "same-origin",
  // Whether there is TLS is known to the proxy in front, which sets this header where it is right.
  strictTransportSecurity: false,
});

/** Files of runs were written by guests: they may load and run nothing. Comes around {@link headers}, so that it has the last word. */
export const sandboxed: MiddlewareHandler<Env> = async (c, next) => {
  await next();
  if (/\/runs\/[^/]+\/file$/.test(c.req.path)) c.header("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'");
};

/**
 * Refuses names that are not this centre's: a page of somebody else could point a name of its own at a loopback address
 * and read what only this host should.
 */
export function knownHost(centre: Centre): MiddlewareHandler<Env> {
  return async (c, next) => {
    const host = new URL(c.req.url).hostname.replace(/^\[|\]$/g, "");
    if (centre.hostNames !== null && !isOwner(c.env) && !centre.hostNames.includes(host)) {
      throw new SuiteError("USAGE", `this centre is not called "${host.slice(0, 100)}"; start it with --name to allow that`);
    }
    await next();
  };
}

/**
 * A browser adds the cookie to requests of any page. SameSite=Strict keeps other sites' out; this keeps out the rest,
 * other ports of the same host among them: a request that changes something and relies on the cookie, or asks for one,
 * must come from our own origin.
 */
export const ownOrigin: MiddlewareHandler<Env> = async (c, next) => {
  const origin = c.req.header("origin");
  const site = c.req.header("sec-fetch-site");
  const foreign = (origin !== undefined && !sameHost(origin, c.req.header("host"))) || (site !== undefined && site !== "same-origin" && site !== "none");
  const byCookie = c.get("who").by === "cookie";
  if (!SAFE.has(c.req.method) && (foreign || (byCookie && origin === undefined))) {
    throw new SuiteError("TOKEN_REFUSED", `the request comes from ${origin?.slice(0, 100) ?? "an unnamed page"}, not from this centre's own pages`);
  }
  await next();
};

function sameHost(origin: string, host: string | undefined): boolean {
  try {
    return host !== undefined && new URL(origin).host === host;
  } catch {
    return false;
  }
}
