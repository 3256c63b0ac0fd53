import assert from "node:assert/strict";
import { symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { after, before, describe } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { ingestRun } from "../store/ingest.ts";
import { storeBench } from "../store/bench.ts";
import type { RunDetail, RunList, TestDetail, TestList } from "./schemas/runs.ts";
import type { LiveState } from "./schemas/live.ts";
import type { Comparison, CrashList, Matrix, RequirementDetail } from "./schemas/views.ts";
import { writeRun, type MadeUp } from "./testing/made-up-run.ts";
import { HOSTILE, history, TARGETS } from "./testing/made-up-runs.ts";
import { openTestCentre, type Asked, type TestCentre } from "./testing/test-centre.ts";

const COOKIE = /^buslab_session=([\w-]{43}); Max-Age=\d+; Path=\/; HttpOnly; SameSite=Strict$/;
let at: TestCentre;
let runs: MadeUp[];

before(async () => {
  at = await openTestCentre({ publicRead: false });
  runs = history(4, 130, new Date());
  for (const made of runs) {
    const { dir } = await writeRun(at.centre.runsDir, made);
    await ingestRun(at.centre.db, made.run, dir);
  }
  for (let day = 1; day < 8; day++) await storeBench(at.centre.db, { schema: "buslab.bench/1", target: TARGETS[3], accel: { kind: "tcg" }, at: `2026-11-0${day}T00:00:00.000Z`, figures: [{ name: "round trip", value: 10 + day, unit: "us", exact: false }] }, "2026-11-01T00:00:00.000Z");
});
after(() => at[Symbol.asyncDispose]());

const code = ({ body }: Asked): string => (body as { code: string }).code;
const latest = (): string => runs.at(-1)?.run ?? "";

describe("what is answered", () => {
  let read: string;
  before(async () => void (read = await at.token("read")));

  test("the document is OpenAPI 3.1 by a validator of others", async () => {
    const { body } = await at.ask("/openapi.json");
    assert.equal((body as { openapi: string }).openapi, "3.1.0");
    const result = await new Validator().validate(body as Record<string, unknown>);
    assert.equal(result.valid, true, JSON.stringify("errors" in result ? result.errors : ""));
  });

  test("runs, one run, its tests and requirements are as stored", async () => {
    const list = (await at.ask("/runs?limit=2", { token: read })).body as RunList;
    assert.deepEqual([list.total, list.rows.map((row) => row.run)], [4, [runs[3]?.run, runs[2]?.run]]);
    const detail = (await at.ask("/runs/latest", { token: read })).body as RunDetail;
    assert.deepEqual([detail.run, detail.state, detail.verdict, detail.targets.length, detail.canaries], [latest(), "judged", "violated", 5, { right: 5, planned: 5 }]);
    const tests = (await at.ask(`/runs/${latest()}/tests?target=${TARGETS[3]}&outcome=bad`, { token: read })).body as TestList;
    assert.ok(tests.total > 0 && tests.rows.every((row) => row.outcome === "failed" || row.outcome === "timed-out"));
    const verdict = (await at.ask("/runs/latest/verdict", { token: read })).body as { schema: string; run: string };
    assert.deepEqual([verdict.schema, verdict.run], ["buslab.run/1", latest()]);
    assert.equal((await at.ask(`/runs/latest/requirements?state=violated`, { token: read })).status, 200);
  });

  test("a test comes with its evidence, and hostile text as it was", async () => {
    const bad = (await at.ask("/runs/latest/tests?outcome=failed&limit=1000", { token: read })).body as TestList;
    const row = bad.rows.find((each) => each.message?.includes("expect") === true);
    assert.ok(row !== undefined);
    const query = new URLSearchParams({ target: row.target, test: row.test });
    const detail = (await at.ask(`/runs/latest/test?${query}`, { token: read })).body as TestDetail;
    assert.deepEqual(detail.evidence.map((file) => file.path.split("/").at(-1)), ["console.log", "explanation.txt"]);
    const errors = bad.rows.map(async (each) => ((await at.ask(`/runs/latest/test?${new URLSearchParams({ target: each.target, test: each.test })}`, { token: read })).body as TestDetail).attempts[0]?.errors[0]?.message ?? "");
    assert.ok((await Promise.all(errors)).some((message) => message.includes(HOSTILE.replaceAll("\u001b", "\u001b"))), "the message is kept to the letter");
    const file = await at.ask(`/runs/latest/file?path=${encodeURIComponent(detail.evidence[1]?.path ?? "")}`, { token: read });
    assert.match(file.text, /What went over the bus/);
    assert.equal(file.headers.get("content-type"), "text/plain; charset=utf-8");
    assert.match(file.headers.get("content-security-policy") ?? "", /default-src 'none'; sandbox/);
    const window = await at.ask(`/runs/latest/file?path=records.jsonl&from=-10&bytes=4`, { token: read });
    assert.deepEqual([window.text.length, Number(window.headers.get("x-total-bytes")) - Number(window.headers.get("x-from"))], [4, 10]);
  });

  test("matrix, compare, crashes, history, requirements, figures, waivers", async () => {
    const matrix = (await at.ask("/matrix?whole=true", { token: read })).body as Matrix;
    assert.deepEqual(matrix.targets.map((row) => row.target), [...TARGETS]);
    assert.equal(matrix.cells.filter((cell) => cell.target === TARGETS[3]).reduce((sum, cell) => sum + cell.planned, 0) > 100, true);
    const comparison = (await at.ask("/compare?a=previous&b=latest", { token: read })).body as Comparison;
    assert.ok(comparison.broke.length > 0 && comparison.mended.length > 0 && comparison.same > 0);
    const crashes = (await at.ask("/crashes", { token: read })).body as CrashList;
    assert.deepEqual(crashes.rows.map((row) => row.kind).sort(), ["kasan"], "planted panics are left out");
    assert.equal((await at.ask(`/crashes/events?fingerprint=${encodeURIComponent(crashes.rows[0]?.fingerprint ?? "")}`, { token: read })).status, 200);
    const requirement = (await at.ask("/requirements/ABI-001", { token: read })).body as RequirementDetail;
    assert.ok(requirement.source !== null && requirement.history.rows.length === 20 && requirement.tests.length === 1);
    assert.equal((await at.ask("/requirements", { token: read })).status, 200);
    assert.equal((await at.ask(`/tests/history?test=${encodeURIComponent(requirement.tests[0]?.test ?? "")}`, { token: read })).status, 200);
    for (const path of ["/figures?name=round%20trip", "/figures/names", "/waivers"]) assert.equal((await at.ask(path, { token: read })).status, 200);
  });

  test("what does not exist is said so in one sentence", async () => {
    for (const path of ["/runs/20200101-000000-aaaaaa", "/requirements/MSG-999", "/runs/latest/test?target=a&test=b", "/nothing", "/runs/20200101-000000-aaaaaa/events"]) {
      const answer = await at.ask(path, { token: read });
      assert.equal(answer.status, 404, path);
      assert.match((answer.body as { message: string }).message, /^[^\n]{10,300}$/);
    }
    for (const path of ["/runs?limit=0", "/runs/nonsense", "/runs?verdict=green", "/compare?a=latest"]) assert.equal(code(await at.ask(path, { token: read })), "USAGE", path);
    assert.deepEqual(at.logged, []);
  });

  test("files outside of the run are refused, however they are named", async () => {
    const evidence = join(at.centre.live.folder(latest()), "evidence");
    await symlink("/etc", join(evidence, "link"));
    await writeFile(join(at.home, "secret.txt"), "secret");
    for (const path of ["../secret.txt", "evidence/../../../secret.txt", "/etc/passwd", "evidence/..", "upload.json", ".", "evidence/.hidden", "evidence%2f..%2fplan.json", "console/\u0000"]) {
      assert.equal((await at.ask(`/runs/latest/file?path=${encodeURIComponent(path)}`, { token: read })).status, 400, path);
    }
    const led = await at.ask("/runs/latest/file?path=evidence/link/passwd", { token: read });
    assert.deepEqual([led.status, code(led)], [404, "NOTHING_THERE"]);
    assert.equal((await at.ask("/runs/..%2F..%2Fetc/file?path=plan.json", { token: read })).status, 400);
  });
});

describe("who may", () => {
  test("nobody reads without a token unless that is configured, and nobody ever writes", async () => {
    await using open = await openTestCentre({ publicRead: true });
    assert.equal((await open.ask("/runs")).status, 200);
    assert.equal((await at.ask("/runs")).status, 401);
    assert.equal((await at.ask("/session")).status, 200);
    for (const [method, path, json] of [["POST", "/uploads", { run: latest(), files: [] }], ["POST", "/tokens", { name: "x", role: "admin", expiresAt: null }], ["DELETE", "/tokens/x", undefined]] as const) {
      for (const centre of [at, open]) assert.deepEqual([(await centre.ask(path, { method, json })).status, path], [401, path]);
    }
    assert.equal((await open.ask("/runs", { token: `buslab_${"x".repeat(43)}` })).status, 401, "who shows a wrong token is told");
  });

  test("each role may what it is for and no more", async () => {
    const [read, submit, admin] = [await at.token("read"), await at.token("submit"), await at.token("admin")];
    const manifest = { run: "20260101-000000-abcdef", files: ["plan.json", "records.jsonl", "verdict.json"].map((path) => ({ path, bytes: 1, digest: `sha256:${"0".repeat(64)}` })) };
    assert.equal((await at.ask("/uploads", { method: "POST", token: read, json: manifest })).status, 403);
    assert.equal((await at.ask("/uploads", { method: "POST", token: submit, json: manifest })).status, 200);
    assert.equal((await at.ask("/tokens", { token: submit })).status, 403);
    const listed = await at.ask("/tokens", { token: admin });
    assert.equal(listed.status, 200);
    assert.equal(listed.text.includes(admin), false);
    assert.equal((await at.ask("/tokens", { owner: true })).status, 200, "the owner's socket needs none");
  });

  test("a token that expired or was revoked no longer holds, and the database has no token", async () => {
    const gone = await at.token("read", new Date(Date.now() - 1));
    assert.equal((await at.ask("/runs", { token: gone })).status, 401);
    const admin = await at.token("admin");
    const made = await at.ask("/tokens", { method: "POST", token: admin, json: { name: "once", role: "read", expiresAt: null } });
    const { id, token } = made.body as { id: string; token: string };
    assert.match(token, /^buslab_[\w-]{43}$/);
    assert.equal((await at.ask("/runs", { token })).status, 200);
    assert.equal((await at.ask(`/tokens/${id}`, { method: "DELETE", token: admin })).status, 200);
    assert.equal((await at.ask("/runs", { token })).status, 401);
    const rows = await at.centre.db.selectFrom("token").selectAll().execute();
    assert.equal(JSON.stringify(rows).includes(token), false);
    assert.ok(rows.every((row) => /^[0-9a-f]{64}$/.test(row.hash)));
  });

  test("a browser exchanges its token for a cookie that ends with the token", async () => {
    const token = await at.token("admin");
    assert.equal((await at.ask("/session", { method: "POST", json: { token: "buslab_wrong" } })).status, 401);
    const answer = await at.ask("/session", { method: "POST", json: { token }, headers: { origin: "http://localhost", host: "localhost" } });
    const [, secret = ""] = COOKIE.exec(answer.headers.get("set-cookie") ?? "") ?? [];
    assert.notEqual(secret, "");
    assert.notEqual(secret, token);
    const cookie = `buslab_session=${secret}`;
    assert.equal((await at.ask("/runs", { headers: { cookie } })).status, 200);
    const json = { name: "by page", role: "read", expiresAt: null };
    const own = { cookie, host: "localhost", origin: "http://localhost" };
    assert.equal((await at.ask("/tokens", { method: "POST", json, headers: own })).status, 201);
    for (const foreign of [{ cookie, host: "localhost" }, { ...own, origin: "http://evil.example" }, { ...own, origin: "http://localhost:1" }, { ...own, origin: "null" }, { ...own, "sec-fetch-site": "same-site" }]) {
      assert.equal((await at.ask("/tokens", { method: "POST", json, headers: foreign })).status, 403, JSON.stringify(foreign));
    }
    const rows = await at.centre.db.selectFrom("token").select(["id", "name"]).where("name", "=", "a admin").execute();
    for (const row of rows) await at.centre.db.updateTable("token").set({ revoked_at: new Date().toISOString() }).where("id", "=", row.id).execute();
    assert.equal((await at.ask("/runs", { headers: { cookie } })).status, 401, "revoking the token ends its sessions");
  });

  test("strange host names, large bodies and foreign frames are refused", async () => {
    assert.equal((await at.app.request("http://rebound.example/api/v1/session")).status, 400);
    const submit = await at.token("submit");
    const large = await at.ask(`/uploads/20260101-000000-abcdef.${"0".repeat(16)}/contents/sha256:${"0".repeat(64)}?offset=0`, { method: "PUT", token: submit, bytes: new Uint8Array(5 * 1024 * 1024), headers: { "content-length": String(5 * 1024 * 1024) } });
    assert.deepEqual([large.status, code(large)], [413, "BODY_TOO_LARGE"]);
    const page = await at.app.request("http://localhost/runs");
    assert.match(page.headers.get("content-security-policy") ?? "", /^default-src 'self'; frame-ancestors 'none'/);
    assert.deepEqual([page.headers.get("x-content-type-options"), page.headers.get("x-frame-options")], ["nosniff", "DENY"]);
  });
});

describe("runs that go on", () => {
  test("are summed up from their folder, planted faults apart", async () => {
    const read = await at.token("read");
    const run = "20261124-000000-00000a";
    await writeRun(at.centre.runsDir, { run, targets: TARGETS.slice(3, 4), startedAt: new Date(), tests: 40, unfinishedAfter: 10, fate: (_test, index) => (index === 3 ? { kind: "failed", message: "no" } : { kind: "passed" }) });
    const live = (await at.ask(`/runs/${run}/live`, { token: read })).body as LiveState;
    assert.deepEqual([live.state, live.done, live.passed, live.failed, live.failures.length, live.targets[0]?.state], ["running", 10, 9, 1, 1, "running"]);
    assert.ok(live.leftMs !== null && live.planned < 41 && live.planned > 30);
  });

  test("the stream of a finished run gives every record once, from where the client was, and ends", async () => {
    const read = await at.token("read");
    const whole = await at.app.request(`http://localhost/api/v1/runs/${latest()}/events`, { headers: { authorization: `Bearer ${read}` } });
    const events = (await whole.text()).split("\n\n").filter((part) => part.includes("event: record"));
    const ids = events.map((event) => Number(/^id: (\d+)$/m.exec(event)?.[1]));
    assert.ok(ids.length > 600 && ids.every((id, index) => index === 0 || id > (ids[index - 1] ?? 0)));
    const rest = await at.app.request(`http://localhost/api/v1/runs/${latest()}/events`, { headers: { authorization: `Bearer ${read}`, "last-event-id": String(ids.at(-4)) } });
    const tail = await rest.text();
    assert.deepEqual([...tail.matchAll(/^id: (\d+)$/gm)].map((match) => Number(match[1])), ids.slice(-3));
    assert.match(tail, /event: end\ndata: \{.*"judged":true\}/);
  });
});
