import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { Limits } from "../base/deadline.ts";
import { SuiteError } from "../base/errors.ts";
import { newRunId } from "../base/ids.ts";
import { makeTarget } from "../target/target-id.ts";
import type { ConnectAgent, GuestAgent } from "./guest-agent.ts";
import { FakeMachine } from "./fake/machine.ts";
import { leftoversOf } from "./leftovers.ts";
import type { KernelEvent } from "../record/v1.ts";
import { PoolClient } from "./pool-client.ts";
import { startPool, type LeaseFields, type Pool, type PooledTemplate } from "./pool.ts";
import type { ProbedLease } from "./probe.ts";

const target = makeTarget("x86_64", "debian-6.1", "none", "plain");
const WARNING = "<4>[   12.000000] WARNING: CPU: 0 PID: 1 at lib/x.c:1 kdbus_x+0x1/0x2\r\n";

let runDir = "";
let runId = "";
let pool: Pool;
let machines: FakeMachine[] = [];
/** Those with several processors. */
let parallel: FakeMachine[] = [];
let records: LeaseFields[] = [];
let targetEvents: string[] = [];
let failures = 0;
let silent = new Set<string>();
let tainted = 0;
let probe: (lease: ProbedLease) => Promise<readonly KernelEvent[]> = async () => [];

/** An agent that writes the mark to the console, as the kernel would for /dev/kmsg. */
const connectAgent: ConnectAgent = async (socket) => {
  const machine = machines.find(({ agentSocket }) => agentSocket === socket);
  if (machine === undefined || silent.has(machine.name)) throw new SuiteError("GUEST_TIMEOUT", "the agent is silent");
  const agent: GuestAgent = {
    ping: async () => undefined,
    restored: async () => undefined,
    exec: async () => ({ exitCode: 0, timedOut: false, stdout: "", stderr: "" }),
    mark: async (line) => {
      machine.print(`<12>[   99.000000] ${line}\n`);
      return tainted;
    },
    writeFile: async () => undefined,
    readFile: async () => Buffer.alloc(0),
    insmod: async () => undefined,
    kernelLog: async () => "the kernel's log\n",
    close: async () => undefined,
  };
  return agent;
};

beforeEach(async () => {
  runDir = await mkdtemp(join(tmpdir(), "buslab-pool-test-"));
  runId = newRunId();
  machines = [];
  records = [];
  targetEvents = [];
  failures = 0;
  silent = new Set();
  tainted = 0;
  probe = async () => [];
  const template = (made: FakeMachine[]): PooledTemplate => ({
    target,
    taint: 0,
    probes: [{ name: "trial", take: (lease) => probe(lease) }],
    decoder: { decode: async (events) => events.map((event) => ({ ...event, excerpt: `${event.excerpt} (decoded)` })) },
    clone: async ({ name, dir }) => {
      if (failures > 0) {
        failures -= 1;
        throw new SuiteError("VM_START_FAILED", "QEMU ended while it was started");
      }
      const machine = await FakeMachine.start({ runId, label: name.split("-").at(-1) ?? "m", dir });
      machines.push(machine);
      made.push(machine);
      return { machine, answerMs: 1, readyMs: 2 };
    },
  });
  parallel = [];
  pool = await startPool({
    templates: new Map([[target.id, template([])]]),
    parallel: new Map([[target.id, { template: template(parallel), facts: { cpus: 2 } }]]),
    facts: new Map([[target.id, { generation: "2015-08" }]]),
    slots: 2,
    runDir,
    runId,
    limits: new Limits(0.2),
    connectAgent,
    appendRecord: async (fields) => void records.push(fields),
    onTargetEvents: (_target, events) => targetEvents.push(...events.map(({ kind }) => kind)),
  });
});
afterEach(async () => {
  await pool.close();
  assert.deepEqual(await leftoversOf(runId), []);
  await rm(runDir, { recursive: true, force: true });
});

