import { askLocalCentre, centreRuns } from "../../api/local.ts";
import { SuiteError } from "../../base/errors.ts";
import { findRun } from "../../run/run-folder.ts";
import { openStore, type Store } from "../../store/index.ts";

/** The embedded database has one holder; a PostgreSQL server has room for the centre and for commands. */
function isShared(): boolean {
  return (process.env["BUSLAB_DATABASE_URL"] ?? "") !== "";
}

/**
 * Asks the results centre that holds the database of this home.
 * @returns null when none does: the database can then be opened
 */
export async function askHolder<T>(path: string, query: Readonly<Record<string, string | number | undefined>> = {}): Promise<T | null> {
  if (isShared()) return null;
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) given.set(name, String(value));
  return askLocalCentre<T>("GET", given.size === 0 ? path : `${path}?${given.toString()}`);
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
