import { abi, address, covers, decodeStruct, encodeCommand, encodeMessage, encodeStruct, expect, expectErrno, item, KERNEL_ADDRESS, memory, pageBeforeHole, payloadBytes, payloadText, test, textVec, type Item } from "../../support/index.ts";

const LETTERS = "abcdefghijklmnopqrstuvwxyz";

test("MSG-024 the payload stream survives odd sizes and memfds", covers("MSG-024", "MSG-028"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const memfd = await root.memfd(LETTERS);
  const parts: (string | Item | { zeros: number })[] = [];
  let expected = "";
  for (let size = 1; size <= 17; size++) {
    parts.push(LETTERS.slice(0, size));
    expected += LETTERS.slice(0, size);
    if (size % 3 === 0) {
      parts.push({ zeros: size });
      expected += "\0".repeat(size);
    }
    if (size % 5 === 0) {
      parts.push(item.memfd(memfd, size, 3));
      expected += LETTERS.slice(size, size + 3);
    }
  }

  await sender.send(receiver, { payload: parts });

  let before = 0;
  let stream = "";
  for (const chunk of (await receiver.recv()).payload) {
    if (chunk.kind === "bytes") {
      expect(chunk.offset % 8, `offset ${chunk.offset} behind ${before} bytes of the stream`).toBe(before % 8);
      stream += new TextDecoder().decode(chunk.bytes);
    } else if (chunk.kind === "zeros") stream += "\0".repeat(chunk.size);
    else if (chunk.kind === "memfd") stream += new TextDecoder().decode(await root.readAt(chunk.fd, Number(chunk.start), Number(chunk.size)));
    before = stream.length;
  }
  expect(stream).toBe(expected);
});

test("MSG-025 no kind of message carries VEC or CANCEL_FD to its receiver", covers("MSG-025"), async ({ bus, root }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  const { read } = await root.pipe();
  await server.addMatch();

  await client.broadcast({ payload: ["b", { zeros: 3 }] });
  const call = await client.startCall(server, { payload: ["r", { zeros: 2 }], sendItems: [item.cancelFd(read)] });
  const received = await server.recvAll();
  const request = received.find((message) => message.header.flags === abi.MSG.EXPECT_REPLY);
  await server.reply(request as NonNullable<typeof request>, { payload: ["answer", { zeros: 1 }] });
  received.push(await call.done);

  expect(received).toHaveLength(3);
  expect(received.flatMap(({ items }) => items.map((entry) => entry.type)).filter((type) => type === abi.ITEM.PAYLOAD_VEC || type === abi.ITEM.CANCEL_FD)).toEqual([]);
});

test("MSG-027 the marker of zeros is all ones at every receiver of a broadcast, with and without metadata", covers("MSG-027"), async ({ bus }) => {
  const sender = await bus.connect();
  const receivers = [await bus.connect(), await bus.connect({ attachRecv: abi.ATTACH_ALL }), await bus.connect({ attachRecv: abi.ATTACH.TIMESTAMP }), await bus.connectMonitor({ attachRecv: abi.ATTACH_ALL })];
  for (const receiver of receivers.slice(0, 3)) await receiver.addMatch();
  const sizes = [1, 7, 8, 9, 4095, 4096];

  await sender.broadcast({ payload: sizes.flatMap((zeros) => ["x".repeat((zeros % 5) + 1), { zeros }]) });

  for (const receiver of receivers) {
    const signal = (await receiver.recvAll()).find((message) => message.notification === undefined);
    const vecs = (signal?.items ?? []).filter((entry) => entry.type === abi.ITEM.PAYLOAD_OFF).map((entry) => decodeStruct("vec", entry.payload));
    expect(vecs.filter((vec) => vec.offset === abi.OFFSET_ZEROS).map((vec) => Number(vec.size))).toEqual(sizes);
    expect(payloadBytes(signal as NonNullable<typeof signal>).length).toBe(sizes.reduce((sum, size) => sum + size + (size % 5) + 1, 0));
  }
});

test("MSG-030 payload items of size 0 give EINVAL", covers("MSG-030"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const memfd = await root.memfd("content");

  await expectErrno(sender.send(receiver, { items: [item.vec(address(memory("x")), 0)] }), "EINVAL");
  await expectErrno(sender.send(receiver, { items: [item.vec(0, 0)] }), "EINVAL");
  await expectErrno(sender.send(receiver, { items: [item.memfd(memfd, 0, 0)] }), "EINVAL");
  await expectErrno(receiver.recv(), "EAGAIN");
});

for (const [what, start] of [["behind the end of a mapping", "hole"], ["in the kernel", "kernel"], ["that wraps around the address space", "wrap"]] as const) {
  test(`MSG-031 a VEC ${what} gives EFAULT and queues nothing`, covers("MSG-031"), async ({ bus }) => {
    const [sender, receiver] = [await bus.connect(), await bus.connect()];
    const at = start === "hole" ? await pageBeforeHole(sender.process) : start === "kernel" ? 0xffff_8880_0000_0000n : KERNEL_ADDRESS;
    const size = start === "wrap" ? 8192 : 4096 + 1;

    await expectErrno(sender.send(receiver, { payload: ["good"], items: [item.vec(at, size)] }), "EFAULT");

    await expectErrno(receiver.recv(), "EAGAIN");
    expect(await receiver.poll() & 0x1).toBe(0);
  });
}

