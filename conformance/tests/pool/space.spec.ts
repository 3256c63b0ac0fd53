import { abi, covers, encodeCommand, expect, memory, prepareSend, RUSAGE_BYTES, RUSAGE_THREAD, Script, test, usagePlace } from "../../support/index.ts";

test("POOL-016 freed space is usable again, whatever the sizes and the order", covers("POOL-016"), async ({ bus }) => {
  const LARGEST = 4000;
  const [sender, receiver] = [await bus.connect(), await bus.connect({ pool: 65536 })];
  const script = new Script();
  const { program } = script;
  const failures = program.register();
  const random = program.register(4711);
  const failed = (call: { readonly err: Parameters<typeof program.compute>[0] }): unknown => program.compute(failures, "+", program.compute(call.err, "!=", 0), failures);
  const slots = await Promise.all(
    Array.from({ length: 5 }, async () => ({ send: await prepareSend(sender, receiver, { payload: "x".repeat(LARGEST) }), recv: memory(encodeCommand("RECV", {})), free: memory(encodeCommand("FREE", { offset: receiver.poolSize })) })),
  );
  for (const { send, recv, free } of slots) [send.command, send.message, recv, free].forEach((each) => script.place(each));
  program.loop(1000, () => {
    for (const { send, recv, free } of slots) {
      // what this slot received a turn ago is freed now, so always some slices of other sizes lie between
      failed(program.ioctl(receiver.fd, abi.COMMANDS.FREE, script.place(free)));
      program.compute(program.compute(random, "*", 1103515245), "+", 12345, random);
      program.compute(random, "&", 0x7fffffff, random);
      const size = program.compute(program.compute(program.compute(random, ">>", 8), "%", LARGEST), "+", 1);
      program.store(script.place(send.message).plus(64 + 16), size);
      failed(program.ioctl(sender.fd, abi.COMMANDS.SEND, script.place(send.command)));
      failed(program.ioctl(receiver.fd, abi.COMMANDS.RECV, script.place(recv)));
      script.copy({ memory: recv, at: 40 }, { memory: free, at: 24 });
    }
  });

  const { result } = await receiver.process.run(script);

  expect(result.number(failures), "failures of 5000 times FREE, SEND and RECV").toBe(0);
});

test("POOL-017 free slices merge in whatever order they were freed", covers("POOL-017"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ pool: 65536 })];
  const offsets: bigint[] = [];
  for (;;) {
    const { sent, errno } = await sender.flood(receiver, 8, { payload: "x".repeat(900) });
    offsets.push(...(await receiver.recvAll({ keep: true })).map((message) => message.offset));
    if (errno !== null) expect(errno).toBe("EXFULL");
    if (errno !== null || sent === 0) break;
  }
  expect(offsets.length).toBeGreaterThan(50);
  const largest = { payload: "y".repeat(Math.floor(65536 / 2 / 3) - 96 - 256) };

  const scattered = offsets.map((offset, index) => ({ offset, key: (index * 7919) % 101 })).sort((a, b) => a.key - b.key);
  for (const { offset } of scattered) await receiver.free(offset);

  for (let round = 0; round < 5; round++) {
    // five of these at once need five sixths of the pool in pieces of one sixth
    await sender.send(receiver, largest);
    await receiver.recv({ keep: true });
  }
});

test("POOL-020 the payload lies in the pool when SEND returns, where RECV says", covers("POOL-020"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ pool: 65536 })];
  const pattern = Uint8Array.from({ length: 3000 }, (_, index) => (index * index * 31 + index * 7 + (index >> 5)) % 256);
  const before = Buffer.from(await receiver.poolBytes(0, receiver.poolSize));
  expect(before.indexOf(pattern)).toBe(-1);

  await sender.send(receiver, { payload: pattern });

  const pool = await receiver.poolBytes(0, receiver.poolSize);
  const { offset, payload } = await receiver.recv();
  // the stream may be cut into pieces, and they may lie apart
  const places = payload.map((chunk) => (chunk.kind === "bytes" ? { from: Number(offset) + chunk.offset, size: chunk.bytes.length } : chunk.kind));
  const there = places.flatMap((place) => (typeof place === "string" ? [] : [...pool.subarray(place.from, place.from + place.size)]));
  expect(places, "bytes only").not.toContainEqual(expect.any(String));
  expect(Uint8Array.from(there), "what lay there before RECV").toEqual(pattern);
});

