import { abi, address, callInVain, covers, decodeStruct, encodeCommand, encodeMessage, eventfd, expect, expectErrno, expectResult, item, memory, payloadText, readableAt, test, type Encoded, type Item } from "../../support/index.ts";

const LATER = 600_000;
const BLOOM_SIZE = 4096;

/** A unicast signal of 8192 bytes: header 64, filter 4120, name 40, and 124 VECs of 32. */
function largest(to: bigint, vecs = 124): Encoded {
  const byte = address(memory("x", "payload"));
  const filter = item.bloomFilter(0, new Uint8Array(BLOOM_SIZE).fill(0xff));
  return encodeMessage({ dst_id: to, payload_type: abi.PAYLOAD.DBUS, cookie: 15, flags: abi.MSG.SIGNAL }, [item.dstName("test.name.of.some.chars"), filter, ...Array.from({ length: vecs }, () => item.vec(byte, 1))]);
}

test("MSG-015 a message may have 8192 bytes and not one more", covers("MSG-015"), async ({ domain, root }) => {
  const bus = await domain.makeBus(root, { bloom: { size: BLOOM_SIZE, hashes: 1 } });
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await receiver.acquire("test.name.of.some.chars");
  await receiver.addMatch();
  const [fits, above] = [largest(receiver.id), largest(receiver.id, 125)];
  expect([fits.bytes.length, above.bytes.length]).toEqual([8192, 8224]);

  expectResult(await sender.rawSend(encodeCommand("SEND", {}), memory(fits, "message")), null);
  expectResult(await sender.rawSend(encodeCommand("SEND", {}), memory(above, "message")), "EINVAL");

  expect((await receiver.recvAll()).filter(({ notification }) => notification === undefined).map((message) => payloadText(message))).toEqual(["x".repeat(124)]);
});

test("MSG-015 a message size below the header's or above the limit gives EINVAL", covers("MSG-015"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];

  const seen: Record<string, string | null> = {};
  for (const size of [0n, 1n, 8n, 56n, 63n, 8193n, 8200n, 32768n, 32776n, 1n << 32n, 0xffff_ffff_ffff_fff8n]) {
    const message = memory(encodeMessage({ dst_id: receiver.id, payload_type: abi.PAYLOAD.DBUS, cookie: 1, size }, [item.raw(abi.ITEM.FDS, new Uint8Array(0))]), "message");
    seen[String(size)] = (await sender.rawSend(encodeCommand("SEND", {}), message)).errno;
  }

  expect(Object.entries(seen).filter(([, errno]) => errno !== "EINVAL")).toEqual([]);
  await expectErrno(receiver.recv(), "EAGAIN");
});

test("MSG-026 a delivered signal has no BLOOM_FILTER item", covers("MSG-026"), async ({ bus }) => {
  const [sender, receiver, monitor] = [await bus.connect(), await bus.connect(), await bus.connectMonitor()];
  await receiver.addMatch();

  await sender.broadcast({ payload: "to all" });
  await sender.send(receiver, { payload: "to one", bloom: { filter: sender.bloomOnes() } });

  for (const seen of [await receiver.recvAll(), await monitor.recvAll()]) {
    const signals = seen.filter(({ notification }) => notification === undefined);
    expect(signals.map((message) => payloadText(message))).toEqual(["to all", "to one"]);
    expect(signals.flatMap(({ items }) => items.map(({ type }) => type))).not.toContain(abi.ITEM.BLOOM_FILTER);
  }
});

test("MSG-033 a second FDS, BLOOM_FILTER or DST_NAME gives EEXIST", covers("MSG-033"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await receiver.acquire("test.name");
  await receiver.addMatch([item.id(sender.id)]);
  const { read } = await root.pipe();
  const bloom = { filter: sender.bloomOnes() };

  await expectErrno(sender.send(receiver, { fds: [read], items: [item.fds([read])] }), "EEXIST");
  await expectErrno(sender.send("test.name", { items: [item.dstName("test.name")] }), "EEXIST");
  await expectErrno(sender.send(receiver, { bloom, items: [item.bloomFilter(0, bloom.filter)] }), "EEXIST");

  await expectErrno(receiver.recv(), "EAGAIN");
});

test("MSG-036 a request with cookie 0 gives EINVAL", covers("MSG-036"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];

  await expectErrno(client.send(server, { cookie: 0, expectReplyMs: LATER }), "EINVAL");
  await client.send(server, { cookie: 0 });
  await client.send(server, { cookie: 1, expectReplyMs: LATER });

  expect((await server.recvAll()).map(({ header }) => [header.cookie, header.flags])).toEqual([[0n, 0n], [1n, abi.MSG.EXPECT_REPLY]]);
});

test("MSG-038 a request that is a signal to one connection gives EINVAL", covers("MSG-038"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await receiver.addMatch();

  await expectErrno(sender.send(receiver, { bloom: { filter: sender.bloomOnes() }, expectReplyMs: LATER, cookie: 38 }), "EINVAL");

  await expectErrno(receiver.recv(), "EAGAIN");
});

for (const to of ["everybody", "one connection"] as const) {
  test(`MSG-042 a signal to ${to} with a deadline or cookie_reply gives EINVAL`, covers("MSG-042"), async ({ bus }) => {
    const [sender, receiver] = [await bus.connect(), await bus.connect()];
    await receiver.addMatch();
    const signal = (timeoutNs: bigint) => sender.send(to === "everybody" ? "broadcast" : receiver, { bloom: { filter: sender.bloomOnes() }, timeoutNs, cookie: 42 });

    for (const value of [1n, 1n << 63n]) await expectErrno(signal(value), "EINVAL");
    await signal(0n);

    expect((await receiver.recvAll()).map(({ header }) => header.cookie)).toEqual([42n]);
  });
}

