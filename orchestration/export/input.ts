import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { digestFile } from "../base/digest.ts";
import { readJson } from "../base/json-file.ts";
import { readRecords } from "../record/jsonl.ts";
import { verdictSchema, type TestVerdict, type Verdict } from "../record/verdict.ts";

/** What every format is made of: the verdict of a run, and from its records what the verdict leaves out. */
export interface ExportInput {
  readonly verdict: Verdict;
  /** Wall time at which a test began, by {@link pairKey}. */
  readonly begunAt: ReadonlyMap<string, string>;
  /** Artifacts by target and name, with the key of their build. */
  readonly artifacts: readonly { readonly target: string; readonly name: string; readonly key: string }[];
  /** SHA-256 of records.jsonl. */
  readonly recordsDigest: string;
  /** Evidence files of a test, absolute, by {@link pairKey}. */
  readonly files: ReadonlyMap<string, readonly string[]>;
}

export function pairKey(target: string, test: string): string {
  return `${target}\0${test}`;
}

/** Reads a run's folder. @throws FILE_INVALID when it is not judged or not readable */
export async function readExportInput(runDir: string): Promise<ExportInput> {
  const verdict = await readJson(join(runDir, "verdict.json"), verdictSchema);
  const path = join(runDir, "records.jsonl");
  const { records } = await readRecords(path);
  const begunAt = new Map<string, string>();
  const artifacts: { target: string; name: string; key: string }[] = [];
  for (const record of records) {
    if (record.type === "test-begin" && !begunAt.has(pairKey(record.target, record.test))) begunAt.set(pairKey(record.target, record.test), record.at);
    if (record.type === "target-begin") for (const [name, { key }] of Object.entries(record.artifacts)) artifacts.push({ target: record.target, name, key });
  }
  const files = new Map<string, readonly string[]>();
  for (const target of verdict.targets) for (const test of target.tests) files.set(pairKey(target.id, test.id), await filesOf(runDir, test));
  return { verdict, begunAt, artifacts, recordsDigest: await digestFile(path), files };
}

/** Evidence lies in the run's folder, wherever the run was made. */
async function filesOf(runDir: string, test: TestVerdict): Promise<string[]> {
  const at = test.evidence?.lastIndexOf("/evidence/") ?? -1;
  if (test.evidence === null || at < 0) return [];
  const folder = join(runDir, "evidence", join("/", test.evidence.slice(at + "/evidence/".length)));
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)).sort();
}
