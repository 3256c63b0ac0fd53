import { abi, address, covers, encodeCommand, encodeMessage, expect, expectErrno, expectResult, item, memory, openToWorld, payloadBytes, payloadText, prepareSend, Script, test, type Connection } from "../../support/index.ts";

const cookiesOf = async (connection: Connection): Promise<number[]> => (await connection.recvAll()).map(({ header }) => Number(header.cookie));

test("LIM-003 16 memfds are accepted, 17 give E2BIG", covers("LIM-003"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const memfd = await root.memfd("content");
  const items = (count: number): ReturnType<typeof item.memfd>[] => Array.from({ length: count }, () => item.memfd(memfd, 0, 7));

  await sender.send(receiver, { cookie: 16, items: items(16) });
  await expectErrno(sender.send(receiver, { cookie: 17, items: items(17) }), "E2BIG");

  expect(await cookiesOf(receiver)).toEqual([16]);
});

test("LIM-004 16 descriptors are accepted, 17 give EMFILE", covers("LIM-004"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const fd = await root.open("/dev/null");

  await sender.send(receiver, { cookie: 16, fds: Array.from({ length: 16 }, () => fd) });
  const received = await receiver.recv();
  await expectErrno(sender.send(receiver, { cookie: 17, fds: Array.from({ length: 17 }, () => fd) }), "EMFILE");

  expect(received.fds).toHaveLength(16);
  expect(await cookiesOf(receiver)).toEqual([]);
});

for (const how of ["RECV", "DROP"] as const) {
  test(`LIM-005 16 descriptors of a user can wait at a receiver until ${how}`, covers("LIM-005"), async ({ bus, root }) => {
    const [sender, second, receiver] = [await bus.connect(), await bus.connect(), await bus.connect()];
    const fd = await root.open("/dev/null");
    const fds = (count: number): number[] => Array.from({ length: count }, () => fd);
    await sender.send(receiver, { fds: fds(10) });
    await second.send(receiver, { fds: fds(6) });

    await expectErrno(sender.send(receiver, { fds: fds(1) }), "EMFILE");
    await expectErrno(second.send(receiver, { fds: fds(1) }), "EMFILE");
    await sender.send(receiver, { payload: [item.memfd(await root.memfd("content"), 0, 7)] });

    if (how === "RECV") await receiver.recv();
    else await receiver.drop();
    await sender.send(receiver, { fds: fds(10) });
    await expectErrno(sender.send(receiver, { fds: fds(1) }), "EMFILE");
  });
}

test("LIM-006 256 messages of a user can wait, and one more for each that is received", covers("LIM-006"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];

  expect(await sender.flood(receiver, 300)).toEqual({ sent: 256, errno: "ENOBUFS" });
  await receiver.recv();

  expect(await sender.flood(receiver, 2, { cookie: 1000 })).toEqual({ sent: 1, errno: "ENOBUFS" });
  expect((await receiver.recvAll()).map(({ header }) => Number(header.cookie))).toEqual([...Array.from({ length: 255 }, (_, index) => index + 2), 1000]);
});

test("LIM-006 a message that was only looked at still counts", covers("LIM-006", "MSG-074"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  expect(await sender.flood(receiver, 300)).toEqual({ sent: 256, errno: "ENOBUFS" });

  for (let turn = 0; turn < 3; turn++) await receiver.peek();

  expect(await sender.flood(receiver, 2, { cookie: 1000 })).toEqual({ sent: 0, errno: "ENOBUFS" });
  await receiver.recv();
  expect(await sender.flood(receiver, 2, { cookie: 1000 })).toEqual({ sent: 1, errno: "ENOBUFS" });
});

