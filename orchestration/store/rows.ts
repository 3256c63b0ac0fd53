import { sql, type RawBuilder, type Transaction } from "kysely";
import type { Tables } from "./schema.ts";

export type Tx = Transaction<Tables>;

/**
 * Rows as one parameter: `from ${recordset(rows, "name text, age int")}`. A statement of thousands of parameters costs more to
 * prepare than to run, in both engines.
 * @param columns names and types, written by us
 */
export function recordset(rows: readonly object[], columns: string): RawBuilder<unknown> {
  return sql`json_to_recordset(${json(rows)}::json) as r(${sql.raw(columns)})`;
}

/** JSON that the database takes: it refuses NUL and half surrogates, and consoles print both. */
export function json(value: unknown): string {
  const text = JSON.stringify(value);
  // Only lone surrogates are escaped by JSON.stringify. An even number of backslashes before the escape keeps literal text.
  return /\\u(?:0000|d[89a-f])/.test(text) ? text.replaceAll(/(?<!\\)((?:\\\\)*)\\u(?:0000|d[89a-f][0-9a-f]{2})/g, "$1\\ufffd") : text;
}

/** The same for a text by itself. */
export function clean(text: string): string {
  return text.replaceAll("\0", "\ufffd").toWellFormed();
}

/** Makes ids for test names that are new; afterwards a statement joins `test_name` by name. */
export async function nameTests(tx: Tx, names: readonly string[]): Promise<void> {
  const rows = [...new Set(names)].map((name) => ({ name: clean(name), area: clean(areaOf(name)) }));
  if (rows.length === 0) return;
  // In one order for all writers, or two of them could wait for each other. `not exists` spares the sequence.
  await sql`
    insert into test_name (name, area)
    select r.name, r.area from ${recordset(rows, "name text, area text")}
    where not exists (select from test_name t where t.name = r.name) order by r.name
    on conflict do nothing`.execute(tx);
}

/** First folder of a test id; the whole id where it has none. */
function areaOf(test: string): string {
  return test.split("/")[0] ?? "";
}