test("MSG-044 own broadcasts never come back", covers("MSG-044"), async ({ bus }) => {
  const [sender, other] = [await bus.connect(), await bus.connect()];
  await sender.addMatch([]);
  await sender.addMatch([item.id(sender.id)]);
  await other.addMatch([item.id(sender.id)]);

  await sender.broadcast({ cookie: 44 });

  await expectErrno(sender.recv(), "EAGAIN");
  expect((await other.recvAll()).map(({ header }) => header.cookie)).toEqual([44n]);
});

test("MSG-048 a reply without an open request of its destination gives EPERM", covers("MSG-048"), async ({ bus }) => {
  const [client, server, third] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await client.send(server, { cookie: 48, expectReplyMs: LATER });
  const request = await server.recv();

  await expectErrno(server.send(client, { cookieReply: 49n, cookie: 1 }), "EPERM");
  await expectErrno(third.reply(request, { cookie: 2 }), "EPERM");
  await expectErrno(client.send(server, { cookieReply: 48n, cookie: 3 }), "EPERM");
  await server.reply(request, { cookie: 4 });

  expect((await client.recvAll()).map(({ header }) => header.cookie)).toEqual([4n]);
  await expectErrno(server.recv(), "EAGAIN");
});

test("MSG-049 a request can be answered once", covers("MSG-049"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  await client.send(server, { cookie: 49, expectReplyMs: LATER });
  const request = await server.recv();

  await server.reply(request, { cookie: 1 });
  await expectErrno(server.reply(request, { cookie: 2 }), "EPERM");

  expect((await client.recvAll()).map(({ header }) => header.cookie)).toEqual([1n]);
});

test("MSG-050 a reply behind the deadline gives EPERM", covers("MSG-050"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  await client.send(server, { cookie: 50, flags: abi.MSG.EXPECT_REPLY, timeoutNs: 1n });
  const request = await server.recv();
  expect(await readableAt(client, 5000), "REPLY_TIMEOUT").toBeDefined();

  await expectErrno(server.reply(request), "EPERM");

  expect((await client.recvAll()).map(({ notification }) => notification?.kind)).toEqual(["REPLY_TIMEOUT"]);
});

for (const end of ["timed out", "was cancelled"] as const) {
  test(`MSG-064 a request whose caller ${end} stays queued and cannot be answered`, covers("MSG-064"), async ({ bus, root }) => {
    const [client, server] = [await bus.connect(), await bus.connect()];
    if (end === "timed out") expect(await callInVain(client, server, 64)).toBe("ETIMEDOUT");
    else {
      const cancel = await eventfd(root);
      const call = await client.startCall(server, { cookie: 64, sendItems: [item.cancelFd(cancel)], expectReplyMs: LATER });
      await root.write(cancel, new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]));
      await expectErrno(call.done, "ECANCELED");
    }

    const request = await server.recv();
    await expectErrno(server.reply(request), "EPERM");

    expect(request.header.cookie).toBe(64n);
    await expectErrno(client.recv(), "EAGAIN");
  });
}

test("MSG-099 SEND that negotiates returns without reading the message", covers("MSG-099"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const asking = encodeMessage({ dst_id: receiver.id, payload_type: abi.PAYLOAD.DBUS, cookie: 1, flags: abi.FLAG_NEGOTIATE });

  const both = await sender.rawSend(encodeCommand("SEND", { flags: abi.FLAG_NEGOTIATE }), memory(asking, "message"));
  const nowhere = await sender.ioctl("SEND", encodeCommand("SEND", { flags: abi.FLAG_NEGOTIATE, msg_address: 8 }));
  const messageOnly = await sender.rawSend(encodeCommand("SEND", {}), memory(asking, "message"));

  expect([both.errno, nowhere.errno, messageOnly.errno]).toEqual([null, null, "EINVAL"]);
  for (const { message } of [both, messageOnly]) expect(decodeStruct("msg", message).flags).toBe(abi.FLAG_NEGOTIATE);
  await expectErrno(receiver.recv(), "EAGAIN");
});

test("MSG-104 items arrive as name, payload, descriptors, metadata", covers("MSG-104"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ attachRecv: abi.ATTACH.CREDS })];
  await receiver.acquire("test.name");
  const memfd = await root.memfd("content");
  const { read } = await root.pipe();
  const vec = (text: string): Item => item.vec(address(memory(text)), text.length);
  const parts = { fds: item.fds([read]), name: item.dstName("test.name"), memfd: item.memfd(memfd, 0, 7), vec: vec("abc") };

  for (const order of [["fds", "memfd", "vec", "name"], ["vec", "fds", "name", "memfd"]] as const) await sender.send(receiver, { items: order.map((part) => parts[part]) });

  const { DST_NAME, PAYLOAD_OFF, PAYLOAD_MEMFD, FDS, CREDS } = abi.ITEM;
  expect((await receiver.recvAll()).map(({ items }) => items.map(({ type }) => type))).toEqual([
    [DST_NAME, PAYLOAD_MEMFD, PAYLOAD_OFF, FDS, CREDS],
    [DST_NAME, PAYLOAD_OFF, PAYLOAD_MEMFD, FDS, CREDS],
  ]);
});
