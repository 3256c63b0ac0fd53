import { mkdir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { SuiteError } from "../base/errors.ts";
import { RUN_ID } from "../base/ids.ts";
import { runsDir } from "../base/paths.ts";

/** Where everything of a run lies; each stage reads and writes here. */
export interface RunFolder {
  readonly run: string;
  readonly dir: string;
  readonly plan: string;
  readonly manifests: string;
  readonly records: string;
  readonly console: string;
  readonly evidence: string;
  readonly runnerLog: string;
  readonly verdict: string;
}

export function runFolder(run: string, dir: string = join(runsDir(), run)): RunFolder {
  return {
    run,
    dir,
    plan: join(dir, "plan.json"),
    manifests: join(dir, "manifests"),
    records: join(dir, "records.jsonl"),
    console: join(dir, "console"),
    evidence: join(dir, "evidence"),
    runnerLog: join(dir, "runner.log"),
    verdict: join(dir, "verdict.json"),
  };
}

export async function makeRunFolder(run: string, dir?: string): Promise<RunFolder> {
  const folder = runFolder(run, dir);
  for (const path of [folder.dir, folder.manifests, folder.console, folder.evidence]) await mkdir(path, { recursive: true });
  return folder;
}

/**
 * A run by its id, the end of its id, or `latest`.
 * @throws RUN_UNKNOWN naming what was asked for
 */
export async function findRun(text: string): Promise<RunFolder> {
  const runs = await listRuns();
  const fits = text === "latest" ? runs.slice(-1) : runs.filter((run) => run === text || run.endsWith(`-${text}`));
  const [run] = fits;
  if (run === undefined || fits.length > 1) {
    throw new SuiteError("RUN_UNKNOWN", `"${text}" names ${fits.length} of the ${runs.length} runs in ${runsDir()}${runs.length === 0 ? "" : `; the latest is ${runs.at(-1) ?? ""}`}`);
  }
  return runFolder(run);
}

/** Ids of the runs that are kept, oldest first. */
export async function listRuns(): Promise<string[]> {
  const names = await readdir(runsDir()).catch(() => []);
  const runs: string[] = [];
  for (const name of names.filter((each) => RUN_ID.test(each)).sort()) {
    if ((await stat(join(runsDir(), name, "plan.json")).catch(() => null)) !== null) runs.push(name);
  }
  return runs;
}