test("POOL-023 RECV costs the same for a small and a large payload", covers("POOL-023"), async ({ bus }) => {
  const RUNS = 60;
  const [sender, receiver] = [await bus.connect(), await bus.connect({ pool: 16 << 20 })];
  const source = await sender.process.memfd(new Uint8Array(1), { seals: 0 });
  await sender.process.must("ftruncate", source, 2 << 20);
  const script = new Script();
  const large = script.map(source, 2 << 20, sender.process.peer.reserve(0));
  const sends = { small: await prepareSend(sender, receiver, { payload: "x".repeat(64) }), large: await prepareSend(sender, receiver, { payload: "x".repeat(64) }) };
  const usage = memory(RUSAGE_BYTES);
  const faultsOf = usagePlace(sender.process, "minorFaults");
  const { program } = script;
  program.store(script.place(sends.large.message).plus(64 + 16), 2 << 20);
  program.store(script.place(sends.large.message).plus(64 + 24), large);
  const scratch = program.buffer(2 << 20, { populate: true });
  const recv = memory(encodeCommand("RECV", {}));
  const free = memory(encodeCommand("FREE", {}));
  const failures = program.register();
  const times: Record<string, ReturnType<typeof program.emit>> = {};
  const faults: Record<string, ReturnType<typeof program.emit>> = {};
  for (const each of [sends.small.command, recv, free, usage]) script.place(each);
  program.loop(RUNS, () => {
    for (const [kind, send] of Object.entries(sends)) {
      const calls = [program.ioctl(sender.fd, abi.COMMANDS.SEND, script.place(send.command))];
      // a large copy leaves cold caches behind, which is not RECV's doing: both kinds begin with such caches
      program.fill(scratch, 0x5a, 2 << 20);
      program.syscall("getrusage", [RUSAGE_THREAD, script.place(usage)]);
      const faultsBefore = program.load(script.place(usage).plus(faultsOf.offset), faultsOf.width);
      const start = program.clock(1);
      calls.push(program.ioctl(receiver.fd, abi.COMMANDS.RECV, script.place(recv)));
      const end = program.clock(1);
      program.syscall("getrusage", [RUSAGE_THREAD, script.place(usage)]);
      times[kind] = program.emit(program.compute(end, "-", start));
      faults[kind] = program.emit(program.compute(program.load(script.place(usage).plus(faultsOf.offset), faultsOf.width), "-", faultsBefore));
      script.copy({ memory: recv, at: 40 }, { memory: free, at: 24 });
      calls.push(program.ioctl(receiver.fd, abi.COMMANDS.FREE, script.place(free)));
      for (const call of calls) program.compute(failures, "+", program.compute(call.err, "!=", 0), failures);
    }
  });

  const { result } = await sender.process.run(script);

  expect(result.number(failures)).toBe(0);
  const median = (values: readonly bigint[]): number => Number([...values].sort((a, b) => Number(a - b))[values.length >> 1]);
  const of = (reads: typeof times, kind: string): readonly bigint[] => result.values(reads[kind] as ReturnType<typeof program.emit>);
  expect(of(times, "large")).toHaveLength(RUNS);
  expect(median(of(times, "large")) / median(of(times, "small")), "median time for 2 MiB against 64 bytes").toBeLessThanOrEqual(3);
  expect(median(of(faults, "large")), "page faults of RECV").toBe(median(of(faults, "small")));
});
