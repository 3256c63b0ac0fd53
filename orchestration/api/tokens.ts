import { createHash, randomBytes, randomUUID, timingSafeEqual } from "node:crypto";
import { SuiteError } from "../base/errors.ts";
import type { Database } from "../store/schema.ts";
import type { Role } from "./roles.ts";
import { roleSchema } from "./roles.ts";

const PREFIX = "buslab_";
/** `last_used_at` is for people who tidy up; writing it with every request would make reads into writes. */
const USED_EVERY_MS = 60_000;

export interface TokenRow {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly lastUsedAt: Date | null;
  readonly revokedAt: Date | null;
}

/** Makes a token. Its text is told once and kept nowhere: the database has its SHA-256. */
export async function createToken(db: Database, wanted: { name: string; role: Role; expiresAt: Date | null }): Promise<{ token: string; row: TokenRow }> {
  const token = PREFIX + randomBytes(32).toString("base64url");
  const row = { id: randomUUID().slice(0, 8), name: wanted.name, role: wanted.role, hash: sha256(token).toString("hex"), expires_at: wanted.expiresAt?.toISOString() ?? null };
  const made = await db.insertInto("token").values({ ...row, last_used_at: null, revoked_at: null }).returning(["created_at"]).executeTakeFirstOrThrow();
  return { token, row: { id: row.id, name: row.name, role: wanted.role, createdAt: made.created_at, expiresAt: wanted.expiresAt, lastUsedAt: null, revokedAt: null } };
}

export async function listTokens(db: Database): Promise<TokenRow[]> {
  const rows = await db.selectFrom("token").selectAll().orderBy("created_at").orderBy("id").execute();
  return rows.map((row) => ({ id: row.id, name: row.name, role: roleSchema.parse(row.role), createdAt: row.created_at, expiresAt: row.expires_at, lastUsedAt: row.last_used_at, revokedAt: row.revoked_at }));
}

/** @param which id or name of one token @throws NOTHING_THERE when it names none, or more than one that is valid */
export async function revokeToken(db: Database, which: string): Promise<TokenRow> {
  const fits = (await listTokens(db)).filter((row) => row.revokedAt === null && (row.id === which || row.name === which));
  const [row] = fits;
  if (row === undefined || fits.length > 1) throw new SuiteError("NOTHING_THERE", `"${which}" names ${fits.length} valid tokens; give the id of one`);
  const revokedAt = new Date();
  await db.updateTable("token").set({ revoked_at: revokedAt.toISOString() }).where("id", "=", row.id).execute();
  return { ...row, revokedAt };
}

/** The token's row if the text is one of ours that holds now. Every row is compared, in constant time, whatever the first ones say. */
export async function findToken(db: Database, text: string, now: Date = new Date()): Promise<TokenRow | null> {
  const presented = sha256(text);
  let found: string | null = null;
  for (const { id, hash } of await db.selectFrom("token").select(["id", "hash"]).execute()) {
    if (timingSafeEqual(presented, Buffer.from(hash, "hex"))) found = id;
  }
  return found === null ? null : validToken(db, found, now);
}

/** The row of an id while the token holds: browser sessions ask with every request, so revoking ends them as well. */
export async function validToken(db: Database, id: string, now: Date = new Date()): Promise<TokenRow | null> {
  const row = (await listTokens(db)).find((each) => each.id === id);
  if (row === undefined || row.revokedAt !== null || (row.expiresAt !== null && row.expiresAt <= now)) return null;
  if (row.lastUsedAt === null || now.getTime() - row.lastUsedAt.getTime() > USED_EVERY_MS) {
    await db.updateTable("token").set({ last_used_at: now.toISOString() }).where("id", "=", id).execute();
  }
  return row;
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
