import { abi, cookies, covers, encodeCommand, encodeMessage, expect, expectErrno, item, memory, address, Script, test, type Connection } from "../../support/index.ts";

const u64 = (...values: readonly bigint[]): Uint8Array => new Uint8Array(BigUint64Array.from(values).buffer);
const ONES = 0x0101_0101_0101_0101n;
const THREES = 0x0303_0303_0303_0303n;
const ALL = 0xffff_ffff_ffff_ffffn;

/** Numbers that look random and are the same each time. */
function* noise(seed: bigint): Generator<bigint, never> {
  let state = seed;
  for (;;) {
    state = BigInt.asUintN(64, state ^ (state << 13n));
    state ^= state >> 7n;
    state = BigInt.asUintN(64, state ^ (state << 17n));
    yield state;
  }
}

/** For each pair: does a broadcast with the filter reach a connection with the mask? One loop in the guest; S is 8. */
async function delivered(sender: Connection, receiver: Connection, pairs: readonly (readonly [bigint, bigint])[]): Promise<boolean[]> {
  const filters = memory(u64(...pairs.map(([filter]) => filter)));
  const masks = memory(u64(...pairs.map(([, mask]) => mask)));
  const cursor = memory(8);
  const match = memory(encodeCommand("MATCH_ADD", { cookie: 1, flags: abi.MATCH.REPLACE }, [item.bloomMask(u64(0n))]));
  const message = memory(encodeMessage({ dst_id: abi.DST_ID_BROADCAST, flags: abi.MSG.SIGNAL, payload_type: abi.PAYLOAD.DBUS, cookie: 1 }, [item.bloomFilter(0, u64(0n))]));
  const send = memory(encodeCommand("SEND", { msg_address: address(message) }));
  const drop = memory(encodeCommand("RECV", { flags: abi.RECV.DROP }));
  const script = new Script();
  for (const used of [filters, masks, cursor, match, message, send, drop]) script.place(used);
  const { program } = script;
  const calls: ReturnType<Script["ioctl"]>[] = [];
  script.repeat(
    pairs.length,
    () => {
      const at = program.load(script.place(cursor));
      program.copy(script.place(match).plus(match.size - 8), program.compute(script.place(masks), "+", at), 8);
      program.copy(script.place(message).plus(message.size - 8), program.compute(script.place(filters), "+", at), 8);
      calls.push(script.ioctl(receiver.fd, abi.COMMANDS.MATCH_ADD, match), script.ioctl(sender.fd, abi.COMMANDS.SEND, send));
      const took = script.ioctl(receiver.fd, abi.COMMANDS.RECV, drop);
      calls.push(took);
      return took;
    },
    { add: [{ memory: cursor, at: 0, by: 8 }] },
  );
  const result = await receiver.process.run(script);
  const [added, sent, took] = calls.map((call) => result.all(call).map(({ errno }) => errno));
  expect([added, sent].flatMap((errors) => errors?.filter((errno) => errno !== null))).toEqual([]);
  expect(took?.filter((errno) => errno !== null && errno !== "EAGAIN")).toEqual([]);
  expect(took).toHaveLength(pairs.length);
  return (took ?? []).map((errno) => errno === null);
}

test("MATCH-006 a mask fits if all of its bits are in the filter", covers("MATCH-006"), async ({ domain, root }) => {
  const bus = await domain.makeBus(root, { bloom: { size: 8, hashes: 1 } });
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const table: [bigint, bigint, boolean][] = [
    [ONES, ONES, true],
    [THREES, ONES, true],
    [ONES, THREES, false],
    [0n, 0n, true],
    [ALL, ALL, true],
    [0n, 1n, false],
    [0n, ALL, false],
    [ALL, 0n, true],
    [ALL >> 1n, ALL, false],
    [1n << 63n, 1n << 63n, true],
    [1n, 1n << 63n, false],
  ];

  expect(await delivered(sender, receiver, table.map(([filter, mask]) => [filter, mask]))).toEqual(table.map(([, , fits]) => fits));
});