test("LIM-007 the message quota of one user leaves that of another", covers("LIM-007"), async ({ bus, spawn }) => {
  const receiver = await bus.connect();
  await openToWorld(bus, receiver);
  const [first, second] = [await bus.connect({ by: await spawn({ uid: 1000, gid: 1000 }) }), await bus.connect({ by: await spawn({ uid: 2000, gid: 2000 }) })];
  expect(await first.flood(receiver, 257)).toEqual({ sent: 256, errno: "ENOBUFS" });

  expect(await second.flood(receiver, 257)).toEqual({ sent: 256, errno: "ENOBUFS" });
});

test("LIM-007 users who send in turns have 256 messages each, whoever came last", covers("LIM-007"), async ({ bus, spawn }) => {
  const receiver = await bus.connect();
  await openToWorld(bus, receiver);
  const senders: Connection[] = [];
  for (const uid of [1000, 2000, 3000]) senders.push(await bus.connect({ by: await spawn({ uid, gid: uid }) }));

  for (const sender of senders) expect(await sender.flood(receiver, 100)).toEqual({ sent: 100, errno: null });
  for (const sender of senders) expect(await sender.flood(receiver, 100), "a second turn").toEqual({ sent: 100, errno: null });
  for (const sender of senders) expect(await sender.flood(receiver, 57), "the last turn").toEqual({ sent: 56, errno: "ENOBUFS" });
});

test("LIM-008 all connections of a user share its message quota", covers("LIM-008"), async ({ bus, spawn }) => {
  const receiver = await bus.connect();
  await openToWorld(bus, receiver);
  const [first, second] = [await bus.connect({ by: await spawn({ uid: 1000, gid: 1000 }) }), await bus.connect({ by: await spawn({ uid: 1000, gid: 1000 }) })];
  expect((await first.flood(receiver, 156)).errno).toBeNull();

  expect(await second.flood(receiver, 257)).toEqual({ sent: 100, errno: "ENOBUFS" });
  expect(await first.flood(receiver, 1)).toEqual({ sent: 0, errno: "ENOBUFS" });
});

/** Largest payload that one VEC may have for SEND to succeed; what was sent is dropped. */
async function largestPayload(sender: Connection, receiver: Connection, above: number): Promise<{ readonly size: number; readonly errno: string | null }> {
  let [low, high] = [0, above];
  let errno: string | null = null;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    const message = memory(encodeMessage({ dst_id: receiver.id, payload_type: abi.PAYLOAD.DBUS, cookie: 1 }, [item.vec(sender.pool, middle)]), "message");
    const result = await sender.rawSend(encodeCommand("SEND", {}), message);
    if (result.errno === null) {
      low = middle;
      await receiver.drop();
    } else {
      high = middle;
      errno = result.errno;
    }
  }
  return { size: low, errno };
}
const SLACK = 256;
const HEADER_AND_VEC = 64 + 32;

for (const pool of [65536, 1 << 20, 12288]) {
  test(`LIM-009 one message may have a sixth of a pool of ${pool} bytes`, covers("LIM-009"), async ({ bus }) => {
    const [sender, receiver] = [await bus.connect(), await bus.connect({ pool })];
    const limit = Math.floor(Math.floor(pool / 2) / 3);

    const { size, errno } = await largestPayload(sender, receiver, pool);

    expect(errno).toBe("ENOBUFS");
    expect(size + HEADER_AND_VEC).toBeLessThanOrEqual(limit);
    expect(size + HEADER_AND_VEC).toBeGreaterThanOrEqual(limit - SLACK);
  });
}

