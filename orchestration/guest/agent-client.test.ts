import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { GuestAgent } from "../vm/guest-agent.ts";
import { AgentClient } from "./agent-client.ts";
import { ByteWriter } from "./bytes.ts";
import { encodeFrame, FRAME } from "./frame.ts";
import { Program } from "./program.ts";
import { needsRoot, TestAgent } from "./test-agent.ts";

test("ping, info and the round trip", async (t) => {
  await using agent = await TestAgent.start();
  await using client = await agent.connect();
  const asMachineSees: GuestAgent = client;
  await asMachineSees.ping({ timeoutMs: 1000 });
  assert.equal(client.info.sysname, "Linux");
  const times: number[] = [];
  for (let i = 0; i < 200; i++) {
    const start = performance.now();
    await client.ping();
    times.push(performance.now() - start);
  }
  const median = times.sort((a, b) => a - b)[100] ?? Number.NaN;
  t.diagnostic(`median round trip ${median.toFixed(3)} ms`);
  assert.ok(median < 5, `median round trip ${median} ms`);
});

test("files travel whole in both directions, folders are made, errors are named", async () => {
  await using agent = await TestAgent.start();
  await using client = await agent.connect();
  const dir = mkdtempSync(join(tmpdir(), "buslab-files-"));
  const data = new Uint8Array(3_000_001).map((_, i) => i % 251);
  await client.writeFile(join(dir, "a/b/c.bin"), data, { mode: 0o600 });
  assert.deepEqual(new Uint8Array(readFileSync(join(dir, "a/b/c.bin"))), data);
  assert.deepEqual(await client.readFile(join(dir, "a/b/c.bin")), data);
  await client.writeFile(join(dir, "a/b/c.bin"), "short");
  assert.equal(await client.readText(join(dir, "a/b/c.bin")), "short");
  await assert.rejects(client.readFile("/no/such/file"), { code: "GUEST_REFUSED", message: /ENOENT/ });
  assert.match(await client.readText("/proc/self/stat"), /agent/);
  rmSync(dir, { recursive: true });
});

test("commands: output, input, status, signals, unknown programs, limits", async () => {
  await using agent = await TestAgent.start();
  await using client = await agent.connect();
  const big = "x".repeat(300_000);
  const cat = await client.exec(["sh", "-c", "cat; echo $WORD >&2; pwd; exit 7"], { stdin: big, env: { WORD: "said" }, cwd: "/usr" });
  assert.deepEqual(cat, { exitCode: 7, timedOut: false, stdout: `${big}/usr\n`, stderr: "said\n" });
  assert.equal((await client.exec(["sh", "-c", "kill -TERM $$"])).exitCode, 128 + 15);
  assert.equal((await client.exec(["no-such-program"])).exitCode, 127);
  const slow = await client.exec(["sh", "-c", "echo begun; sleep 60"], { timeoutMs: 300 });
  assert.deepEqual([slow.timedOut, slow.exitCode, slow.stdout], [true, 137, "begun\n"]);
});

test("a slow command does not keep the agent from answering", async () => {
  await using agent = await TestAgent.start();
  await using client = await agent.connect();
  const slow = client.exec(["sleep", "1"]);
  await client.ping({ timeoutMs: 500 });
  assert.equal((await slow).exitCode, 0);
});

test("kernel log from a cursor on, taint", { skip: needsRoot }, async () => {
  await using agent = await TestAgent.start();
  await using client = await agent.connect();
  const cursor = await client.kernelLogEnd();
  await client.writeFile("/dev/kmsg", "<5>buslab test line\n", { control: true });
  const log = await client.kernelLogSince(cursor);
  assert.deepEqual(log.records.map((record) => [record.level, record.text]).filter(([, text]) => text === "buslab test line"), [[5, "buslab test line"]]); // prettier-ignore
  assert.ok(log.cursor > cursor);
  assert.equal((await client.kernelLogSince(log.cursor)).records.filter((record) => record.text === "buslab test line").length, 0);
  assert.match(await client.kernelLog(), /buslab test line/);
  assert.ok((await client.taint()) >= 0);
});

