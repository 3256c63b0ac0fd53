import { createRoute } from "@hono/zod-openapi";
import type { Api, Centre } from "../centre.ts";
import { roleSchema } from "../roles.ts";
import { json, list, timeSchema, z } from "../schemas/common.ts";
import { createToken, listTokens, revokeToken, type TokenRow } from "../tokens.ts";
import { guarded } from "./routes.ts";

export const tokenSchema = z
  .object({ id: z.string(), name: z.string(), role: roleSchema, createdAt: timeSchema, expiresAt: timeSchema.nullable(), lastUsedAt: timeSchema.nullable(), revokedAt: timeSchema.nullable() })
  .openapi("Token");
export type TokenDocument = z.infer<typeof tokenSchema>;
export const newTokenSchema = z.object({ name: z.string().min(1).max(100), role: roleSchema, expiresAt: timeSchema.nullable() }).openapi("NewToken");
export const createdTokenSchema = tokenSchema.extend({ token: z.string().openapi({ description: "Told this once" }) }).openapi("CreatedToken");
export const tokenListSchema = z.object({ tokens: list(tokenSchema) }).openapi("TokenList");

export function tokenRoutes(api: Api, centre: Centre): void {
  const { db } = centre;
  api.openapi(createRoute({ method: "get", path: "/tokens", summary: "Tokens, without their text", ...guarded("admin", "tokens", { 200: json(tokenListSchema, "All of them") }) }), async (c) =>
    c.json({ tokens: (await listTokens(db)).map(documentOf) }, 200),
  );

  api.openapi(
    createRoute({
      method: "post",
      path: "/tokens",
      summary: "Makes a token",
      request: { body: { required: true, content: { "application/json": { schema: newTokenSchema } } } },
      ...guarded("admin", "tokens", { 201: json(createdTokenSchema, "The token; it is kept nowhere") }),
    }),
    async (c) => {
      const { name, role, expiresAt } = c.req.valid("json");
      const { token, row } = await createToken(db, { name, role, expiresAt: expiresAt === null ? null : new Date(expiresAt) });
      return c.json({ ...documentOf(row), token }, 201);
    },
  );

  api.openapi(
    createRoute({ method: "delete", path: "/tokens/{token}", summary: "Revokes a token", request: { params: z.object({ token: z.string().max(100).openapi({ description: "Id or name" }) }) }, ...guarded("admin", "tokens", { 200: json(tokenSchema, "It holds no longer") }) }),
    async (c) => c.json(documentOf(await revokeToken(db, c.req.valid("param").token)), 200),
  );
}

export function documentOf(row: TokenRow): TokenDocument {
  return { ...row, createdAt: row.createdAt.toISOString(), expiresAt: row.expiresAt?.toISOString() ?? null, lastUsedAt: row.lastUsedAt?.toISOString() ?? null, revokedAt: row.revokedAt?.toISOString() ?? null };
}
