/** One mechanical check of the tree: returns what is wrong, one line each, and how much it looked at. */
export interface CheckResult {
  /** What was examined, e.g. `214 files`; a check that examined nothing has failed. */
  readonly examined: number;
  readonly problems: readonly string[];
}

export interface Check {
  readonly name: string;
  run(): Promise<CheckResult>;
}