test("LIM-010 a user fills a sixth of a pool, the next one gets a ninth", covers("LIM-010"), async ({ bus, spawn }) => {
  const POOL = 1 << 20;
  const receiver = await bus.connect({ pool: POOL });
  await openToWorld(bus, receiver);
  const filled: number[] = [];
  for (const uid of [1000, 2000]) {
    const sender = await bus.connect({ by: await spawn({ uid, gid: uid }) });
    let bytes = 0;
    for (const size of [20_000, 2_000, 200]) bytes += (await sender.flood(receiver, 256, { payload: "x".repeat(size) })).sent * (size + HEADER_AND_VEC);
    filled.push(bytes);
  }

  const [first, second] = filled as [number, number];
  expect(first).toBeLessThanOrEqual(POOL / 6);
  expect(first).toBeGreaterThan(POOL / 6 - 30 * SLACK);
  expect(second, "at least a ninth, short of it by less than a message and slack").toBeGreaterThan(POOL / 9 - 30 * SLACK);
  expect(second).toBeLessThanOrEqual((POOL / 2 - first) / 3 + SLACK);
});

test("LIM-010 a user goes on filling its share after another one has begun", covers("LIM-010"), async ({ bus, spawn }) => {
  const POOL = 1 << 20;
  const receiver = await bus.connect({ pool: POOL });
  await openToWorld(bus, receiver);
  const [first, second] = [await bus.connect({ by: await spawn({ uid: 1000, gid: 1000 }) }), await bus.connect({ by: await spawn({ uid: 2000, gid: 2000 }) })];
  const payload = "x".repeat(19_000);
  expect(await first.flood(receiver, 4, { payload })).toEqual({ sent: 4, errno: null });
  expect(await second.flood(receiver, 2, { payload })).toEqual({ sent: 2, errno: null });

  // of half a pool less the other's two messages a user may have a third: 8 such messages, and half of one
  const share = Math.floor((POOL / 2 - 2 * (19_000 + HEADER_AND_VEC)) / 3);
  expect(await first.flood(receiver, 20, { payload })).toEqual({ sent: Math.floor(share / (19_000 + HEADER_AND_VEC)) - 4, errno: "ENOBUFS" });
  expect(await second.flood(receiver, 1, { payload }), "the second one has room left").toEqual({ sent: 1, errno: null });
});

test("LIM-011 what was received but not freed counts no longer", covers("LIM-011"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ pool: 65536 })];
  const script = new Script();
  const send = await prepareSend(sender, receiver, { payload: "x".repeat(9000) });
  const recv = memory(encodeCommand("RECV", {}));
  const sends: ReturnType<Script["ioctl"]>[] = [];
  script.repeat(20, () => {
    sends[0] = send.step(script).call;
    script.ioctl(receiver.fd, abi.COMMANDS.RECV, recv);
    return sends[0];
  }, { untilError: true }); // prettier-ignore

  const errors = (await receiver.process.run(script)).all(sends[0] as ReturnType<Script["ioctl"]>).map(({ errno }) => errno);

  expect(errors.slice(0, -1).filter((errno) => errno !== null)).toEqual([]);
  expect(errors.at(-1)).toBe("EXFULL");
  expect(errors.length, "messages of a seventh of the pool").toBeGreaterThan(5);
});

for (const way of ["RECV", "DROP", "move to another connection", "disconnect"] as const) {
  test(`LIM-012 memory quota is given back by ${way}`, covers("LIM-012"), async ({ bus }) => {
    const options = { pool: 65536 };
    const sender = await bus.connect();
    const activator = way === "move to another connection" ? await bus.connectActivator("test.name", options) : undefined;
    const receiver = await bus.connect(options);
    if (activator === undefined) await receiver.acquire("test.name");
    const fill = { payload: "x".repeat(5000) };
    expect(await sender.flood("test.name", 5, fill)).toEqual({ sent: 2, errno: "ENOBUFS" });

    if (way === "RECV") expect(await receiver.recvAll()).toHaveLength(2);
    if (way === "DROP") for (let count = 0; count < 2; count++) await receiver.drop();
    if (way === "disconnect") await receiver.close();
    if (activator !== undefined) {
      await receiver.acquire("test.name");
      expect(await sender.flood("test.name", 1, fill), "charged in the new pool").toEqual({ sent: 0, errno: "ENOBUFS" });
      await receiver.release("test.name"); // and back
      expect(await activator.recvAll()).toHaveLength(2);
    }
    if (way === "disconnect") await (await bus.connect(options)).acquire("test.name");

    expect(await sender.flood("test.name", 5, fill)).toEqual({ sent: 2, errno: "ENOBUFS" });
    if (activator !== undefined) {
      await receiver.acquire("test.name");
      expect(await receiver.recvAll()).toHaveLength(2);
      expect(await sender.flood("test.name", 5, fill), "room at the implementer").toEqual({ sent: 2, errno: "ENOBUFS" });
    }
  });
}

