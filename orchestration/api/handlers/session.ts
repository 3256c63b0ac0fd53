import { createRoute } from "@hono/zod-openapi";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { SuiteError } from "../../base/errors.ts";
import { COOKIE, isNobody } from "../auth.ts";
import type { Api, Centre } from "../centre.ts";
import { roleSchema } from "../roles.ts";
import { json, REFUSALS, z } from "../schemas/common.ts";
import { findToken } from "../tokens.ts";

const whoSchema = z.object({ name: z.string(), role: roleSchema }).openapi("Who");
export const sessionSchema = z
  .object({ who: whoSchema.nullable().openapi({ description: "null: this browser may not even read" }), signedIn: z.boolean(), publicRead: z.boolean() })
  .openapi("Session");
export type Session = z.infer<typeof sessionSchema>;

/** A browser gives its token once and gets a cookie that scripts cannot read and other sites cannot send. */
export function sessionRoutes(api: Api, centre: Centre): void {
  api.openapi(createRoute({ method: "get", path: "/session", tags: ["session"], summary: "Who am I", responses: { 401: REFUSALS[401], 200: json(sessionSchema, "Name and role") } }), (c) => {
    const who = c.get("who");
    return c.json({ who: isNobody(who) ? null : { name: who.name, role: who.role }, signedIn: who.by !== "nothing", publicRead: centre.publicRead }, 200);
  });

  api.openapi(
    createRoute({
      method: "post",
      path: "/session",
      tags: ["session"],
      summary: "A token for a cookie",
      request: { body: { required: true, content: { "application/json": { schema: z.object({ token: z.string().max(200) }) } } } },
      responses: { 400: REFUSALS[400], 401: REFUSALS[401], 403: REFUSALS[403], 200: json(sessionSchema, "Signed in; the cookie is set") },
    }),
    async (c) => {
      const row = await findToken(centre.db, c.req.valid("json").token.trim());
      if (row === null) throw new SuiteError("TOKEN_NEEDED", "the token given is unknown, expired or revoked");
      const { secret, maxAgeS } = centre.sessions.begin({ token: row.id, name: row.name, role: row.role, by: "cookie" });
      setCookie(c, COOKIE, secret, { httpOnly: true, sameSite: "Strict", path: "/", maxAge: maxAgeS, secure: centre.behindTls });
      return c.json({ who: { name: row.name, role: row.role }, signedIn: true, publicRead: centre.publicRead }, 200);
    },
  );

  api.openapi(
    createRoute({ method: "delete", path: "/session", tags: ["session"], summary: "Ends the session", responses: { 401: REFUSALS[401], 403: REFUSALS[403], 204: { description: "The cookie is void" } } }),
    (c) => {
      centre.sessions.end(getCookie(c, COOKIE) ?? "");
      deleteCookie(c, COOKIE, { path: "/" });
      return c.body(null, 204);
    },
  );
}
