import { abi, address, covers, encodeCommand, encodeMessage, expect, expectErrno, expectResult, item, memory, pageBeforeHole, payloadText, test, UNMAPPED, writeMemory } from "../../support/index.ts";

test("MSG-016 a message address that is not aligned or not readable gives EFAULT", covers("MSG-016"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const message = memory(encodeMessage({ dst_id: receiver.id, payload_type: abi.PAYLOAD.DBUS, cookie: 1 }), "message");

  expectResult(await sender.ioctl("SEND", encodeCommand("SEND", { msg_address: address(message) })), null);
  expectResult(await sender.ioctl("SEND", encodeCommand("SEND", { msg_address: address(message, 1) })), "EFAULT");
  expectResult(await sender.ioctl("SEND", encodeCommand("SEND", { msg_address: address(message, 4) })), "EFAULT");
  expectResult(await sender.ioctl("SEND", encodeCommand("SEND", { msg_address: UNMAPPED })), "EFAULT");
  expectResult(await sender.ioctl("SEND", encodeCommand("SEND", {})), "EFAULT");
  expect(await receiver.recvAll()).toHaveLength(1);
});

test("MSG-016 a message that reaches into memory that is not there gives EFAULT", covers("MSG-016"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const page = await pageBeforeHole(root);
  const header = encodeMessage({ dst_id: receiver.id, payload_type: abi.PAYLOAD.DBUS, cookie: 1 }).bytes;
  await writeMemory(root, page + 4096n - 64n, header);
  expectResult(await sender.ioctl("SEND", encodeCommand("SEND", { msg_address: page + 4096n - 64n })), null);
  await writeMemory(root, page + 4096n - 40n, header.slice(0, 40));

  expectResult(await sender.ioctl("SEND", encodeCommand("SEND", { msg_address: page + 4096n - 40n })), "EFAULT");
  expectResult(await sender.ioctl("SEND", encodeCommand("SEND", { msg_address: page + 4096n })), "EFAULT");

  expect(await receiver.recvAll()).toHaveLength(1);
});

test("MSG-017 unknown message flags give EINVAL", covers("MSG-017"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];

  const accepted: number[] = [];
  for (let bit = 3; bit <= 62; bit++) {
    const message = memory(encodeMessage({ dst_id: receiver.id, payload_type: abi.PAYLOAD.DBUS, cookie: bit, flags: 1n << BigInt(bit) }), "message");
    const { errno } = await sender.rawSend(encodeCommand("SEND", {}), message);
    if (errno !== "EINVAL") accepted.push(bit);
  }

  expect(accepted, "bits that did not give EINVAL").toEqual([]);
  await expectErrno(receiver.recv(), "EAGAIN");
});

test("MSG-019 every payload type but 0 is carried unchanged", covers("MSG-019"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const types = [abi.PAYLOAD.DBUS, 1n, 0x8000_0000_0000_0000n, 0xffff_ffff_ffff_ffffn, 0x1234_5678_9abc_def0n];

  for (const payloadType of types) await sender.send(receiver, { payloadType });

  expect((await receiver.recvAll()).map((message) => message.header.payload_type)).toEqual(types);
});

test("MSG-020 the source is the sender, whatever it may claim", covers("MSG-020"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];

  await sender.send(receiver, { srcId: 0n });
  await sender.send(receiver, { srcId: sender.id });
  await expectErrno(sender.send(receiver, { srcId: sender.id + 1n }), "EINVAL");
  await expectErrno(sender.send(receiver, { srcId: receiver.id }), "EINVAL");

  expect((await receiver.recvAll()).map((message) => message.header.src_id)).toEqual([sender.id, sender.id]);
});

test("MSG-021 the header arrives as sent", covers("MSG-021"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const timeoutNs = (await sender.process.monotonicNs()) + 3_600_000_000_000n;
  const flags = abi.MSG.EXPECT_REPLY | abi.MSG.NO_AUTO_START;

  await sender.send(receiver, { flags, priority: -5, payloadType: 77, cookie: 0xfedc_ba98_7654_3210n, timeoutNs });

  expect((await receiver.recv()).header).toMatchObject({ flags, priority: -5n, dst_id: receiver.id, src_id: sender.id, payload_type: 77n, cookie: 0xfedc_ba98_7654_3210n, timeout_ns: timeoutNs });
});

test("MSG-021 the cookie of the request arrives in the reply, with the priority it was given", covers("MSG-021"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  await client.send(server, { cookie: 0x1_0000_0001n, expectReplyMs: 600_000 });

  await server.reply(await server.recv(), { cookie: 9, priority: 1n << 40n });

  expect((await client.recv()).header).toMatchObject({ flags: 0n, priority: 1n << 40n, cookie: 9n, timeout_ns: 0x1_0000_0001n });
});

