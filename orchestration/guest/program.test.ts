import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { AgentClient } from "./agent-client.ts";
import type { Peer } from "./peer.ts";
import { Program } from "./program.ts";
import { ProgramFailure } from "./program-result.ts";
import { placeArguments, type SyscallArch } from "./syscalls.ts";
import { TestAgent } from "./test-agent.ts";

const SIGUSR1 = 10;
const SIGSEGV = 11;
const SIGBUS = 7;
const PROT_READ_WRITE = 3;

let agent: TestAgent;
let client: AgentClient;
let peer: Peer;

before(async () => {
  agent = await TestAgent.start();
  client = await agent.connect();
  peer = await client.spawnPeer();
});
after(async () => {
  await client.close();
  await agent[Symbol.asyncDispose]();
});

test("buffers are zero, take bytes, patches and addresses, and come back", async () => {
  const program = new Program();
  const target = program.bytes(Uint8Array.of(1, 2, 3, 4));
  const buf = program.buffer(32);
  program.write(buf, 4, Uint8Array.of(9, 8)).patch32(buf, 8, 0xdeadbeef).patchAddress(buf, 16, target, 2);
  const pointer = program.load(buf.at(16));
  const third = program.load(program.register(pointer), 1);
  const through = program.read(pointer, 0, 2);
  const all = program.read(buf);

  const result = await peer.run(program);
  const bytes = result.bytes(all);
  assert.deepEqual([...bytes.subarray(0, 12)], [0, 0, 0, 0, 9, 8, 0, 0, 0xef, 0xbe, 0xad, 0xde]);
  assert.deepEqual([...result.bytes(through)], [3, 4]);
  assert.equal(new DataView(bytes.buffer).getBigUint64(16, true), result.unsigned(pointer));
  assert.notEqual(result.unsigned(third), result.unsigned(pointer));
});

test("a system call gives value and errno, arguments may be results and addresses", async () => {
  const program = new Program();
  const fds = program.buffer(8);
  const pipe = program.syscall("pipe2", [fds, 0]);
  const writeEnd = program.load(fds.at(4), 4);
  const written = program.syscall("write", [writeEnd, program.text("hello"), 5]);
  const into = program.buffer(16);
  const got = program.syscall("read", [program.load(fds, 4), into, into.size]);
  const text = program.read(into, 0, got);
  const bad = program.syscall("close", [12345]);

  const result = await peer.run(program);
  assert.equal(result.errnoName(pipe), "");
  assert.equal(result.value(written), 5n);
  assert.equal(new TextDecoder().decode(result.bytes(text)), "hello");
  assert.deepEqual([result.value(bad), result.errnoName(bad)], [-1n, "EBADF"]);
});

test("loops nest, break and go on with the next round; if and end choose", async () => {
  const program = new Program();
  const sum = program.register();
  program.loop(4, (i) => {
    program.loop(100, (j) => {
      program.breakIf(j, "==", 3);
      program.continueIf(j, "==", 1);
      program.compute(sum, "+", program.compute(i, "*", 10), sum);
    });
  });
  program.if(sum, "==", 120, () => program.emit(1), () => program.emit(2)); // prettier-ignore
  const seen = program.emit(sum);
  program.endIf(sum, ">", 100, 7);
  program.emit(99);

  const result = await peer.run(program);
  assert.equal(result.unsigned(sum), 120n);
  assert.deepEqual(result.values(seen), [120n]);
  assert.deepEqual([result.status, result.endValue], ["ended", 7n]);
});

test("arithmetic is that of 64 bits without sign", async () => {
  const program = new Program();
  const minus = program.compute(0, "-", 1);
  const cases = [
    [program.compute(minus, "/", 2), 0x7fffffffffffffffn],
    [program.compute(7, "%", 4), 3n],
    [program.compute(minus, ">", 1), 1n],
    [program.compute(minus, "s<", 1), 1n],
    [program.compute(1, "<<", 63), 1n << 63n],
    [program.compute(0xff, "^", 0x0f), 0xf0n],
  ] as const;
  const result = await peer.run(program);
  for (const [reg, expected] of cases) assert.equal(result.unsigned(reg), expected);
  const zero = new Program();
  zero.compute(1, "/", 0);
  await assert.rejects(peer.run(zero), { name: "ProgramFailure", message: /step 0 \(compute \/\)/ });
});

test("memory that is not mapped ends the program with SIGSEGV and leaves the peer alive", async () => {
  const program = new Program();
  const before_ = program.emit(5);
  program.read(program.register(0x10), 0, 4);
  const failure = await peer.run(program).catch((error: unknown) => error);
  assert.ok(failure instanceof ProgramFailure);
  assert.equal(failure.result.status, "fault");
  assert.equal(failure.result.detail, SIGSEGV);
  assert.equal(failure.result.faultAddress, 0x10n);
  assert.deepEqual(failure.result.values(before_), [5n]);
  assert.equal((await peer.syscall("getpid")).value, BigInt(peer.pid));
});

