import { sql } from "kysely";
import { recordset } from "./rows.ts";
import type { Database } from "./schema.ts";

export interface StoredWaiver {
  readonly requirement: string;
  readonly target: string;
  readonly owner: string;
  readonly reason: string;
  readonly lastDay: string;
  /** The line by which verdicts name it. */
  readonly text: string;
}

/** Makes the database's list that of a waiver file. Rows the file no longer has stay, marked so: old verdicts name them. */
export async function storeWaivers(db: Database, rows: readonly StoredWaiver[]): Promise<void> {
  const unique = [...new Map(rows.map((row) => [row.text, { ...row, last_day: row.lastDay }])).values()];
  await db.transaction().execute(async (tx) => {
    await sql`update waiver set present = false where text not in (select r.text from ${recordset(unique, "text text")})`.execute(tx);
    await sql`
      insert into waiver (text, requirement, target, owner, reason, last_day, present)
      select r.text, r.requirement, r.target, r.owner, r.reason, r.last_day, true
      from ${recordset(unique, "text text, requirement text, target text, owner text, reason text, last_day date")} order by r.text
      on conflict (text) do update set present = true`.execute(tx);
  });
}
