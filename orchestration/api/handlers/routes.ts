import { needs } from "../auth.ts";
import type { Role } from "../roles.ts";
import { REFUSALS, SECURITY } from "../schemas/common.ts";

/** What every route under /api/v1 has in common: a role, the ways to prove it, the refusals. */
export function guarded<R extends Record<number, unknown>>(role: Role, tag: string, responses: R) {
  return { tags: [tag], security: SECURITY, middleware: needs(role), responses: { ...REFUSALS, ...responses } };
}