test("MATCH-006 every byte of a large mask counts", covers("MATCH-006"), async ({ domain, root }) => {
  const size = 256;
  const bus = await domain.makeBus(root, { bloom: { size, hashes: 1 } });
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const mask = new Uint8Array(size).fill(0x55);
  await receiver.addMatch([item.bloomMask(mask)]);
  const places = [0, 1, 7, 8, 63, 64, 127, 128, 200, 255];

  for (const [index, place] of places.entries()) await sender.broadcast({ cookie: index + 1, bloom: { filter: mask.map((byte, at) => (at === place ? byte & ~0x40 : byte)) } });
  await sender.broadcast({ cookie: 99, bloom: { filter: mask } });

  expect(await cookies(receiver)).toEqual([99n]);
});

test("MATCH-007 the generation of the filter chooses the mask", covers("MATCH-007"), async ({ domain, root }) => {
  const bus = await domain.makeBus(root, { bloom: { size: 8, hashes: 1 } });
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await receiver.addMatch([item.bloomMask(u64(1n), u64(2n), u64(4n))]);
  const generations = [0n, 1n, 2n, 3n, 1n << 32n, ALL];

  const fitting: bigint[] = [];
  for (const [index, generation] of generations.entries()) {
    for (let bit = 0; bit < 3; bit++) {
      const cookie = BigInt(index * 3 + bit + 1);
      await sender.broadcast({ cookie, bloom: { generation, filter: u64(1n << BigInt(bit)) } });
      if (bit === Math.min(index, 2)) fitting.push(cookie);
    }
  }

  expect(await cookies(receiver)).toEqual(fitting);
});

test("MATCH-008 a mask of zeros fits every signal", covers("MATCH-008"), async ({ domain, root }) => {
  const bus = await domain.makeBus(root, { bloom: { size: 8, hashes: 1 } });
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const random = noise(0x1234_5678n);
  const filters = [0n, ALL, ...Array.from({ length: 300 }, () => random.next().value)];

  const seen = await delivered(sender, receiver, filters.map((filter) => [filter, 0n]));

  expect(seen.filter((fits) => !fits)).toEqual([]);
});

test("MATCH-009 ten thousand filters and masks are judged as the model does", covers("MATCH-009", "MATCH-006"), async ({ domain, root }) => {
  test.slow();
  const bus = await domain.makeBus(root, { bloom: { size: 8, hashes: 1 } });
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const random = noise(0x9e37_79b9_7f4a_7c15n);
  const next = (): bigint => random.next().value;

  const wrong: string[] = [];
  let fitting = 0;
  for (let round = 0; round < 5; round++) {
    // masks within the filter, half of them with one further bit that may or may not be in it
    const pairs = Array.from({ length: 2000 }, (_, index): [bigint, bigint] => {
      const filter = next();
      return [filter, (filter & next() & next()) | (index % 2 === 0 ? 0n : 1n << (next() & 63n))];
    });
    const seen = await delivered(sender, receiver, pairs);
    for (const [index, [filter, mask]] of pairs.entries()) {
      const fits = (filter & mask) === mask;
      if (fits) fitting++;
      if (seen[index] !== fits) wrong.push(`filter ${filter.toString(16)} mask ${mask.toString(16)}: ${fits ? "withheld" : "delivered"}`);
    }
  }

  expect(wrong.slice(0, 10)).toEqual([]);
  expect(fitting).toBeGreaterThan(5000);
  expect(fitting).toBeLessThan(9500);
});

test("MATCH-010 a filter has the size of the bus", covers("MATCH-010"), async ({ bus }) => {
  const sender = await bus.connect();
  const size = sender.bloomSize();
  const filter = (bytes: number): { readonly bloom: { readonly filter: Uint8Array } } => ({ bloom: { filter: new Uint8Array(bytes) } });

  await sender.broadcast(filter(size));
  await expectErrno(sender.broadcast(filter(size + 8)), "EDOM");
  await expectErrno(sender.broadcast(filter(size - 8)), "EDOM");
  await expectErrno(sender.broadcast(filter(size + 4)), "EFAULT");
  await expectErrno(sender.broadcast(filter(size - 1)), "EFAULT");
});

test("MATCH-011 a mask is one or more times as long as the filter", covers("MATCH-011"), async ({ bus }) => {
  const connection = await bus.connect();
  const size = connection.bloomSize();
  const add = (bytes: number): Promise<bigint> => connection.addMatch([item.bloomMask(new Uint8Array(bytes))]);

  await add(size);
  await add(3 * size);
  for (const bytes of [0, size - 8, size + 8, 2 * size - 1, 8]) await expectErrno(add(bytes), "EDOM");
});
