import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { digestFile, digestJson, digestTree, short, type Digest } from "../base/digest.ts";
import { SuiteError } from "../base/errors.ts";
import { exec } from "../base/exec.ts";
import { cacheDir, ROOT } from "../base/paths.ts";
import type { ListedTest, Listing } from "./list-reporter.ts";

export interface Discovered {
  readonly tests: readonly ListedTest[];
  /** Digest of every file of the suite; the same digest lists the same tests. */
  readonly suite: Digest;
  readonly cached: boolean;
}

export const RUNNER_CLI = join(ROOT, "node_modules", "@playwright", "test", "cli.js");
export const RUNNER_CONFIG = join(ROOT, "conformance", "playwright.config.ts");

/** Digest of all that a test's title, annotations and steps are made of. */
export async function suiteDigest(): Promise<Digest> {
  const folders = ["conformance", "fixtures/abi", "orchestration/plan"];
  const files = await Promise.all(
    folders.map(async (folder) => (await digestTree(join(ROOT, folder), (path) => /(^|\/)(test-results|node_modules)(\/|$)/.test(path))).map(([path, digest]) => [`${folder}/${path}`, digest] as const)),
  );
  return digestJson([...files.flat(), ["package-lock.json", await digestFile(join(ROOT, "package-lock.json"))]]);
}

/**
 * All tests of the suite, as the runner itself lists them. The list is cached by the digest of the suite's files, so an
 * unchanged suite costs no runner start.
 * @throws RUNNER_FAILED when a spec does not load, with the runner's errors
 */
export async function discover(signal?: AbortSignal): Promise<Discovered> {
  const suite = await suiteDigest();
  const cachePath = join(cacheDir(), "listings", `${short(suite)}.json`);
  const cached = await readListing(cachePath);
  if (cached !== null) return { tests: cached.tests, suite, cached: true };
  const listing = await listTests(signal);
  await mkdir(join(cacheDir(), "listings"), { recursive: true });
  const temporary = `${cachePath}.${randomUUID()}.tmp`; // one process may list twice at a time
  await writeFile(temporary, JSON.stringify(listing));
  await rename(temporary, cachePath);
  return { tests: listing.tests, suite, cached: false };
}

async function listTests(signal?: AbortSignal): Promise<Listing> {
  const folder = await mkdtemp(join(tmpdir(), "buslab-list-"));
  try {
    const path = join(folder, "listing.json");
    const reporter = join(ROOT, "orchestration", "plan", "list-reporter.ts");
    const result = await exec([process.execPath, RUNNER_CLI, "test", "--list", "-c", RUNNER_CONFIG, "--reporter", reporter], {
      cwd: ROOT,
      env: { BUSLAB_LISTING: path, BUSLAB_PLAN: undefined, NODE_OPTIONS: undefined },
      okCodes: [0, 1],
      code: "RUNNER_FAILED",
      timeoutMs: 300_000,
      ...(signal === undefined ? {} : { signal }),
    });
    const listing = await readListing(path);
    if (listing === null) throw new SuiteError("RUNNER_FAILED", "the test runner listed nothing", { details: `${result.stdout}\n${result.stderr}`.trim() });
    if (listing.errors.length > 0) throw new SuiteError("RUNNER_FAILED", `${listing.errors.length} spec files do not load: ${listing.errors[0]?.split("\n")[0] ?? ""}`, { details: listing.errors.join("\n\n") });
    return listing;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function readListing(path: string): Promise<Listing | null> {
  try {
    const value = JSON.parse(await readFile(path, "utf8")) as Listing;
    return Array.isArray(value.tests) ? value : null;
  } catch {
    return null; // absent or damaged: list again
  }
}