test("MSG-032 item types that no message has give EINVAL", covers("MSG-032"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const allowed: readonly string[] = ["NULL", "NEGOTIATE", ...abi.ALLOWED_ITEMS.message];
  const known = Object.entries(abi.ITEM).filter(([name]) => !allowed.includes(name));
  expect(known.length).toBeGreaterThan(25);
  const types = [...known.map(([, type]) => type), 0, 0x11, 0x7f, 0x100e, 0x2001, 0x8007, 0x7fff_ffff];

  const accepted: number[] = [];
  for (const type of types) {
    const message = memory(encodeMessage({ dst_id: receiver.id, payload_type: abi.PAYLOAD.DBUS, cookie: 1 }, [textVec("x"), wellFormed(type)]), "message");
    if ((await sender.rawSend(encodeCommand("SEND", {}), message)).errno !== "EINVAL") accepted.push(type);
  }

  expect(accepted, "types that did not give EINVAL").toEqual([]);
  await expectErrno(receiver.recv(), "EAGAIN");
});

/** An item whose payload would be fine for its type, so that only the type is wrong. */
function wellFormed(type: number): Item {
  if (type === abi.ITEM.PAYLOAD_OFF) return { type, payload: encodeStruct("vec", { size: 8, address: 0 }) };
  if (type === abi.ITEM.CREDS) return { type, payload: encodeStruct("creds", {}) };
  return item.raw(type, new Uint8Array(32));
}

test("MSG-034 a DST_NAME that is no valid name, or a wildcard, gives EINVAL", covers("MSG-034"), async ({ bus }) => {
  const sender = await bus.connect();
  await expectErrno(sender.send("nobody.here"), "ESRCH"); // a valid name without owner
  await expectErrno(sender.send(`a.${"b".repeat(253)}`), "ESRCH"); // of 255 characters

  for (const name of ["nodot", ".leading.dot", "trailing.", "a..b", "a.*", "a.b.*", "1.digit", `a.${"b".repeat(254)}`, ""]) {
    await expectErrno(sender.send(abi.DST_ID_NAME, { dstName: name }), "EINVAL");
  }
});

test("MSG-088 a second FDS, BLOOM_FILTER or DST_NAME gives EINVAL", covers("MSG-088"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await receiver.acquire("test.name");
  await receiver.addMatch([item.id(sender.id)]);
  const { read } = await root.pipe();
  const filter = item.bloomFilter(0, sender.bloomOnes());

  await expectErrno(sender.send(receiver, { items: [item.fds([read]), item.fds([read])] }), "EINVAL");
  await expectErrno(sender.send(receiver, { flags: abi.MSG.SIGNAL, items: [filter, filter] }), "EINVAL");
  await expectErrno(sender.send(0n, { items: [item.dstName("test.name"), item.dstName("test.name")] }), "EINVAL");
  await expectErrno(receiver.recv(), "EAGAIN");

  await sender.send(receiver, { items: [item.fds([read])] });
  await sender.send(receiver, { flags: abi.MSG.SIGNAL, items: [filter] });
  await sender.send(0n, { items: [item.dstName("test.name")] });
  expect(await receiver.recvAll()).toHaveLength(3);
});

test("MSG-103 the sender's items keep their order and metadata follows", covers("MSG-103"), async ({ bus, root }) => {
  const sender = await bus.connect();
  const receiver = await bus.connect({ attachRecv: abi.ATTACH_ALL });
  await receiver.acquire("test.name");
  const memfd = await root.memfd("memfd content");
  const { read } = await root.pipe();
  const orders: (() => Item[])[] = [
    () => [item.fds([read]), textVec("one"), item.dstName("test.name"), item.memfd(memfd, 0, 5), textVec("two")],
    () => [item.memfd(memfd, 0, 5), item.dstName("test.name"), textVec("one"), item.vec(0, 16), item.fds([read])],
    () => [item.dstName("test.name"), item.vec(0, 8), item.fds([read]), item.memfd(memfd, 1, 2), item.memfd(memfd, 2, 2)],
  ];

  for (const order of orders) {
    const items = order();
    await sender.send(0n, { items });
    const types = (await receiver.recv()).items.map((entry) => entry.type);
    const expected = items.map(({ type }) => (type === abi.ITEM.PAYLOAD_VEC ? abi.ITEM.PAYLOAD_OFF : type));
    expect(types.slice(0, expected.length)).toEqual(expected);
    expect(types.slice(expected.length).filter((type) => type < abi.ITEM.TIMESTAMP)).toEqual([]);
    expect(types.length, "metadata was asked for").toBeGreaterThan(expected.length);
  }
});

test("MSG-024 a large payload arrives whole", covers("MSG-024"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const text = Array.from({ length: 20_000 }, (_, index) => String.fromCharCode(33 + ((index * 7 + (index >> 8)) % 90))).join("");

  await sender.send(receiver, { payload: [text, text.slice(0, 4099)] });

  expect(payloadText(await receiver.recv())).toBe(text + text.slice(0, 4099));
});