test("a mapping beyond the end of its file gives SIGBUS, caught or not", async () => {
  const program = new Program();
  const fd = program.syscall("memfd_create", ["short", 0]);
  program.syscall("ftruncate", [fd, 4096]);
  const map = program.map(fd, 8192, { prot: PROT_READ_WRITE });
  program.store(map.at(4088), 0x1122);
  const inside = program.read(map, 4088, 8);
  const outside = program.read(map, 4096, 8, { catch: true });
  program.load(map.at(8000));

  const result = await peer.run(program, { accept: ["fault"] });
  assert.equal(result.bytes(inside)[1], 0x11);
  assert.deepEqual(result.allBytes(outside), []);
  assert.deepEqual([result.status, result.detail, result.code], ["fault", SIGBUS, 2]);
});

test("a guarded buffer ends where its memory ends", async () => {
  const program = new Program();
  const buf = program.buffer(100, { guard: true });
  program.fill(buf, 0xaa, 100);
  program.store(buf.at(100), 1, 1);
  const result = await peer.run(program, { accept: ["fault"] });
  assert.deepEqual([result.status, result.detail, result.step], ["fault", SIGSEGV, 2]);

  const kernel = new Program();
  const guarded = kernel.buffer(3, { guard: true });
  const zero = kernel.syscall("openat", [-100, "/dev/zero", 0]);
  const call = kernel.syscall("read", [zero, guarded.at(2), 8]);
  const after_ = await peer.run(kernel);
  assert.ok(after_.errnoName(call) === "EFAULT" || after_.value(call) === 1n, "the kernel wrote behind the guard");
});

test("a program that takes too long is ended, also inside a system call, and tells where it was", async () => {
  const endless = new Program();
  endless.loop(1n << 60n, () => undefined);
  await assert.rejects(peer.run(endless, { timeoutMs: 200 }), { message: /did not end in time/ });

  const blocked = new Program();
  blocked.emit(1);
  blocked.syscall("ppoll", [0, 0, 0, 0, 0]);
  await assert.rejects(peer.run(blocked, { timeoutMs: 200 }), { message: /did not end in time/ });
  assert.equal((await peer.syscall("getpid")).errno, 0);
});

test("a blocking call on a thread leaves the main thread free and ends by a signal", async () => {
  const setup = new Program();
  setup.onSignal(SIGUSR1, "count");
  await peer.run(setup);
  const program = new Program();
  const call = program.syscall("ppoll", [0, 0, 0, 0, 0]);
  const tid = program.syscall("gettid");
  const started = peer.start(program);

  const state = await started.blocked();
  assert.equal(state.state, "S");
  assert.equal(state.thread, started.thread);
  assert.equal((await peer.syscall("getpid")).value, BigInt(peer.pid));
  await started.signal(SIGUSR1);
  const result = await started.result;
  assert.equal(result.errnoName(call), "EINTR");
  assert.equal(result.number(tid), state.tid);
  const after_ = new Program();
  const count = after_.signalCount(SIGUSR1);
  assert.equal((await peer.run(after_)).number(count), 1);
});

test("SA_RESTART goes on with a read that a signal interrupted", async () => {
  await using own = await client.spawnPeer();
  const setup = new Program();
  setup.onSignal(SIGUSR1, "count", { restart: true });
  const fds = setup.buffer(8);
  setup.syscall("pipe2", [fds, 0], { orStop: true });
  const ends = setup.read(fds);
  const view = new DataView((await own.run(setup)).bytes(ends).buffer);
  const program = new Program();
  const got = program.syscall("read", [view.getInt32(0, true), program.buffer(8), 8]);
  const started = own.start(program);
  await started.blocked();
  await started.signal(SIGUSR1);
  const counted = new Program();
  const count = counted.signalCount(SIGUSR1);
  await started.blocked();
  assert.equal((await own.run(counted)).number(count), 1);
  await own.syscall("write", view.getInt32(4, true), "abc", 3);
  assert.equal((await started.result).value(got), 3n);
});

test("a thread that stays keeps its tid, one that was started once is gone", async () => {
  const tid = (): { program: Program; call: ReturnType<Program["syscall"]> } => {
    const program = new Program();
    return { program, call: program.syscall("gettid") };
  };
  const thread = peer.thread();
  const [one, two, three] = [tid(), tid(), tid()];
  const first = (await thread.run(one.program)).value(one.call);
  assert.equal((await thread.run(two.program)).value(two.call), first);
  const other = (await peer.start(three.program).result).value(three.call);
  assert.notEqual(other, first);
  assert.ok((await peer.state()).some((state) => BigInt(state.tid) === first));
});