test("MSG-021 the destination is 0 if sent by name only and all ones for a broadcast", covers("MSG-021", "MSG-022"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await receiver.acquire("test.name");
  await receiver.addMatch();

  await sender.send("test.name", { cookie: 1 });
  await sender.send(receiver, { dstName: "test.name", cookie: 2 });
  await sender.broadcast({ cookie: 3, priority: 3 });

  const messages = (await receiver.recvAll()).filter((message) => message.notification === undefined);
  expect(messages.map(({ header, dstName }) => [header.cookie, header.dst_id, dstName])).toEqual([
    [1n, 0n, "test.name"],
    [2n, receiver.id, "test.name"],
    [3n, abi.DST_ID_BROADCAST, undefined],
  ]);
  expect(messages[2]?.header).toMatchObject({ flags: abi.MSG.SIGNAL, priority: 3n, timeout_ns: 0n });
});

test("MSG-023 a message without payload is delivered", covers("MSG-023"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const message = memory(encodeMessage({ dst_id: receiver.id, payload_type: abi.PAYLOAD.DBUS, cookie: 23 }), "message");
  expect(message.size).toBe(64);

  expectResult(await sender.rawSend(encodeCommand("SEND", {}), message), null);

  const received = await receiver.recv();
  expect(received.header.cookie).toBe(23n);
  expect(received.payload).toEqual([]);
  expect(received.items.filter((entry) => entry.type < abi.ITEM.TIMESTAMP), "items besides metadata").toEqual([]);
});

test("MSG-029 items, slices and payload lie aligned and inside of the slice", covers("MSG-029", "MSG-081"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ attachRecv: abi.ATTACH_ALL })];
  await receiver.acquire("odd.name.x");
  const memfd = await root.memfd("0123456789");
  const payloads = [undefined, "a", "1234567", ["abc", { zeros: 5 }, "x"], ["y", item.memfd(memfd, 1, 3), "zz"], "p".repeat(4097)] as const;

  for (const payload of payloads) await sender.send("odd.name.x", payload === undefined ? {} : { payload: typeof payload === "string" ? payload : [...payload] });

  const received = await receiver.recvAll({ keep: true });
  expect(received).toHaveLength(payloads.length);
  for (const { offset, msgSize, header, items, payload } of received) {
    expect(offset % 8n).toBe(0n);
    expect(msgSize % 8n).toBe(0n);
    expect(msgSize).toBeGreaterThanOrEqual(header.size);
    expect(offset + msgSize).toBeLessThanOrEqual(BigInt(receiver.poolSize));
    expect(items.filter((entry) => entry.at % 8 !== 0)).toEqual([]);
    expect(payload.filter((chunk) => chunk.kind === "outside")).toEqual([]);
    const chunks = payload.filter((chunk) => chunk.kind === "bytes");
    expect(chunks.filter((chunk) => BigInt(chunk.offset) < header.size), "payload inside of the items").toEqual([]);
  }
  expect(payloadText(received.at(-1) as (typeof received)[number])).toBe("p".repeat(4097));
});

test("MSG-086 sizes from 64 up to 32768 are accepted", covers("MSG-086"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const byte = address(memory("x", "payload"));
  const vecs = (count: number): ReturnType<typeof item.vec>[] => Array.from({ length: count }, () => item.vec(byte, 1));
  const largest = memory(encodeMessage({ dst_id: receiver.id, payload_type: abi.PAYLOAD.DBUS, cookie: 1 }, vecs(1022)), "message");
  expect(largest.size).toBe(32768);

  expectResult(await sender.rawSend(encodeCommand("SEND", {}), largest), null);

  expect(payloadText(await receiver.recv())).toBe("x".repeat(1022));
});

test("MSG-086 a message below 64 bytes gives EINVAL, one above 32768 EMSGSIZE", covers("MSG-086"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const fields = { dst_id: receiver.id, payload_type: abi.PAYLOAD.DBUS, cookie: 1 } as const;
  const errnoOf = async (size: number, bytes = 64): Promise<string | null> => {
    const encoded = encodeMessage({ ...fields, size });
    const long = memory({ ...encoded, bytes: new Uint8Array(Math.max(bytes, encoded.bytes.length)) }, "message");
    long.encoded.bytes.set(encoded.bytes);
    return (await sender.rawSend(encodeCommand("SEND", {}), long)).errno;
  };

  expect({ 0: await errnoOf(0), 16: await errnoOf(16), 63: await errnoOf(63), 64: await errnoOf(64) }).toEqual({ 0: "EINVAL", 16: "EINVAL", 63: "EINVAL", 64: null });
  expect({ 32769: await errnoOf(32769, 40960), 32776: await errnoOf(32776, 40960) }).toEqual({ 32769: "EMSGSIZE", 32776: "EMSGSIZE" });
  expect(await receiver.recvAll()).toHaveLength(1);
});
