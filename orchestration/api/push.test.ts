import assert from "node:assert/strict";
import { cp, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import type { Server } from "node:http";
import { join } from "node:path";
import test, { after, before } from "node:test";
import { digestOf } from "../base/digest.ts";
import { SuiteError, type ErrorCode } from "../base/errors.ts";
import { countRows } from "../store/ingest.ts";
import { close, hostNames, listenTcp, parseAddress } from "./listen.ts";
import { pushRun, type Pushed } from "./push.ts";
import { CHUNK_BYTES, type Upload, type UploadManifest } from "./schemas/uploads.ts";
import { writeRun } from "./testing/made-up-run.ts";
import { TARGETS } from "./testing/made-up-runs.ts";
import { openTestCentre, type TestCentre } from "./testing/test-centre.ts";

let at: TestCentre;
let server: Server;
let url: string;
let submit: string;
let from: string;

before(async () => {
  at = await openTestCentre({ hostNames: hostNames({ host: "127.0.0.1", port: 0 }, []) });
  ({ server, url } = await listenTcp(at.app, { host: "127.0.0.1", port: 0 }));
  submit = await at.token("submit");
  from = join(at.home, "elsewhere");
});
after(async () => {
  await close(server, 100);
  await at[Symbol.asyncDispose]();
});

async function makeRun(run: string): Promise<string> {
  const { dir } = await writeRun(from, { run, targets: TARGETS.slice(3, 4), startedAt: new Date("2026-01-01T00:00:00Z"), tests: 30, fate: (_test, index) => (index === 2 ? { kind: "failed", message: "no" } : { kind: "passed" }) });
  await mkdir(join(dir, "console"));
  await writeFile(join(dir, "console", "boot.log"), Buffer.alloc(CHUNK_BYTES + 10, "x"));
  await mkdir(join(dir, "machines"));
  await writeFile(join(dir, "machines", "ram"), "never sent");
  return dir;
}

const send = (runDir: string, changes: { token?: string; url?: string } = {}): Promise<Pushed> => pushRun({ runDir, url, token: submit, onProgress: () => undefined, signal: new AbortController().signal, ...changes });
const fails = (wanted: ErrorCode) => (error: unknown) => error instanceof SuiteError && error.code === wanted;

test("a run arrives whole, is stored with its verdict, and is sent once", async () => {
  const dir = await makeRun("20260101-000000-000001");
  const first = await send(dir);
  assert.deepEqual([first.verdict, first.sent, first.leftOut], ["violated", first.bytes, ["machines/ram"]]);
  const stored = at.centre.live.folder("20260101-000000-000001");
  for (const name of await readdir(dir, { recursive: true })) {
    if (name.startsWith("machines") || (await stat(join(dir, name))).isDirectory()) continue;
    assert.equal(digestOf(await readFile(join(stored, name))), digestOf(await readFile(join(dir, name))), name);
  }
  assert.equal((JSON.parse(await readFile(join(stored, "upload.json"), "utf8")) as { by: string }).by, "a submit");
  const rows = await countRows(at.centre.db, "result");
  const again = await send(dir);
  assert.deepEqual([again.sent, again.verdict, await countRows(at.centre.db, "result")], [0, "violated", rows]);
});

test("an upload that was cut off goes on where it stopped", async () => {
  const dir = await makeRun("20260101-000000-000002");
  const files = await Promise.all(["plan.json", "records.jsonl", "verdict.json", "console/boot.log"].map(async (path) => ({ path, bytes: (await stat(join(dir, path))).size, digest: digestOf(await readFile(join(dir, path))) })));
  const manifest: UploadManifest = { run: "20260101-000000-000002", files };
  const begun = (await at.ask("/uploads", { method: "POST", token: submit, json: manifest })).body as Upload;
  const log = files[3]?.digest ?? "";
  await at.ask(`/uploads/${begun.upload}/contents/${log}?offset=0`, { method: "PUT", token: submit, bytes: new Uint8Array(Buffer.alloc(1000, "x")) });
  const astray = (await at.ask(`/uploads/${begun.upload}/contents/${log}?offset=5`, { method: "PUT", token: submit, bytes: new Uint8Array(3) })).body;
  assert.deepEqual(astray, { taken: false, offset: 1000, complete: false });
  const early = await at.ask(`/uploads/${begun.upload}/finish`, { method: "POST", token: submit });
  assert.equal(early.status, 409);
  const resumed = (await at.ask("/uploads", { method: "POST", token: submit, json: manifest })).body as Upload;
  assert.equal(resumed.upload, begun.upload);
  assert.equal(resumed.missing.find((each) => each.digest === log)?.offset, 1000);
});

test("two that send the same run at once make one run", async () => {
  const dir = await makeRun("20260101-000000-000003");
  const both = await Promise.all([send(dir), send(dir)]);
  assert.deepEqual(both.map((each) => each.verdict), ["violated", "violated"]);
  assert.ok(both[0].sent + both[1].sent <= 2 * both[0].bytes);
  const { rows } = (await at.ask("/runs?text=000003")).body as { rows: unknown[] };
  assert.equal(rows.length, 1);
  assert.deepEqual(await readdir(join(at.home, "uploads")).then((names) => names.filter((name) => name.includes("000003"))), []);
});

test("another run of the same name, files that do not belong together, and damaged content are refused", async () => {
  const dir = await makeRun("20260101-000000-000004");
  await send(dir);
  const records = await readFile(join(dir, "records.jsonl"), "utf8");
  await writeFile(join(dir, "records.jsonl"), `${records}\n{"more":1}`);
  await assert.rejects(send(dir), fails("UPLOAD_CONFLICT"));
  const other = join(from, "20260101-000000-000005");
  await cp(dir, other, { recursive: true });
  await assert.rejects(send(other), fails("FILE_INVALID"));
  const manifest = { run: "20260101-000000-000006", files: ["plan.json", "records.jsonl", "verdict.json"].map((path) => ({ path, bytes: 4, digest: digestOf(path) })) };
  const { upload } = (await at.ask("/uploads", { method: "POST", token: submit, json: manifest })).body as Upload;
  const damaged = await at.ask(`/uploads/${upload}/contents/${digestOf("plan.json")}?offset=0`, { method: "PUT", token: submit, bytes: new Uint8Array(4) });
  assert.equal(damaged.status, 422);
  const tooMuch = await at.ask(`/uploads/${upload}/contents/${digestOf("plan.json")}?offset=0`, { method: "PUT", token: submit, bytes: new Uint8Array(5) });
  assert.equal(tooMuch.status, 400);
});

test("paths that leave the run are refused, whatever they look like", async () => {
  const digest = digestOf("x");
  const needed = ["plan.json", "records.jsonl", "verdict.json"].map((path) => ({ path, bytes: 1, digest }));
  for (const path of ["../plan.json", "/etc/passwd", "evidence/../../x", "evidence/a/../b", "evidence\\..\\x", "upload.json", "evidence/", "evidence/a//b", "evidence/.ssh", "console/a\nb"]) {
    const answer = await at.ask("/uploads", { method: "POST", token: submit, json: { run: "20260101-000000-000007", files: [...needed, { path, bytes: 1, digest }] } });
    assert.equal(answer.status, 400, path);
  }
  for (const files of [[...needed, ...needed.slice(0, 1)], [...needed, { path: "evidence/a", bytes: 1, digest }, { path: "evidence/a/b", bytes: 1, digest }], [needed[0], needed[1], { path: "console/x", bytes: 1, digest }]]) {
    assert.equal((await at.ask("/uploads", { method: "POST", token: submit, json: { run: "20260101-000000-000007", files } })).status, 400);
  }
});

test("who may not, and what is no centre, is told so", async () => {
  const dir = await makeRun("20260101-000000-000008");
  await assert.rejects(send(dir, { token: await at.token("read") }), fails("TOKEN_REFUSED"));
  await assert.rejects(send(dir, { token: "buslab_nobody_knows_this_one" }), fails("TOKEN_NEEDED"));
  await assert.rejects(send(dir, { url: "nonsense" }), fails("USAGE"));
  await assert.rejects(send(dir, { url: `${url}/elsewhere` }), fails("NOTHING_THERE"));
});

test("an address in use or without sense is one sentence", async () => {
  await assert.rejects(listenTcp(at.app, parseAddress(url.replace("http://", ""))), (error: unknown) => fails("LISTEN_FAILED")(error) && /^127\.0\.0\.1:\d+ is in use by another program$/.test((error as Error).message));
  for (const text of ["8420", "a:b", "127.0.0.1:70000", "::1:80", ""]) assert.throws(() => parseAddress(text), fails("USAGE"), text);
  assert.deepEqual(parseAddress("[::1]:8420"), { host: "::1", port: 8420 });
  assert.equal(hostNames({ host: "0.0.0.0", port: 1 }, []), null);
});
