import { abi, covers, decodeStruct, encodeCommand, expect, expectErrno, expectResult, item, memory, openToWorld, payloadText, prepareSend, Script, test, type Connection, type RawResult } from "../../support/index.ts";

const free = (connection: Connection, offset: bigint): Promise<RawResult> => connection.ioctl("FREE", encodeCommand("FREE", { offset }));

test("POOL-008 what commands hand out can be freed once", covers("POOL-008", "POOL-009"), async ({ bus, root }) => {
  const [sender, connection] = [await bus.connect(), await bus.connect()];
  const fd = await root.open(bus.path);
  const hello = decodeStruct("cmd_hello", (await root.command(fd, "HELLO", encodeCommand("HELLO", { pool_size: 65536, attach_flags_send: abi.ATTACH_ALL }))).bytes);
  const call = await connection.startCall(sender, { keep: true });
  await sender.reply(await sender.recv());
  await sender.send(connection);
  const offsets = {
    SEND: (await call.done).offset,
    RECV: (await connection.recv({ keep: true })).offset,
    LIST: decodeStruct("cmd_list", (await connection.ioctl("LIST", encodeCommand("LIST", { flags: abi.LIST.UNIQUE }))).bytes).offset,
    CONN_INFO: decodeStruct("cmd_info", (await connection.ioctl("CONN_INFO", encodeCommand("CONN_INFO", { id: sender.id }))).bytes).offset,
    BUS_CREATOR_INFO: decodeStruct("cmd_info", (await connection.ioctl("BUS_CREATOR_INFO", encodeCommand("BUS_CREATOR_INFO", {}))).bytes).offset,
  };

  const seen: Record<string, unknown> = {};
  const freeHello = (): Promise<RawResult> => root.command(fd, "FREE", encodeCommand("FREE", { offset: hello.offset }));
  seen["HELLO"] = [(await freeHello()).errno, (await freeHello()).errno];
  for (const [command, offset] of Object.entries(offsets)) seen[command] = [(await free(connection, offset)).errno, (await free(connection, offset)).errno];

  expect(seen).toEqual(Object.fromEntries(["HELLO", ...Object.keys(offsets)].map((command) => [command, [null, "ENXIO"]])));
});

test("POOL-009 offsets that are no start of a slice give ENXIO", covers("POOL-009"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const size = BigInt(receiver.poolSize);
  expectResult(await free(receiver, 0n), "ENXIO"); // nothing was handed out yet
  await sender.send(receiver, { payload: "payload" });
  const { offset } = await receiver.recv({ keep: true });

  for (const wrong of [offset + 8n, offset + 1n, size + 8n, size - 8n, 1n << 32n, offset + (1n << 32n), 0xffff_ffff_ffff_fff8n]) expectResult(await free(receiver, wrong), "ENXIO");
  expectResult(await free(receiver, offset), null);
  expectResult(await free(receiver, offset), "ENXIO");
});

test("POOL-010 freeing the empty marker does nothing", covers("POOL-010"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const marker = BigInt(receiver.poolSize);

  expectResult(await free(receiver, marker), null);
  expectResult(await free(receiver, marker), null);

  await sender.send(receiver, { payload: "after the marker" });
  const received = await receiver.recv({ keep: true });
  expectResult(await free(receiver, marker), null);
  expect(await receiver.poolBytes(Number(received.offset), received.slice.length)).toEqual(received.slice);
  expect(payloadText(received)).toBe("after the marker");
});

test("POOL-011 a queued message cannot be freed before it was shown, nor twice", covers("POOL-011"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await sender.send(receiver, { payload: "queued" });
  const { offset } = await receiver.peek();
  expectResult(await free(receiver, offset), null);

  expectResult(await free(receiver, offset), "ENXIO");

  const received = await receiver.recv({ keep: true });
  expect([payloadText(received), received.offset]).toEqual(["queued", offset]);
});

test("POOL-011 no offset of a pool with unseen messages only can be freed", covers("POOL-011"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ pool: 8192 })];
  await sender.send(receiver, { payload: "never shown" });
  const script = new Script();
  const command = memory(encodeCommand("FREE", { offset: 0 }));
  const steps: ReturnType<Script["ioctl"]>[] = [];
  script.repeat(1024, () => {
    const step = script.ioctl(receiver.fd, abi.COMMANDS.FREE, command);
    steps.push(step);
    return step;
  }, { add: [{ memory: command, at: 24, by: 8 }] }); // prettier-ignore

  const errors = (await receiver.process.run(script)).all(steps[0] as (typeof steps)[number]).map(({ errno }) => errno);

  expect(errors).toHaveLength(1024);
  expect(errors.filter((errno) => errno !== "ENXIO")).toEqual([]);
  expect(payloadText(await receiver.recv())).toBe("never shown");
});

test("POOL-012 a peeked message stays queued when its slice is freed", covers("POOL-012"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await sender.send(receiver, { payload: "peek, free, peek, receive" });
  const first = await receiver.peek();

  expectResult(await free(receiver, first.offset), null);
  await sender.send(receiver, { payload: "another one in between" });
  const second = await receiver.peek();
  expectResult(await free(receiver, second.offset), null);
  const third = await receiver.recv();

  expect([second.slice, third.slice]).toEqual([first.slice, first.slice]);
  expect(payloadText(third)).toBe("peek, free, peek, receive");
});

test("POOL-013 FREE of a policy holder gives EOPNOTSUPP", covers("POOL-013"), async ({ bus }) => {
  const holder = await bus.connectPolicyHolder("test.name", []);

  expectResult(await free(holder, BigInt(holder.poolSize)), "EOPNOTSUPP");
});

