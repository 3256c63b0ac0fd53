import type { Database } from "./schema.ts";

/** An open results database; one process at a time where it is embedded. */
export interface Store extends AsyncDisposable {
  readonly db: Database;
  /** For people: the folder, or how it was named. */
  readonly where: string;
}
