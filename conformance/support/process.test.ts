import assert from "node:assert/strict";
import test, { after } from "node:test";
import { decodeWords } from "../../fixtures/abi/decode.ts";
import { encodeStruct } from "../../fixtures/abi/encode.ts";
import { listDirectory, openFds, stat } from "./files.ts";
import { address, memory, UNMAPPED } from "./memory.ts";
import { HostAgent } from "./host-agent.ts";
import { Process, SEALS } from "./process.ts";
import { resultOf, Script } from "./script.ts";
import { Transcript } from "./transcript.ts";

const host = await HostAgent.start();
const agent = await host.connect();
after(async () => {
  await agent.close();
  await host[Symbol.asyncDispose]();
});

async function make(options: { uid?: number } = {}): Promise<Process> {
  return new Process(await agent.spawnPeer(options), new Transcript(), "p", options);
}

test("a failed system call is a result with the name of its error", async () => {
  const process = await make();

  assert.deepEqual(await process.syscall("close", 999), { value: -1n, errno: "EBADF" });
  await assert.rejects(process.open("/no/such/file"), { name: "BusError", errno: "ENOENT" });
  assert.match(process.transcript.toString(), /close\(999\)\n +-> EBADF/);
});

test("a descriptor that one step returns is used by the next", async () => {
  const process = await make();
  const script = new Script();
  const open = script.syscall("openat", -100, memory("/proc/self/comm\0"), 0, 0);
  const buffer = memory(64);
  const read = script.syscall("read", resultOf(open), buffer, 64);
  const load = script.load(buffer);

  const result = await process.run(script);

  const text = new TextDecoder().decode(result.bytes(load).slice(0, Number(result.of(read).value)));
  assert.equal(text.trim(), new TextDecoder().decode(await agent.readFile(`/proc/${process.peer.pid}/comm`)).trim());
});

test("a memory can point at another one", async () => {
  const process = await make();
  const text = memory("hello");
  const iov = memory(encodeStruct("vec", { size: address(text), address: text.size })); // struct iovec: base, length
  const { read, write } = await process.pipe();

  assert.equal(await process.must("writev", write, iov, 1), 5n);
  assert.equal(new TextDecoder().decode(await process.read(read, 9)), "hello");
  await process.close(write);
  assert.equal((await process.read(read, 9)).length, 0);
});

test("a loop runs in the guest, counts up, and ends at an error", async () => {
  const process = await make();
  const { read, write } = await process.pipe();
  const number = memory(8);
  const script = new Script();
  const calls: ReturnType<Script["syscall"]>[] = [];
  script.repeat(3, () => {
    const call = script.syscall("write", write, address(number), 8);
    calls.push(call);
    return call;
  }, { untilError: true, add: [{ memory: number, at: 0, by: 2 }] }); // prettier-ignore
  const [call] = calls;
  assert.ok(call);

  const result = await process.run(script);

  assert.deepEqual(result.all(call).map(({ errno }) => errno), [null, null, null]);
  assert.deepEqual(decodeWords(await process.read(read, 24)), [0n, 2n, 4n]);
  await process.close(read);
});

test("memory that is not there gives no bytes", async () => {
  const process = await make();

  assert.equal((await process.readMemory(UNMAPPED, 8)).length, 0);
});

test("a memfd is sealed for travel and can be mapped and read", async () => {
  const process = await make();
  const fd = await process.memfd("0123456789");
  assert.equal(await process.must("fcntl", fd, 1034), BigInt(SEALS.ALL));
  assert.equal(await process.must("fcntl", await process.memfd("x", { seals: 0 }), 1034), 0n);
  assert.equal(new TextDecoder().decode(await process.readAt(fd, 2, 5)), "23456");

  const script = new Script();
  const map = script.map(fd, 4096, process.peer.reserve(4096), { flags: 2 });
  const slice = script.loadSlice(resultOf(map), { memory: memory(Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0)), at: 0 }, 4);
  const result = await process.run(script);
  assert.equal(new TextDecoder().decode(result.bytes(slice)), "3456");
  assert.equal(new TextDecoder().decode(await process.readMemory(result.of(map).value, 3)), "012");
});

test("a blocking call sleeps on its own thread until something happens", async () => {
  const process = await make();
  const { read, write } = await process.pipe();
  const buffer = memory(1);
  const script = new Script();
  const call = script.syscall("read", read, buffer, 1);
  const pending = await process.start(script);
  assert.equal((await process.peer.state()).find((thread) => thread.thread === pending.started.thread)?.state, "S");

  await process.write(write, "x");

  assert.equal((await pending.done).of(call).value, 1n);
});

test("poll reports what is ready, at once or after the time", async () => {
  const process = await make();
  const { read, write } = await process.pipe();
  assert.equal(await process.poll(read, 1, 0), 0);
  assert.equal(await process.poll(read, 1, 20), 0);
  await process.write(write, "x");
  assert.equal(await process.poll(read, 1, 1000), 1);
});

test("a descriptor travels to another process and outlives its giver", async () => {
  const [giver, taker] = [await make(), await make()];
  const { read, write } = await giver.pipe();
  const there = await giver.giveFd(write, taker);
  await giver.close(write);
  await taker.write(there, "y");
  assert.equal(new TextDecoder().decode(await giver.read(read, 4)), "y");
  await taker.kill();
  assert.equal((await giver.read(read, 4)).length, 0, "the killed process held the last write end");
});

test("a deadline lies where the guest's clock will be", async () => {
  const process = await make();
  const deadline = await process.deadlineNs(1000);
  const now = await process.monotonicNs();
  assert.ok(deadline - now > 900_000_000n && deadline - now <= 1_000_000_000n, `${deadline - now} ns`);
});

test("files and directories are seen as the process sees them", async () => {
  const process = await make();
  const [byPath, byFd] = [await stat(process, "/proc/self/status"), await stat(process, await process.open("/dev/null"))];
  assert.deepEqual([byPath.kind, byPath.mode, byPath.links], ["file", 0o444, 1]);
  assert.equal(byFd.mode, 0o666);
  await assert.rejects(stat(process, "/no/such"), { errno: "ENOENT" });
  const entries = await listDirectory(process, "/proc/self");
  assert.equal(entries.find((entry) => entry.name === "fd")?.kind, "directory");
});

test("open descriptors are counted without the one that counts", async () => {
  const process = await make();
  const before = await openFds(process);
  const { read, write } = await process.pipe();
  assert.deepEqual(await openFds(process), [...before, read, write].sort((a, b) => a - b));
});