function machineOf(lease: string): FakeMachine {
  return machines.find(({ name }) => name === lease) ?? assert.fail(`no machine ${lease}`);
}

test("a clean lease is told as clean, recorded, and leaves no evidence", async () => {
  await using client = await PoolClient.connect(pool.socketPath);
  const grant = await client.lease(target.id, "msg/a.spec.ts:MSG-001 x");
  assert.deepEqual(grant.facts, { generation: "2015-08" });
  assert.ok(existsSync(grant.consoleLog));
  const report = await client.release(grant.lease, false);
  assert.deepEqual(report, { events: [], death: null, consoleRead: true });
  assert.deepEqual(records.map(({ type, test: id, machine }) => [type, id, machine]), [["lease", "msg/a.spec.ts:MSG-001 x", grant.lease]]);
  assert.ok(!existsSync(grant.evidenceDir));
});

test("a test that asks for processors gets a machine that has them, made when it asks", async () => {
  await using client = await PoolClient.connect(pool.socketPath);
  assert.deepEqual(parallel, []);
  const grant = await client.lease(target.id, "ord/a.spec.ts:ORD-005 x", true);
  assert.deepEqual(parallel.map(({ name }) => name), [grant.lease]);
  assert.deepEqual(grant.facts, { generation: "2015-08", cpus: 2 });
  machineOf(grant.lease).print(WARNING);
  assert.deepEqual((await client.release(grant.lease, false)).events.map(({ kind }) => kind), ["warn"]);
});

test("a kernel warning during the lease is the test's, one before it is the target's", async () => {
  await using client = await PoolClient.connect(pool.socketPath);
  const first = await client.lease(target.id, "first");
  for (const machine of machines) if (machine.name !== first.lease) machine.print(WARNING);
  const second = await client.lease(target.id, "second");
  assert.deepEqual(targetEvents, ["warn"]);
  machineOf(first.lease).print(WARNING);
  const [one, two] = [await client.release(first.lease, false), await client.release(second.lease, false)];
  assert.deepEqual(one.events.map(({ kind }) => kind), ["warn"]);
  assert.deepEqual(two.events, []);
  assert.match(await readFile(join(first.evidenceDir, "console.log"), "utf8"), /WARNING/);
  assert.match(await readFile(join(first.evidenceDir, "dmesg.txt"), "utf8"), /log/);
});

test("a panic, a kill and a silent kernel are each called by their name", async () => {
  await using client = await PoolClient.connect(pool.socketPath);
  const panicking = await client.lease(target.id, "panic");
  machineOf(panicking.lease).panic("planted");
  const panicked = await client.release(panicking.lease, false);
  assert.equal(panicked.death?.kind, "panic");
  assert.deepEqual(panicked.events.map(({ kind }) => kind), ["panic"]);
  assert.equal(panicked.consoleRead, true);

  const killed = await client.lease(target.id, "killed");
  await client.killQemu(killed.lease);
  assert.equal((await client.release(killed.lease, false)).death?.kind, "killed");

  const hanging = await client.lease(target.id, "hung");
  silent.add(hanging.lease);
  const hung = await client.release(hanging.lease, false);
  assert.equal(hung.death?.kind, "hung");
  assert.deepEqual(hung.events, []);
  assert.match(await readFile(join(hanging.evidenceDir, "hang.txt"), "utf8"), /Show State/);
});

test("a taint without a report is an event", async () => {
  await using client = await PoolClient.connect(pool.socketPath);
  const grant = await client.lease(target.id, "taint");
  tainted = 512;
  assert.deepEqual((await client.release(grant.lease, false)).events.map(({ fingerprint }) => fingerprint), ["taint: W"]);
});