test("a mark stands in the kernel's log as user space's, and tells the taint", { skip: needsRoot }, async () => {
  await using agent = await TestAgent.start();
  await using client = await agent.connect();
  const cursor = await client.kernelLogEnd();
  assert.equal(await client.mark("buslab mark"), await client.taint());
  const { records } = await client.kernelLogSince(cursor);
  assert.deepEqual(records.filter(({ text }) => text === "buslab mark").map(({ level }) => level), [4]);
  await assert.rejects(client.mark("two\nlines"), { code: "GUEST_REFUSED", message: /one line of at most 200 bytes/ });
  await assert.rejects(client.mark("x".repeat(201)), { code: "GUEST_REFUSED" });
});

test("restored seeds the random pool; a wrong seed is refused before it is sent", { skip: needsRoot }, async () => {
  await using agent = await TestAgent.start();
  await using client = await agent.connect();
  await client.restored({ unixMs: 0 }); // 0 leaves this host's clock alone
  await assert.rejects(client.restored({ unixMs: 0, seed: new Uint8Array(3) }), RangeError);
});

test("modules and mounts that do not exist are refused with the errno", { skip: needsRoot }, async () => {
  await using agent = await TestAgent.start();
  await using client = await agent.connect();
  await assert.rejects(client.insmod("/no/such.ko"), { code: "GUEST_REFUSED", message: /ENOENT/ });
  await assert.rejects(client.rmmod("no_such_module"), { code: "GUEST_REFUSED" });
  await assert.rejects(client.mount({ source: "none", target: "/proc", type: "nosuchfs" }), { code: "GUEST_REFUSED", message: /ENODEV/ });
  await assert.rejects(client.umount("/usr/share/doc"), { code: "GUEST_REFUSED", message: /EINVAL/ });
});

test("a killed agent rejects what waits with GUEST_LOST and its peers die with it", async () => {
  await using agent = await TestAgent.start();
  const client = await agent.connect();
  const peer = await client.spawnPeer();
  const program = new Program();
  program.syscall("ppoll", [0, 0, 0, 0, 0]);
  const waiting = peer.run(program);
  agent.kill();
  await assert.rejects(waiting, { code: "GUEST_LOST", message: /program on peer 1/ });
  assert.equal((await client.lost).code, "GUEST_LOST");
  await assert.rejects(client.ping(), { code: "GUEST_LOST" });
  for (let i = 0; i < 100 && alive(peer.pid); i++) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(alive(peer.pid), false);
});

test("an agent that stops answering gives GUEST_TIMEOUT, and works again after", async () => {
  await using agent = await TestAgent.start();
  await using client = await agent.connect();
  process.kill(client.info.agentPid, "SIGSTOP");
  await assert.rejects(client.ping({ timeoutMs: 200 }), { code: "GUEST_TIMEOUT", message: /ping: the agent did not answer within 200 ms/ });
  process.kill(client.info.agentPid, "SIGCONT");
  await client.ping();
  assert.match(client.transcript(), /too late/);
});

test("a new client finds no peers and no stale bytes of the former one", async () => {
  await using agent = await TestAgent.start();
  const first = await agent.connect();
  const peer = await first.spawnPeer();
  const big = new Program();
  big.read(big.buffer(4_000_000));
  void peer.run(big).catch(() => undefined);
  await first.close();
  await using second = await agent.connect();
  await second.ping();
  assert.equal((await second.spawnPeer()).id, 1);
  for (let i = 0; i < 100 && alive(peer.pid); i++) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(alive(peer.pid), false);
});

test("half a frame and garbage before SYNC are thrown away", async () => {
  await using agent = await TestAgent.start();
  await agent.connect().then((client) => client.close());
  const raw = await dial(agent.socket);
  // as a client that died in mid-frame: its rest never comes, the next SYNC follows on the same wire
  const ping = encodeFrame(FRAME.PING, 1, 1, new Uint8Array(100));
  raw.write(Buffer.concat([Buffer.from("garbage BLG"), sync(0), ping.subarray(0, 60)]));
  assert.equal((await frameOf(raw)).type, FRAME.SYNCED);
  raw.write(sync(5));
  const bad = await frameOf(raw);
  assert.equal(bad.type, FRAME.BAD_FRAME);
  assert.match(bad.payload.toString(), /incomplete for one second|wrong checksum/);
  assert.equal((await frameOf(raw)).type, FRAME.SYNCED);
  raw.destroy();
});