for (const way of ["RECV", "DROP"] as const) {
  test(`LIM-012 each message that ${way} takes makes room for one like it`, covers("LIM-012"), async ({ bus }) => {
    const [sender, receiver] = [await bus.connect(), await bus.connect({ pool: 65536 })];
    const like = { payload: "x".repeat(1000) };
    const { sent, errno } = await sender.flood(receiver, 60, like);
    expect(errno).toBe("ENOBUFS");
    expect(sent).toBeGreaterThan(4);

    const room: number[] = [];
    for (let count = 0; count < 2 * sent; count++) {
      if (way === "RECV") await receiver.recv();
      else await receiver.drop();
      room.push((await sender.flood(receiver, 2, like)).sent);
    }

    expect(room).toEqual(room.map(() => 1));
  });
}

/** A message with one VEC of that many bytes; zeros take no memory. */
async function sendVec(sender: Connection, receiver: Connection, at: Parameters<typeof item.vec>[0], ...sizes: number[]): Promise<string | null> {
  const message = memory(encodeMessage({ dst_id: receiver.id, payload_type: abi.PAYLOAD.DBUS, cookie: 1 }, sizes.map((size) => item.vec(at, size))), "message"); // prettier-ignore
  return (await sender.rawSend(encodeCommand("SEND", {}), message)).errno;
}

test("LIM-022 a VEC may have 2 MiB and not a byte more, stored or not", covers("LIM-022"), async ({ bus }) => {
  const LIMIT = 2097152;
  const [sender, receiver] = [await bus.connect({ pool: 4 << 20 }), await bus.connect({ pool: 64 << 20 })];

  const seen = { stored: [await sendVec(sender, receiver, sender.pool, LIMIT), await sendVec(sender, receiver, sender.pool, LIMIT + 1)], zeros: [await sendVec(sender, receiver, 0, LIMIT), await sendVec(sender, receiver, 0, LIMIT + 1)] };

  expect(seen).toEqual({ stored: [null, "EMSGSIZE"], zeros: [null, "EMSGSIZE"] });
  expect((await receiver.recvAll()).map((message) => payloadBytes(message).length)).toEqual([LIMIT, LIMIT]);
});

test("LIM-023 several VECs may have more than 2 MiB together", covers("LIM-023"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect({ pool: 4 << 20 }), await bus.connect({ pool: 64 << 20 })];

  expect(await sendVec(sender, receiver, sender.pool, 1 << 20, (1 << 20) + 8)).toBeNull();

  expect(payloadBytes(await receiver.recv()).length).toBe((2 << 20) + 8);
});

for (const count of [129, 300, 1000]) {
  test(`LIM-024 a message may have ${count} items`, covers("LIM-024"), async ({ bus }) => {
    const [sender, receiver] = [await bus.connect(), await bus.connect()];
    const bytes = memory("abcdefghij", "payload");
    const message = memory(encodeMessage({ dst_id: receiver.id, payload_type: abi.PAYLOAD.DBUS, cookie: 1 }, Array.from({ length: count }, (_, index) => item.vec(address(bytes, index % 10), 1))), "message"); // prettier-ignore

    expectResult(await sender.rawSend(encodeCommand("SEND", {}), message), null);

    expect(payloadText(await receiver.recv())).toBe("abcdefghij".repeat(100).slice(0, count));
  });
}
