import { abi, covers, decodeStruct, expect, expectErrno, expectResult, item, payloadText, test, UNMAPPED } from "../../support/index.ts";

test("MSG-001 a message to an id is the next one received there", covers("MSG-001"), async ({ bus }) => {
  const sender = await bus.connect();
  const receiver = await bus.connect();

  await sender.send(receiver, { cookie: 4711, payload: "hello" });

  const message = await receiver.recv();
  expect(message.header.cookie).toBe(4711n);
  expect(message.header.src_id).toBe(sender.id);
  expect(payloadText(message)).toBe("hello");
});

test("MSG-002 the message is there when SEND returns", covers("MSG-002"), async ({ bus }) => {
  const sender = await bus.connect();
  const receiver = await bus.connect();

  await sender.send(receiver);

  const POLLIN = 0x1;
  expect(await receiver.poll(0) & POLLIN).toBe(POLLIN);
});

test("MSG-003 SEND without a wait reports the empty reply", covers("MSG-003"), async ({ bus }) => {
  const sender = await bus.connect();
  const receiver = await bus.connect();

  const { reply } = await sender.send(receiver);

  expect(reply).toEqual({ offset: BigInt(sender.poolSize), msg_size: 0n, return_flags: 0n });
});

for (const kind of ["activator", "monitor", "policy holder"] as const) {
  test(`MSG-004 SEND of a connection that is a ${kind} gives EOPNOTSUPP before its argument is read`, covers("MSG-004"), async ({ bus }) => {
    const special = kind === "activator" ? await bus.connectActivator("test.name") : kind === "monitor" ? await bus.connectMonitor() : await bus.connectPolicyHolder("test.name", []);

    expectResult(await special.ioctl("SEND", 0), "EOPNOTSUPP");
    expectResult(await special.ioctl("SEND", UNMAPPED), "EOPNOTSUPP");
  });
}

test("MSG-005 a connection that said BYEBYE can neither send nor receive", covers("MSG-005"), async ({ bus }) => {
  const connection = await bus.connect();
  await connection.byebye();

  await expectErrno(connection.send(connection), "ECONNRESET");
  await expectErrno(connection.recv(), "ECONNRESET");
});

test("MSG-006 a message without any destination gives EDESTADDRREQ", covers("MSG-006"), async ({ bus }) => {
  const sender = await bus.connect();

  await expectErrno(sender.send(abi.DST_ID_NAME), "EDESTADDRREQ");
});

test("MSG-007 a message to a name goes to its owner of that moment", covers("MSG-007", "MSG-022"), async ({ bus }) => {
  const [sender, first, second] = [await bus.connect(), await bus.connect(), await bus.connect()];

  await first.acquire("test.name");
  await sender.send("test.name", { cookie: 1 });
  await first.release("test.name");
  await second.acquire("test.name");
  await sender.send("test.name", { cookie: 2 });

  const [toFirst, toSecond] = [await first.recvAll(), await second.recvAll()];
  expect(toFirst.map((message) => message.header.cookie)).toEqual([1n]);
  expect(toSecond.map((message) => message.header.cookie)).toEqual([2n]);
  expect(toSecond[0]?.dstName).toBe("test.name");
});

test("MSG-008 a name that nobody holds gives ESRCH", covers("MSG-008"), async ({ bus }) => {
  const sender = await bus.connect();

  await expectErrno(sender.send("nobody.here"), "ESRCH");
});

test("MSG-009 an id that is not connected gives ENXIO", covers("MSG-009"), async ({ bus }) => {
  const [sender, gone] = [await bus.connect(), await bus.connect()];
  await gone.close();

  await expectErrno(sender.send(gone.id), "ENXIO");
  await expectErrno(sender.send(0x7fff_ffff_0000n), "ENXIO");
});

for (const kind of ["activator", "monitor", "policy holder"] as const) {
  test(`MSG-010 a message to the id of a connection that is a ${kind} gives ENXIO`, covers("MSG-010"), async ({ bus }) => {
    const sender = await bus.connect();
    const special = kind === "activator" ? await bus.connectActivator("test.name") : kind === "monitor" ? await bus.connectMonitor() : await bus.connectPolicyHolder("test.name", []);

    await expectErrno(sender.send(special.id), "ENXIO");
  });
}

