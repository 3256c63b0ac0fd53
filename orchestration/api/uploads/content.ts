import { link, mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { SuiteError } from "../../base/errors.ts";
import { readJson, writeJson } from "../../base/json-file.ts";
import { planDigest, readPlan } from "../../plan/plan.ts";
import { readRecords } from "../../record/jsonl.ts";
import { verdictSchema } from "../../record/verdict.ts";
import type { UploadManifest } from "../schemas/uploads.ts";

export interface Uploader {
  readonly by: string;
  readonly token: string | null;
}

/** Makes the folder of an uploaded run out of its contents. */
export async function layOut(dir: string, manifest: UploadManifest, blob: (digest: string) => string, uploader: Uploader): Promise<void> {
  await rm(dir, { recursive: true, force: true });
  for (const { path, digest } of manifest.files) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await link(blob(digest), join(dir, path));
  }
  await writeJson(join(dir, "upload.json"), { schema: "buslab.upload/1", run: manifest.run, ...uploader, at: new Date().toISOString() });
}

/**
 * Plan, records and verdict must speak of the same run and the same plan. Whether the verdict is right is not asked here: who
 * has the right to submit is trusted with that, and anyone can judge plan and records again.
 * @throws FILE_INVALID
 */
export async function checkContent(dir: string, run: string): Promise<void> {
  const plan = await readPlan(join(dir, "plan.json"));
  const { records } = await readRecords(join(dir, "records.jsonl"));
  const verdict = await readJson(join(dir, "verdict.json"), verdictSchema);
  const digest = planDigest(plan);
  const begin = records.find((record) => record.type === "run-begin");
  const wrong =
    verdict.run !== run ? `the verdict is of run ${verdict.run}`
    : begin === undefined ? "the records have no beginning"
    : begin.run !== run ? `the records are of run ${begin.run}`
    : begin.planDigest !== digest ? "the records name another plan"
    : verdict.plan.digest !== digest ? "the verdict names another plan"
    : null; // prettier-ignore
  if (wrong !== null) throw new SuiteError("FILE_INVALID", `the files of run ${run} do not belong together: ${wrong}`);
}
