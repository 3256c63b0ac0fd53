import { sql } from "kysely";
import type { Database } from "../schema.ts";

export interface WaiverRow {
  readonly text: string;
  readonly requirement: string;
  readonly target: string;
  readonly owner: string;
  readonly reason: string;
  /** `YYYY-MM-DD`, the last day on which it excuses. */
  readonly lastDay: string;
  /** 0 on the last day, negative when it has expired. */
  readonly daysLeft: number;
  /** False once the newest file no longer has it. */
  readonly present: boolean;
  readonly usedInRuns: number;
  readonly lastUsedRun: string | null;
}

/** Waivers, those that end first first. @param params.today `YYYY-MM-DD`, UTC */
export async function waivers(db: Database, params: { readonly today: string; readonly presentOnly?: boolean }): Promise<WaiverRow[]> {
  const { rows } = await sql<WaiverRow>`
    select w.text, w.requirement, w.target, w.owner, w.reason, to_char(w.last_day, 'YYYY-MM-DD') as "lastDay", (w.last_day - ${params.today}::date)::int as "daysLeft", w.present,
      (select count(*)::int from run_waiver u where u.text = w.text and u.state = 'used') as "usedInRuns",
      (select max(u.run) from run_waiver u where u.text = w.text and u.state = 'used') as "lastUsedRun"
    from waiver w ${params.presentOnly === true ? sql`where w.present` : sql``} order by w.last_day, w.text`.execute(db);
  return rows;
}