test("what a probe finds is the test's, and one without an answer forbids a pass", async () => {
  await using client = await PoolClient.connect(pool.socketPath);
  const leak: KernelEvent = { kind: "leak", fingerprint: "leak: x", title: "x", consoleOffset: -1, excerpt: "" };
  const leaking = await client.lease(target.id, "leaking");
  probe = async ({ test: id }) => (id === "leaking" ? [leak] : []);
  machineOf(leaking.lease).print("<6>[   21.000000] kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)\r\n");
  assert.deepEqual((await client.release(leaking.lease, false)).events, [{ ...leak, excerpt: " (decoded)" }]);

  const asked = await client.lease(target.id, "asked in vain");
  probe = async () => Promise.reject(new Error("no answer"));
  const report = await client.release(asked.lease, false);
  assert.deepEqual([report.events, report.consoleRead, report.unasked], [[], true, "trial: no answer"]);

  const dead = await client.lease(target.id, "dead");
  machineOf(dead.lease).panic("planted");
  assert.equal((await client.release(dead.lease, false)).unasked, undefined);
});

test("a console that cannot be read is told, never taken for a silent one", async () => {
  await using client = await PoolClient.connect(pool.socketPath);
  const grant = await client.lease(target.id, "no console");
  await rm(grant.consoleLog);
  await rm(grant.evidenceDir, { recursive: true });
  assert.equal((await client.release(grant.lease, false)).consoleRead, false);
});

test("a third lease waits for a slot, and a worker that dies gives its slots back", async () => {
  const dying = await PoolClient.connect(pool.socketPath);
  const held = [await dying.lease(target.id, "one"), await dying.lease(target.id, "two")];
  await using client = await PoolClient.connect(pool.socketPath);
  let granted = false;
  const waiting = client.lease(target.id, "three").then((grant) => ((granted = true), grant));
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(granted, false);
  await dying.close();
  const third = await waiting;
  assert.ok(!held.map(({ lease }) => lease).includes(third.lease));
  await client.release(third.lease, false);
  assert.deepEqual(records.map(({ test: id }) => id).sort(), ["one", "three", "two"]);
});

test("a clone that dies before its test is replaced unseen, two in a row are told as infrastructure", async () => {
  await using client = await PoolClient.connect(pool.socketPath);
  const first = await client.lease(target.id, "first");
  await client.release(first.lease, false);
  const ready = machines.find(({ name, endedByUs }) => !endedByUs && name !== first.lease);
  ready?.murder();
  await ready?.dead;
  const grant = await client.lease(target.id, "second");
  assert.notEqual(grant.lease, ready?.name);
  await client.release(grant.lease, false);

  for (const machine of machines) if (!machine.endedByUs) machine.murder();
  await Promise.all(machines.map(({ dead }) => dead));
  failures = 9;
  await assert.rejects(client.lease(target.id, "third"), (error: unknown) => error instanceof SuiteError && error.blame === "infrastructure");
  failures = 0;
  await client.release((await client.lease(target.id, "fourth")).lease, false);
});

test("closing the pool ends leases and waiting requests, and leaves nothing running", async () => {
  const client = await PoolClient.connect(pool.socketPath);
  await client.lease(target.id, "one");
  await client.lease(target.id, "two");
  const refused = assert.rejects(client.lease(target.id, "three"), (error: unknown) => error instanceof SuiteError && error.code === "VM_POOL_CLOSED");
  await new Promise((resolve) => setTimeout(resolve, 50));
  await pool.close();
  await refused;
  assert.deepEqual(await leftoversOf(runId), []);
  assert.deepEqual((await readdir(runDir)).includes("machines"), false);
  assert.equal(records.length, 2);
});

test("an unknown target and a lease of another connection are refused by name", async () => {
  await using client = await PoolClient.connect(pool.socketPath);
  await using other = await PoolClient.connect(pool.socketPath);
  await assert.rejects(client.lease("arm64/x/none/plain", "t"), (error: unknown) => error instanceof SuiteError && error.code === "TARGET_UNKNOWN");
  const grant = await client.lease(target.id, "mine");
  await assert.rejects(other.release(grant.lease, false), /no lease of this connection/);
  await client.release(grant.lease, false);
});