test("MSG-011 an id besides the name is the condition that this connection owns it", covers("MSG-011"), async ({ bus }) => {
  const [sender, owner, other] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await owner.acquire("test.name");

  await sender.send(owner, { dstName: "test.name", cookie: 1 });
  await expectErrno(sender.send(other, { dstName: "test.name", cookie: 2 }), "EREMCHG");

  expect((await owner.recvAll()).map((message) => message.header.cookie)).toEqual([1n]);
  expect(await other.recvAll()).toEqual([]);
});

test("MSG-012 NO_AUTO_START keeps a message away from an activator", covers("MSG-012"), async ({ bus }) => {
  const sender = await bus.connect();
  const activator = await bus.connectActivator("test.name");

  await expectErrno(sender.send("test.name", { flags: abi.MSG.NO_AUTO_START, cookie: 1 }), "EADDRNOTAVAIL");
  await sender.send("test.name", { cookie: 2 });

  expect((await activator.recvAll()).map((message) => message.header.cookie)).toEqual([2n]);
});

test("MSG-012 NO_AUTO_START means nothing where an ordinary connection owns the name", covers("MSG-012"), async ({ bus }) => {
  const [sender, owner] = [await bus.connect(), await bus.connect()];
  await owner.acquire("test.name");

  await sender.send("test.name", { flags: abi.MSG.NO_AUTO_START, cookie: 3 });

  expect((await owner.recv()).header.cookie).toBe(3n);
});

test("MSG-013 a stranger of another user may not talk to a connection without names", covers("MSG-013"), async ({ bus, spawn }) => {
  const stranger = await bus.connect({ by: await spawn({ uid: 2000, gid: 2000, label: "stranger" }) });
  const receiver = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "receiver" }) });

  await expectErrno(stranger.send(receiver), "EPERM");
  await expectErrno(receiver.recv(), "EAGAIN");
});

test("MSG-014 a connection can send to itself", covers("MSG-014"), async ({ bus }) => {
  const connection = await bus.connect();

  await connection.send(connection, { payload: "to myself" });

  expect(payloadText(await connection.recv())).toBe("to myself");
});

test("MSG-024 pieces of several kinds arrive as one stream in the order sent", covers("MSG-024", "MSG-028"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const memfd = await root.memfd("0123456789");

  await sender.send(receiver, { payload: ["abc", item.memfd(memfd, 2, 5), { zeros: 3 }, "defgh"] });

  const { payload } = await receiver.recv();
  let before = 0;
  const stream: string[] = [];
  for (const chunk of payload) {
    if (chunk.kind === "bytes") {
      expect(chunk.offset % 8, `offset ${chunk.offset} after ${before} bytes`).toBe(before % 8);
      stream.push(new TextDecoder().decode(chunk.bytes));
      before += chunk.bytes.length;
    } else if (chunk.kind === "memfd") {
      const size = Number(chunk.size);
      const data = await root.readAt(chunk.fd, Number(chunk.start), size);
      stream.push(new TextDecoder().decode(data));
      before += size;
    } else if (chunk.kind === "zeros") {
      stream.push("\0".repeat(chunk.size));
      before += chunk.size;
    }
  }
  expect(stream.join("")).toBe("abc23456\0\0\0defgh");
});

test("MSG-018 payload type 0 is the kernel's own", covers("MSG-018"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];

  await expectErrno(sender.send(receiver, { payloadType: abi.PAYLOAD.KERNEL }), "EINVAL");
});

test("MSG-025 neither VEC nor CANCEL_FD reaches a receiver", covers("MSG-025"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const { read } = await root.pipe();

  await sender.send(receiver, { payload: ["x", { zeros: 9 }], expectReplyMs: 5000, sendItems: [item.cancelFd(read)] });

  const { items } = await receiver.recv();
  expect(items.map((entry) => entry.type).filter((type) => type === abi.ITEM.PAYLOAD_VEC || type === abi.ITEM.CANCEL_FD)).toEqual([]);
});

test("MSG-027 a VEC without data stands for zeros and stores nothing", covers("MSG-027"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];

  await sender.send(receiver, { payload: ["abc", { zeros: 4096 }] });

  const { items } = await receiver.recv();
  const vecs = items.filter((entry) => entry.type === abi.ITEM.PAYLOAD_OFF).map((entry) => decodeStruct("vec", entry.payload));
  expect(vecs.filter((vec) => vec.offset === abi.OFFSET_ZEROS).map((vec) => vec.size)).toEqual([4096n]);
});
