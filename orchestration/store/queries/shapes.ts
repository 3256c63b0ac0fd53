import { sql, type RawBuilder } from "kysely";

/** Rows of a list, with what a page needs to tell how many there are. */
export interface Page<T> {
  readonly rows: readonly T[];
  readonly total: number;
}

export interface Paging {
  readonly limit?: number;
  readonly offset?: number;
}

/** Rows of a page at most. */
export const MOST_ROWS = 1_000;

/** A page that a caller cannot make huge. */
export function pageOf(paging: Paging, usual = 100): { readonly limit: number; readonly offset: number } {
  return { limit: Math.min(Math.max(1, Math.trunc(paging.limit ?? usual)), MOST_ROWS), offset: Math.max(0, Math.trunc(paging.offset ?? 0)) };
}

/** ISO 8601, as JSON carries it. */
export function iso(time: Date | null): string | null {
  return time === null ? null : time.toISOString();
}

/** True in SQL where a filter is not given; else the condition. */
export function when(given: unknown, condition: RawBuilder<unknown>): RawBuilder<unknown> {
  return given === undefined || given === null || given === "" ? sql`true` : condition;
}

/** Text that is looked for anywhere; `%` and `_` of the caller are plain characters. */
export function anywhere(text: string): string {
  return `%${text.replaceAll(/[\\%_]/g, "\\$&")}%`;
}