test("POOL-013 unknown flags and items of FREE give EINVAL", covers("POOL-013"), async ({ bus }) => {
  const connection = await bus.connect();
  const offset = connection.poolSize;

  expectResult(await connection.ioctl("FREE", encodeCommand("FREE", { offset }, [item.negotiate([1])])), null);
  for (const flags of [1n, 2n, 1n << 62n]) expectResult(await connection.ioctl("FREE", encodeCommand("FREE", { offset, flags })), "EINVAL");
  for (const wrong of [item.name("a.b"), item.id(1), item.raw(0x7777)]) expectResult(await connection.ioctl("FREE", encodeCommand("FREE", { offset }, [wrong])), "EINVAL");
});

test("POOL-014 received bytes stay as they are until they are freed", covers("POOL-014", "POOL-015"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ pool: 1 << 18 })];
  const kept = [];
  for (let index = 0; index < 40; index++) {
    await sender.send(receiver, { payload: String.fromCharCode(65 + (index % 26)).repeat(1 + index * 37) });
    const received = await receiver.recv({ keep: index % 2 === 0 }); // every other one makes holes
    if (index % 2 === 0) kept.push(received);
  }
  const flood = new Script();
  const send = await prepareSend(sender, receiver, { payload: "!".repeat(777) });
  const recv = memory(encodeCommand("RECV", { flags: abi.RECV.DROP }));
  flood.repeat(300, () => {
    send.step(flood);
    return flood.ioctl(receiver.fd, abi.COMMANDS.RECV, recv);
  });
  await receiver.process.run(flood);
  await receiver.list(abi.LIST.UNIQUE);
  await receiver.creatorInfo();

  for (const { offset, slice } of kept) expect(await receiver.poolBytes(Number(offset), slice.length)).toEqual(slice);
  const ranges = kept.map(({ offset, msgSize }) => [Number(offset), Number(offset + msgSize)] as const).sort((a, b) => a[0] - b[0]);
  expect(ranges.filter(([start]) => start % 8 !== 0)).toEqual([]);
  expect(ranges.filter(([start], index) => index > 0 && start < (ranges[index - 1]?.[1] ?? 0)), "overlaps").toEqual([]);
});

test("POOL-015 a thousand slices do not overlap", covers("POOL-015"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ pool: 4 << 20 })];
  const slices: (readonly [number, number])[] = [];
  for (let round = 0; round < 8; round++) {
    const { sent } = await sender.flood(receiver, 128, { payload: "s".repeat(1 + round * 53) });
    expect(sent).toBe(128);
    for (const { offset, msgSize } of await receiver.recvAll({ keep: true })) slices.push([Number(offset), Number(offset + msgSize)]);
  }

  slices.sort((a, b) => a[0] - b[0]);
  expect(slices).toHaveLength(1024);
  expect(slices.filter(([start, end]) => start % 8 !== 0 || end > receiver.poolSize)).toEqual([]);
  expect(slices.filter(([start], index) => index > 0 && start < (slices[index - 1]?.[1] ?? 0)), "overlaps").toEqual([]);
});

test("POOL-018 slices that are not freed end in EXFULL", covers("POOL-018"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ pool: 65536 })];
  const errors: (string | null)[] = [];
  const script = new Script();
  const send = await prepareSend(sender, receiver, { payload: "x".repeat(5000) });
  const recv = memory(encodeCommand("RECV", {}));
  const sends: ReturnType<Script["ioctl"]>[] = [];
  script.repeat(20, () => {
    const { call } = send.step(script);
    sends.push(call);
    script.ioctl(receiver.fd, abi.COMMANDS.RECV, recv);
    return call;
  }, { untilError: true }); // prettier-ignore
  errors.push(...(await receiver.process.run(script)).all(sends[0] as (typeof sends)[number]).map(({ errno }) => errno));

  expect(errors.at(-1)).toBe("EXFULL");
  expect(errors.length, "messages of 5096 bytes in 65536").toBeGreaterThanOrEqual(10);
  expect(errors.length).toBeLessThanOrEqual(13);
});

test("POOL-019 a full queue leaves room for the owner's own commands", covers("POOL-019"), async ({ bus, spawn }) => {
  const receiver = await bus.connect({ pool: 65536 });
  await openToWorld(bus, receiver);
  let total = 0;
  for (const uid of [0, 1000, 2000, 3000]) {
    const sender = await bus.connect({ by: await spawn({ uid, gid: uid, label: `uid${uid}` }) });
    for (const size of [4000, 400, 40]) {
      const { sent, errno } = await sender.flood(receiver, 256, { payload: "x".repeat(size) });
      expect(errno).toBe("ENOBUFS");
      total += sent;
    }
  }
  expect(total).toBeGreaterThan(4);

  expect((await receiver.list(abi.LIST.UNIQUE)).map((record) => record.id)).toContain(receiver.id);
  expect((await receiver.info(receiver, abi.ATTACH_ALL)).id).toBe(receiver.id);
  expect((await receiver.creatorInfo()).makeName).toBe(bus.name);
});

test("POOL-018 EXFULL ends when something is freed", covers("POOL-018"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ pool: 65536 })];
  const kept: bigint[] = [];
  for (;;) {
    try {
      await sender.send(receiver, { payload: "x".repeat(9000) });
    } catch {
      break;
    }
    kept.push((await receiver.recv({ keep: true })).offset);
  }
  await expectErrno(sender.send(receiver, { payload: "x".repeat(9000) }), "EXFULL");

  await receiver.free(kept[2] as bigint);

  await sender.send(receiver, { payload: "y".repeat(9000) });
  expect(payloadText(await receiver.recv())).toBe("y".repeat(9000));
});
