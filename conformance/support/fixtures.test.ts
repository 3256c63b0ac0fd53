import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import test, { after } from "node:test";
import { exec } from "../../orchestration/base/exec.ts";
import { ROOT } from "../../orchestration/base/paths.ts";
import { RUNNER_CLI } from "../../orchestration/plan/discover.ts";
import type { LeaseReport, LeaseRequest } from "../../orchestration/vm/lease.ts";
import { HostAgent } from "./host-agent.ts";

/** The real runner on a tiny spec; the machine is this host, leased from a pool of four lines. */
const host = await HostAgent.start();
const SPEC = `
import { covers, expect, test, unsupported } from "${ROOT}/conformance/support/index.ts";
test("good", covers("MSG-001"), async ({ root }) => { expect((await root.syscall("getppid")).errno).toBeNull(); });
test("bad", covers("MSG-001"), async ({ root }) => { await root.open("/no/such/file"); });
test("noisy kernel", covers("MSG-001"), async ({ root }) => { await root.syscall("getppid"); });
test("unread console", covers("MSG-001"), async ({ root }) => { await root.syscall("getppid"); });
test("no machine", covers("MSG-001"), async ({ root }) => { await root.syscall("getppid"); });
test("lacking", covers("MSG-001"), async ({ root }) => { await root.syscall("getppid"); unsupported("the thing"); });
`;
const LEASE_EVENT = { kind: "warn", fingerprint: "warn:x", title: "WARNING at x.c:1", consoleOffset: 3, excerpt: "WARNING: ..." } as const;
const CONFIG = `
export default { testDir: ".", outputDir: "./out", workers: 1, retries: 0, timeout: 20000, projects: [{ name: "here", use: { target: "here" } }], reporter: [["json", { outputFile: "report.json" }]] };
`;

interface Report {
  readonly errors: readonly unknown[];
  readonly suites: readonly { readonly specs: readonly { readonly title: string; readonly tests: readonly { readonly results: readonly Ended[] }[] }[] }[];
}

interface Ended {
  readonly status: string;
  readonly errors: readonly { readonly message?: string }[];
  readonly annotations: readonly { readonly type: string; readonly description?: string }[];
}

const released = new Map<string, boolean>();
const server = await servePool(join(host.folder, "pool.sock"));
const results = await runTinySpec(host.folder, join(host.folder, "pool.sock"));
after(async () => {
  server.close();
  await host[Symbol.asyncDispose]();
});

async function runTinySpec(folder: string, pool: string): Promise<ReadonlyMap<string, Ended>> {
  await writeFile(join(folder, "tiny.spec.ts"), SPEC);
  await writeFile(join(folder, "playwright.config.ts"), CONFIG);
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  await exec([process.execPath, RUNNER_CLI, "test", "-c", join(folder, "playwright.config.ts")], {
    cwd: folder,
    env: { BUSLAB_POOL: pool, NODE_OPTIONS: undefined, NODE_TEST_CONTEXT: undefined },
    okCodes: [0, 1],
    timeoutMs: 120_000,
  });
  const report = JSON.parse(await readFile(join(folder, "report.json"), "utf8")) as Report;
  assert.deepEqual(report.errors, []);
  return new Map(report.suites.flatMap((suite) => suite.specs.map((spec) => [spec.title, spec.tests[0]?.results[0] as Ended] as const)));
}

function servePool(path: string): Promise<Server> {
  const pool = createServer((socket) => {
    socket.setEncoding("utf8").on("data", (chunk) => {
      for (const line of String(chunk).trim().split("\n")) socket.write(`${JSON.stringify(answer(JSON.parse(line) as LeaseRequest))}\n`);
    });
  });
  return new Promise((resolve) => pool.listen(path, () => resolve(pool)));
}

function answer(request: LeaseRequest): unknown {
  const { id } = request;
  if (request.op === "lease") {
    const title = request.test.slice(request.test.indexOf(":") + 1);
    if (title === "no machine") return { id, ok: false, code: "VM_START_FAILED", message: "no machine today" };
    return { id, ok: true, grant: { lease: title, agentSocket: host.socket, consoleLog: "/dev/null", evidenceDir: join(host.folder, "evidence", title), readyMs: 1, facts: { generation: "2015-08" } } };
  }
  if (request.op === "release") released.set(request.lease, request.keepEvidence);
  const quiet: LeaseReport = { events: [], death: null, consoleRead: true };
  const lease = "lease" in request ? request.lease : "";
  return { id, ok: true, report: lease === "noisy kernel" ? { ...quiet, events: [LEASE_EVENT] } : lease === "unread console" ? { ...quiet, consoleRead: false } : quiet };
}

function ended(title: string): Ended {
  const found = results.get(title);
  assert.ok(found, `${title} did not run`);
  return found;
}

test("a good test passes and gives its machine back without evidence", () => {
  assert.equal(ended("good").status, "passed");
  assert.equal(released.get("good"), false);
});

test("a failed test leaves its story where the evidence is", async () => {
  assert.equal(ended("bad").status, "failed");
  assert.equal(released.get("bad"), true);
  const story = await readFile(join(host.folder, "evidence", "bad", "explanation.txt"), "utf8");
  assert.match(story, /MSG-001 \(must;/);
  assert.match(story, /root\(uid 0\) {2}open \/no\/such\/file\n +-> ENOENT/);
  assert.match(story, /Expected and seen\n {2}open of \/no\/such\/file\n {4}Expected: success\n {4}Received: ENOENT/);
  assert.deepEqual(ended("bad").annotations.map((note) => note.type), ["requirement", "evidence"]); // prettier-ignore
});

test("what the kernel says fails a test that saw nothing itself", () => {
  assert.equal(ended("noisy kernel").status, "failed");
  assert.match(ended("noisy kernel").errors[0]?.message ?? "", /the kernel reported warn: WARNING at x\.c:1/);
});

test("a console that was not read fails the test as the ground's fault", () => {
  assert.equal(ended("unread console").status, "failed");
  assert.match(ended("unread console").errors[0]?.message ?? "", /SuiteError \[CONSOLE_LOST\]: /);
});

test("without a machine the test fails with the pool's own code", () => {
  assert.match(ended("no machine").errors[0]?.message ?? "", /SuiteError \[VM_START_FAILED\]: no machine today/);
});

test("a missing precondition is named and never a pass", () => {
  assert.equal(ended("lacking").status, "skipped");
  assert.deepEqual(ended("lacking").annotations.filter((note) => note.type === "unsupported").map((note) => note.description), ["the thing"]); // prettier-ignore
});