test("a frame with a wrong checksum, number, magic or length is reported and nothing behind it is done", async () => {
  const sound = encodeFrame(FRAME.PING, 1, 1, Uint8Array.of(1, 2, 3));
  const damaged = Uint8Array.from(sound).fill(0xff, 25, 26);
  const huge = Buffer.from(sound);
  huge.writeUInt32LE(0x7fffffff, 4);
  const cases: [string, Uint8Array][] = [
    ["wrong checksum", damaged],
    ["frame number 9 came, 1 was due", encodeFrame(FRAME.PING, 1, 9, new Uint8Array())],
    ["frame began with", Uint8Array.from(sound).fill(0x20, 0, 1)],
    ["the limit is", huge],
  ];
  await using agent = await TestAgent.start();
  await agent.connect().then((client) => client.close());
  for (const [message, frame] of cases) {
    const raw = await dial(agent.socket);
    raw.write(Buffer.concat([sync(0), frame, encodeFrame(FRAME.PING, 2, 2, new Uint8Array()), sync(7)]));
    assert.equal((await frameOf(raw)).type, FRAME.SYNCED);
    const bad = await frameOf(raw);
    assert.equal(bad.type, FRAME.BAD_FRAME);
    assert.ok(bad.payload.includes(message), `${bad.payload.toString()} should say: ${message}`);
    assert.equal((await frameOf(raw)).type, FRAME.SYNCED); // the ping in between got no answer
    raw.destroy();
  }
});

test("a damaged answer of the agent is GUEST_PROTOCOL, never a guess", async () => {
  const dir = mkdtempSync(join(tmpdir(), "buslab-liar-"));
  const path = join(dir, "s");
  const server = createServer((socket) => {
    let asked = 0;
    socket.on("data", (bytes: Buffer) => {
      if (asked++ === 0) {
        socket.write("console text that got onto the wire BLG\x01");
        socket.write(encodeFrame(FRAME.SYNCED, 0, 0, new ByteWriter().raw(bytes.subarray(24, 40)).u32(1).u32(1).done()));
        return;
      }
      const answer = encodeFrame(FRAME.OK, 1, 1, new Uint8Array(200));
      socket.write(Uint8Array.from(answer).fill(0x41, 100, 101));
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  await assert.rejects(AgentClient.connect(path, { timeoutMs: 2000 }), { code: "GUEST_PROTOCOL", message: /wrong checksum/ });
  server.close();
  rmSync(dir, { recursive: true });
});

test("nobody at the socket is GUEST_LOST, somebody mute is GUEST_TIMEOUT", async () => {
  const dir = mkdtempSync(join(tmpdir(), "buslab-mute-"));
  await assert.rejects(AgentClient.connect(join(dir, "none"), { timeoutMs: 100 }), { code: "GUEST_LOST", message: /nothing answers at/ });
  const server = createServer(() => undefined);
  await new Promise<void>((resolve) => server.listen(join(dir, "mute"), resolve));
  await assert.rejects(AgentClient.connect(join(dir, "mute"), { timeoutMs: 200 }), { code: "GUEST_TIMEOUT", message: /within 200 ms/ });
  server.close();
  rmSync(dir, { recursive: true });
});

function alive(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

function sync(number: number): Uint8Array {
  return encodeFrame(FRAME.SYNC, 0, number, new ByteWriter().raw(new Uint8Array(16).fill(number + 1)).u32(0).u32(0).done());
}

function dial(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => {
      socket.pause();
      resolve(socket);
    });
    socket.once("error", reject);
  });
}

/** The next frame, cut out by its length alone. */
async function frameOf(socket: Socket): Promise<{ type: number; payload: Buffer }> {
  const head = await take(socket, 24);
  return { type: head.readUInt16LE(16), payload: await take(socket, head.readUInt32LE(4)) };
}

async function take(socket: Socket, length: number): Promise<Buffer> {
  for (let waited = 0; waited < 5000; waited += 5) {
    const bytes = length === 0 ? Buffer.alloc(0) : (socket.read(length) as Buffer | null);
    if (bytes !== null) return bytes;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`${length} bytes did not come within 5 s`);
}
