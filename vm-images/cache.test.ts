import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { SuiteError } from "../orchestration/base/errors.ts";
import { spawnTied } from "../orchestration/base/exec.ts";
import { ROOT } from "../orchestration/base/paths.ts";
import { silent } from "../orchestration/base/progress.ts";
import { type Artifact, type BuildContext, type Inputs, obtain } from "./cache.ts";

const ctx: BuildContext = { progress: silent, logDir: tmpdir() };
const options = { title: "trial", needsBytes: 0 };

let folder = "";
let before: string | undefined;
let builds = 0;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "buslab-cache-"));
  before = process.env["BUSLAB_CACHE"];
  process.env["BUSLAB_CACHE"] = folder;
  builds = 0;
});

afterEach(async () => {
  if (before === undefined) delete process.env["BUSLAB_CACHE"];
  else process.env["BUSLAB_CACHE"] = before;
  await rm(folder, { recursive: true });
});

function inputs(pool = "sha256:1", gcc = "gcc 12"): Inputs {
  return { subject: "trial", recipe: 1, inputs: { "fixtures/module/pool.c": pool }, tools: { gcc } };
}

function make(of: Inputs = inputs(), text = "content"): Promise<Artifact> {
  const write = async (dir: string): Promise<{ outputs: string[] }> => {
    builds += 1;
    await writeFile(join(dir, "out.txt"), text);
    return { outputs: ["out.txt"] };
  };
  return obtain("module", of, write, options, ctx);
}

test("equal inputs are built once and reused with the reason", async () => {
  const first = await make();
  const second = await make();

  assert.equal(first.state, "built");
  assert.match(first.because, /no earlier build/);
  assert.deepEqual([second.state, second.because, second.dir], ["reused", "same inputs", first.dir]);
  assert.equal(builds, 1);
});

test("a rebuild names the input that changed", async () => {
  await make();

  assert.equal((await make(inputs("sha256:2"))).because, "fixtures/module/pool.c changed");
  assert.equal((await make(inputs("sha256:2", "gcc 13"))).because, "gcc changed");
});

test("a damaged small output is built again and said so", async () => {
  const first = await make();
  await writeFile(join(first.dir, "out.txt"), "CONTENT");

  const second = await make();

  assert.equal(second.state, "built");
  assert.match(second.because, /damaged: the content of out\.txt is not what was built/);
  assert.equal(await readFile(join(second.dir, "out.txt"), "utf8"), "content");
});

test("a truncated, a missing output and a broken manifest are built again", async () => {
  const first = await make();
  await truncate(join(first.dir, "out.txt"), 3);
  assert.match((await make()).because, /3 bytes instead of 7/);

  await rm(join(first.dir, "out.txt"));
  assert.match((await make()).because, /cannot be read \(ENOENT\)/);

  await writeFile(join(first.dir, "manifest.json"), "{");
  assert.match((await make()).because, /manifest is unreadable/);
  assert.equal((await make()).state, "reused");
});

test("a failed build leaves no entry and no temporary folder", async () => {
  const failing = obtain("module", inputs(), () => Promise.reject(new SuiteError("MODULE_BUILD_FAILED", "broken")), options, ctx);

  await assert.rejects(failing, { code: "MODULE_BUILD_FAILED" });
  const left = (await readdir(join(folder, "artifacts/module"))).filter((name) => !name.endsWith(".lock"));
  assert.deepEqual(left, []);
});

test("two builders of the same inputs at once build once", async () => {
  const slow = async (dir: string): Promise<{ outputs: string[] }> => {
    builds += 1;
    await new Promise((resolve) => setTimeout(resolve, 200));
    await writeFile(join(dir, "out.txt"), "slow");
    return { outputs: ["out.txt"] };
  };

  const states = (await Promise.all([1, 2, 3].map(() => obtain("module", inputs(), slow, options, ctx)))).map((artifact) => artifact.state);

  assert.equal(builds, 1);
  assert.deepEqual(states.sort(), ["built", "reused", "reused"]);
});

test("a builder killed in the middle leaves nothing that is taken for whole, and no lock", async () => {
  const script = `
    const { obtain } = await import(${JSON.stringify(join(ROOT, "vm-images/cache.ts"))});
    const { writeFileSync } = await import("node:fs");
    const progress = { step: () => progress, update() {}, done() {}, fail() {} };
    await obtain("module", ${JSON.stringify(inputs())}, async (dir) => {
      writeFileSync(dir + "/out.txt", "half");
      console.log("building");
      await new Promise((resolve) => setTimeout(resolve, 60_000));
      return { outputs: ["out.txt"] };
    }, ${JSON.stringify(options)}, { progress, logDir: "/tmp" });`;
  const child = spawnTied([process.execPath, "--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(child.stdout ?? child, "data")) as [Buffer];
  assert.match(line.toString(), /building/);
  child.kill("SIGKILL");
  await once(child, "exit");

  const artifact = await make();

  assert.equal(artifact.state, "built");
  assert.equal(await readFile(join(artifact.dir, "out.txt"), "utf8"), "content");
  assert.deepEqual((await readdir(join(folder, "artifacts/module"))).filter((name) => name.startsWith(".")), []);
});

test("too little space is refused before the build starts", async () => {
  const build = obtain("module", inputs(), () => Promise.reject(new Error("was started")), { ...options, needsBytes: 2 ** 60 }, ctx);

  await assert.rejects(build, (error: SuiteError) => error.code === "HOST_DISK_FULL" && error.message.includes(folder));
});

test("a build that runs out of space is called so and names the folder", async () => {
  const full = Object.assign(new Error("write"), { code: "ENOSPC" });
  const build = obtain("module", inputs(), () => Promise.reject(full), options, ctx);

  await assert.rejects(build, (error: SuiteError) => error.code === "HOST_DISK_FULL" && error.message.includes(join(folder, "artifacts/module")));
});

test("an interrupted wait for the lock ends at once", async () => {
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  const holder = obtain("module", inputs(), async (dir) => (await gate, await writeFile(join(dir, "out.txt"), "x"), { outputs: ["out.txt"] }), options, ctx);
  while (!existsSync(join(folder, "artifacts/module")) || (await readdir(join(folder, "artifacts/module"))).every((name) => !name.startsWith("."))) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const abort = new AbortController();
  const waiter = obtain("module", inputs(), () => Promise.reject(new Error("was started")), options, { ...ctx, signal: abort.signal });
  setTimeout(() => abort.abort(), 50);

  await assert.rejects(waiter, /interrupted/);
  release();
  assert.equal((await holder).state, "built");
});
