import { z } from "@hono/zod-openapi";

/** What a token may do; each role may do what the ones before it may. */
export const ROLES = ["read", "submit", "worker", "admin"] as const;
export const roleSchema = z.enum(ROLES).openapi("Role");
export type Role = (typeof ROLES)[number];

/** Who sends a request. */
export interface Principal {
  /** Id of the token; null for readers without one and for the owner on this host. */
  readonly token: string | null;
  readonly name: string;
  readonly role: Role;
  /** How it was proven. Only a cookie can be sent by a page of somebody else, so only cookies need the origin checked. */
  readonly by: "nothing" | "bearer" | "cookie" | "owner";
}

export const ANONYMOUS_READER: Principal = { token: null, name: "anonymous", role: "read", by: "nothing" };
/** Whoever may open the socket in BUSLAB_HOME may read the database's files as well. */
export const OWNER: Principal = { token: null, name: "owner of this host", role: "admin", by: "owner" };

export function mayAs(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed);
}
