import type { Context, MiddlewareHandler } from "hono";
import { getCookie } from "hono/cookie";
import { SuiteError } from "../base/errors.ts";
import { isOwner, type Centre, type Env } from "./centre.ts";
import { ANONYMOUS_READER, mayAs, OWNER, type Principal, type Role } from "./roles.ts";
import { findToken, validToken } from "./tokens.ts";

export const COOKIE = "buslab_session";
const NOBODY: Principal = { token: null, name: "nobody", role: "read", by: "nothing" };

/** Finds out who sends each request. A wrong token is refused even where none is needed: its sender believes to be somebody. */
export function identify(centre: Centre): MiddlewareHandler<Env> {
  return async (c, next) => {
    c.set("who", await principalOf(c, centre));
    await next();
  };
}

async function principalOf(c: Context<Env>, centre: Centre): Promise<Principal> {
  if (isOwner(c.env)) return OWNER;
  const header = c.req.header("authorization");
  if (header !== undefined) {
    const text = /^Bearer ([\w-]{20,200})$/i.exec(header)?.[1];
    const row = text === undefined ? null : await findToken(centre.db, text);
    if (row === null) throw new SuiteError("TOKEN_NEEDED", "the token given is unknown, expired or revoked");
    return { token: row.id, name: row.name, role: row.role, by: "bearer" };
  }
  const session = centre.sessions.find(getCookie(c, COOKIE) ?? "");
  const row = session === null ? null : await validToken(centre.db, session.token);
  if (row !== null) return { token: row.id, name: row.name, role: row.role, by: "cookie" };
  return centre.publicRead ? ANONYMOUS_READER : NOBODY;
}

/** Lets a request pass whose sender has the role. Nobody without a token ever writes, whatever the configuration. */
export function needs(role: Role): MiddlewareHandler<Env> {
  return async (c, next) => {
    const who = c.get("who");
    if (who === NOBODY || (who.by === "nothing" && role !== "read")) {
      throw new SuiteError("TOKEN_NEEDED", `${c.req.method} ${c.req.path} needs a token of role ${role}`);
    }
    if (!mayAs(who.role, role)) throw new SuiteError("TOKEN_REFUSED", `the token "${who.name}" has role ${who.role}; this needs ${role}`);
    await next();
  };
}

export function isNobody(who: Principal): boolean {
  return who === NOBODY;
}