test("two peers meet at a barrier in the arena", async () => {
  await using other = await client.spawnPeer();
  const meet = (): { program: Program; came: ReturnType<Program["barrier"]> } => {
    const program = new Program();
    return { program, came: program.barrier(program.arena(64), 2) };
  };
  const [left, right] = [meet(), meet()];
  const results = await Promise.all([peer.run(left.program), other.run(right.program)]);
  assert.deepEqual([results[0].value(left.came), results[1].value(right.came)], [1n, 1n]);
  const late = new Program();
  const came = late.waitFor(late.arena(128), "==", 1, { timeoutMs: 50 });
  assert.equal((await peer.run(late)).value(came), 0n);
});

test("a program that no signal ends is the kernel's, while the agent beside it answers", async () => {
  await using deaf = await client.spawnPeer();
  const program = new Program();
  program.syscall("rt_sigprocmask", [0, program.constant(new Uint8Array(8).fill(0xff)), 0, 8]);
  program.syscall("pause", []);
  await assert.rejects(deaf.run(program, { timeoutMs: 50 }), { name: "ProgramStuck", message: /did not end within 50 ms, and no signal .* waits \(S\) in .* at step 1 \(syscall pause\)/ });
});

test("a place of the arena that some processors cannot add to is refused", () => {
  assert.throws(() => new Program().arena(1), { name: "RangeError", message: /place 1 of the arena is not a multiple of 8/ });
});

test("a kept buffer outlives its program; traces show each round; orStop ends", async () => {
  const kept = peer.reserve(8);
  const make = new Program();
  make.store(make.buffer(8, { keep: kept }), 41);
  await peer.run(make);
  const use = new Program();
  const value = use.load(kept);
  let call: ReturnType<Program["syscall"]> | undefined;
  use.loop(3, (i) => (call = use.syscall("dup", [use.compute(i, "*", 1000)], { trace: true })));
  use.syscall("close", [-1], { orStop: true });
  use.emit(1);
  const result = await peer.run(use, { accept: ["error"] });
  assert.equal(result.value(value), 41n);
  assert.ok(call);
  assert.deepEqual(result.traces(call).map((one) => one.errno !== 0 || one.value < 0n), [false, false, true]); // prettier-ignore
  assert.deepEqual([result.status, result.detail], ["error", 9]);
});

test("poll, crc, comparison and clock report what is so", async () => {
  const program = new Program();
  const fd = program.syscall("eventfd2", [1, 0]);
  const polled = program.poll(fd, 1, 1000);
  const a = program.bytes(new TextEncoder().encode("123456789"));
  const b = program.bytes(new TextEncoder().encode("12345x789"));
  const crc = program.crc(a, 9);
  const differs = program.compareMemory(a, b, 9);
  const start = program.clock();
  program.sleepNs(2_000_000);
  const took = program.compute(program.clock(), "-", start);
  const result = await peer.run(program);
  assert.deepEqual([result.value(polled.ready), result.value(polled.revents)], [1n, 1n]);
  assert.equal(result.unsigned(crc), 0xcbf43926n);
  assert.equal(result.value(differs), 5n);
  assert.ok(result.value(took) >= 2_000_000n);
});

test("a result larger than allowed is reported, a large one arrives whole", async () => {
  const program = new Program();
  const buf = program.buffer(6_000_000);
  program.fill(buf, 7, buf.size);
  const all = program.read(buf);
  await assert.rejects(peer.run(program, { maxResultBytes: 1000 }), { message: /more memory than its result may hold/ });
  const bytes = (await peer.run(program)).bytes(all);
  assert.equal(bytes.length, 6_000_000);
  assert.ok(bytes.every((byte) => byte === 7));
});

test("a loop in the guest does far more than a thousand calls a second", async () => {
  const program = new Program();
  program.loop(20_000, () => program.syscall("getppid"));
  const result = await peer.run(program);
  const perSecond = 20_000 / (Number(result.tookNs) / 1e9);
  assert.ok(perSecond > 50_000, `${perSecond} calls a second on this host`);
});

test("an offset of 64 bits takes the places that the architecture has for it", () => {
  const args = ["fd", "memory", "length", "offset", "-", "-"];
  const placed = (arch: SyscallArch): readonly string[] => placeArguments("pwrite64", arch, args, (of) => `upper ${of}`);
  assert.deepEqual(placed("x86_64"), args);
  assert.deepEqual(placed("i386"), ["fd", "memory", "length", "offset", "upper offset", "upper offset"]);
  assert.deepEqual(placed("arm").slice(4), ["offset", "upper offset"]);
  assert.deepEqual(placeArguments("write", "arm", args, (of) => `upper ${of}`), args);
});
