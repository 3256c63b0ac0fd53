import { createHash, randomBytes } from "node:crypto";
import type { Principal } from "./roles.ts";

const LIFETIME_MS = 12 * 60 * 60_000;
/** More than a team has browsers; the oldest go first. */
const MOST = 10_000;

interface Session {
  readonly who: Principal & { readonly token: string };
  readonly endsAt: number;
}

/** Browser sessions. They live in memory: a restart of the centre asks for the token again. Only digests are kept. */
export class Sessions {
  private readonly open = new Map<string, Session>();

  /** @returns the secret for the cookie */
  begin(who: Principal & { readonly token: string }, now: number = Date.now()): { secret: string; maxAgeS: number } {
    for (const [key, session] of this.open) if (session.endsAt <= now || this.open.size >= MOST) this.open.delete(key);
    const secret = randomBytes(32).toString("base64url");
    this.open.set(digest(secret), { who: { ...who, by: "cookie" }, endsAt: now + LIFETIME_MS });
    return { secret, maxAgeS: LIFETIME_MS / 1000 };
  }

  // A map's lookup is not constant in time, but what it compares are digests of what the sender chose.
  find(secret: string, now: number = Date.now()): Session["who"] | null {
    const session = this.open.get(digest(secret));
    return session === undefined || session.endsAt <= now ? null : session.who;
  }

  end(secret: string): void {
    this.open.delete(digest(secret));
  }
}

function digest(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}
