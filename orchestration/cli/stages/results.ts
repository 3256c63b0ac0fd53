import { askLocalCentre, centreRuns } from "../../api/local.ts";
import { SuiteError } from "../../base/errors.ts";
import { findRun } from "../../run/run-folder.ts";
import { listRuns, MOST_ROWS, openStore, type RunFilter, type RunRow, type Store } from "../../store/index.ts";

type Query = Readonly<Record<string, string | number | undefined>>;

const USUAL_RUNS = 50;

/** The embedded database has one holder; a PostgreSQL server has room for the centre and for commands. */
function isShared(): boolean {
  return (process.env["BUSLAB_DATABASE_URL"] ?? "") !== "";
}

/**
 * Asks the results centre that holds the database of this home.
 * @returns null when none does: the database can then be opened
 */
async function askHolder<T>(path: string, query: Query = {}): Promise<T | null> {
  if (isShared()) return null;
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) given.set(name, String(value));
  return askLocalCentre<T>("GET", given.size === 0 ? path : `${path}?${given.toString()}`);
}

/** What the centre of this home tells, or the database itself where none holds it: no command need care which of the two it was. */
export async function fromResults<T>(asked: { readonly path: string; readonly query?: Query }, read: (db: Store["db"]) => Promise<T>): Promise<T> {
  const told = await askHolder<T>(asked.path, asked.query);
  if (told !== null) return told;
  await using store = await openStore();
  return await read(store.db);
}

type RunPage = Awaited<ReturnType<typeof listRuns>>;

/** The newest runs first, as many as the filter's limit says: one page of the results has no more than {@link MOST_ROWS}. */
export async function listStored(filter: RunFilter = {}): Promise<RunPage> {
  const limit = filter.limit ?? USUAL_RUNS;
  const rows: RunRow[] = [];
  for (;;) {
    const query = { ...filter, limit: Math.min(limit - rows.length, MOST_ROWS), offset: rows.length };
    const page = await fromResults<RunPage>({ path: "/runs", query }, (db) => listRuns(db, query));
    rows.push(...page.rows);
    if (page.rows.length < query.limit || rows.length >= limit) return { rows, total: page.total };
  }
}

/** A run's name as a centre understands it: a part of an id is looked up among the folders of this home. */
export async function runForCentre(text: string): Promise<string> {
  const found = text === "latest" || text === "previous" ? null : await findRun(text).catch(() => null);
  return found?.run ?? text;
}

/**
 * The database, for what a centre cannot be asked.
 * @param what is to be done, as the end of a sentence
 * @throws STORE_LOCKED at once while a centre holds it, instead of waiting for what may run for days
 */
export async function openResults(what: string): Promise<Store> {
  if (!isShared() && (await centreRuns())) throw new SuiteError("STORE_LOCKED", `the results centre that runs on this home holds the results database; end it to ${what}`);
  return openStore();
}
