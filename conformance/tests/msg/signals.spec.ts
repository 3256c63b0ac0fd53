import { abi, covers, expect, expectErrno, item, openToWorld, test, type Connection } from "../../support/index.ts";

const cookiesAt = async (connection: Connection): Promise<bigint[]> => (await connection.recvAll()).filter((message) => message.notification === undefined).map((message) => message.header.cookie);

for (const [to, id] of [["MSG-037 a broadcast", "MSG-037"], ["MSG-090 a signal to one connection", "MSG-090"]] as const) {
  test(`${to} cannot expect a reply`, covers(id), async ({ bus }) => {
    const [sender, receiver] = [await bus.connect(), await bus.connect()];
    await receiver.addMatch([item.id(sender.id)]);
    const bloom = { filter: sender.bloomOnes() };
    const destination = id === "MSG-037" ? "broadcast" : receiver;
    await sender.send(destination, { bloom, cookie: 1 });

    await expectErrno(sender.send(destination, { bloom, cookie: 2, expectReplyMs: 600_000 }), "ENOTUNIQ");

    expect(await cookiesAt(receiver)).toEqual([1n]);
  });
}

test("MSG-040 a broadcast without SIGNAL gives EBADMSG", covers("MSG-040"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await receiver.addMatch([item.id(sender.id)]);

  await expectErrno(sender.send("broadcast", { payload: "x" }), "EBADMSG");

  expect(await cookiesAt(receiver)).toEqual([]);
});

test("MSG-040 a broadcast with a destination name gives EBADMSG", covers("MSG-040"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await receiver.addMatch([item.id(sender.id)]);
  await receiver.acquire("test.name");

  await expectErrno(sender.broadcast({ dstName: "test.name" }), "EBADMSG");

  expect(await cookiesAt(receiver)).toEqual([]);
});

for (const kind of ["unicast", "broadcast"] as const) {
  test(`MSG-041 a ${kind} signal needs its bloom filter, and only signals have one`, covers("MSG-041"), async ({ bus }) => {
    const [sender, receiver] = [await bus.connect(), await bus.connect()];
    await receiver.addMatch([item.id(sender.id)]);
    const destination = kind === "unicast" ? receiver : "broadcast";
    const filter = item.bloomFilter(0, sender.bloomOnes());

    await expectErrno(sender.send(destination, { flags: abi.MSG.SIGNAL }), "EBADMSG");
    await expectErrno(sender.send(destination, { items: [filter] }), "EBADMSG");
    await sender.send(destination, { flags: abi.MSG.SIGNAL, items: [filter], cookie: 7 });

    expect(await cookiesAt(receiver)).toEqual([7n]);
  });
}

test("MSG-043 a broadcast that nobody receives is a success", covers("MSG-043"), async ({ bus }) => {
  const sender = await bus.connect();

  const { reply, return_flags: returnFlags } = await sender.broadcast({ payload: "nobody listens" });

  expect(reply).toEqual({ offset: BigInt(sender.poolSize), msg_size: 0n, return_flags: 0n });
  expect(returnFlags).toBe(0n);
});

test("MSG-045 a signal to one connection arrives if one of its matches fits", covers("MSG-045"), async ({ bus }) => {
  const [sender, receiver, bystander] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await receiver.acquire("test.name");
  await bystander.addMatch([item.id(sender.id)]);
  const bloom = { filter: sender.bloomOnes() };

  await sender.send(receiver, { bloom, cookie: 1 });
  await receiver.addMatch([item.id(sender.id + 1_000_000n)], { cookie: 5n });
  await sender.send(receiver, { bloom, cookie: 2 });
  expect(await receiver.poll() & 0x1, "without a match that fits").toBe(0);
  await receiver.addMatch([item.id(sender.id)]);
  await sender.send(receiver, { bloom, cookie: 3 });
  await sender.send("test.name", { bloom, cookie: 4 });

  expect(await cookiesAt(receiver)).toEqual([3n, 4n]);
  expect(await cookiesAt(bystander)).toEqual([]);
});

test("MSG-045 a signal reaches a connection only if that may talk to the sender", covers("MSG-045"), async ({ bus, spawn }) => {
  const user = await spawn({ uid: 1000, gid: 1000, label: "user" });
  const receiver = await bus.connect({ by: user });
  const hidden = await bus.connect();
  const open = await bus.connect();
  await openToWorld(bus, open);
  for (const sender of [hidden, open]) await receiver.addMatch([item.id(sender.id)]);
  const bloom = { filter: hidden.bloomOnes() };

  await hidden.send(receiver, { bloom, cookie: 1 });
  await open.send(receiver, { bloom, cookie: 2 });

  expect(await cookiesAt(receiver)).toEqual([2n]);
});

test("MSG-045 a signal needs no right of its sender", covers("MSG-045"), async ({ bus, spawn }) => {
  const sender = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "user" }) });
  const receiver = await bus.connect(); // privileged: may talk to everybody
  await receiver.addMatch([item.id(sender.id)]);

  await expectErrno(sender.send(receiver, { cookie: 1 }), "EPERM");
  await sender.send(receiver, { bloom: { filter: sender.bloomOnes() }, cookie: 2 });

  expect(await cookiesAt(receiver)).toEqual([2n]);
});

test("MSG-046 a signal to one connection that cannot be queued counts as lost there", covers("MSG-046"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await receiver.addMatch([item.id(sender.id)]);
  expect((await sender.flood(receiver, 257)).sent).toBe(256);

  await sender.send(receiver, { bloom: { filter: sender.bloomOnes() } });

  expect((await receiver.recv()).droppedMsgs).toBe(1n);
});

test("MSG-046 a signal with descriptors to a connection that takes none counts as lost there", covers("MSG-046"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ flags: 0n })];
  await receiver.addMatch([item.id(sender.id)]);
  const { read } = await root.pipe();

  await sender.send(receiver, { bloom: { filter: sender.bloomOnes() }, fds: [read] });

  const { errno, command } = await receiver.tryRecv();
  expect({ errno, lost: command.dropped_msgs }).toEqual({ errno: "EAGAIN", lost: 1n });
});

test("MSG-087 the bloom filter arrives as sent", covers("MSG-087"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await receiver.addMatch([item.id(sender.id)]);
  const filter = sender.bloomOnes().map((_, index) => (index * 37) % 251);

  await sender.broadcast({ bloom: { generation: 3, filter } });
  await sender.send(receiver, { bloom: { generation: 0xffff_ffff_ffffn, filter } });

  expect((await receiver.recvAll()).map(({ bloom }) => bloom)).toEqual([{ generation: 3n, filter }, { generation: 0xffff_ffff_ffffn, filter }]);
});

test("MSG-091 a broadcast with a time-out or reply cookie gives ENOTUNIQ, a unicast signal EINVAL", covers("MSG-091"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await receiver.addMatch([item.id(sender.id)]);
  const bloom = { filter: sender.bloomOnes() };

  await expectErrno(sender.broadcast({ cookieReply: 1 }), "ENOTUNIQ");
  await expectErrno(sender.send(receiver, { bloom, cookieReply: 1 }), "EINVAL");
  await sender.broadcast({ cookie: 1 });
  await sender.send(receiver, { bloom, cookie: 2 });

  expect(await cookiesAt(receiver)).toEqual([1n, 2n]);
});

test("MSG-092 an own broadcast comes back if an own match fits", covers("MSG-092"), async ({ bus }) => {
  const connection = await bus.connect();

  await connection.broadcast({ cookie: 1 });
  await connection.addMatch([item.id(connection.id + 1n)]);
  await connection.broadcast({ cookie: 2 });
  await connection.addMatch([item.id(connection.id)]);
  await connection.broadcast({ cookie: 3 });

  expect(await cookiesAt(connection)).toEqual([3n]);
});

test("MSG-092 an own broadcast does not come back to who may not talk to itself", covers("MSG-092"), async ({ bus, spawn }) => {
  const split = await spawn({ uid: { real: 1000, effective: 2000, saved: 1000 }, gid: 1000, label: "split" });
  const same = await spawn({ uid: 1000, gid: 1000, label: "same" });
  const [apart, together] = [await bus.connect({ by: split }), await bus.connect({ by: same })];
  for (const connection of [apart, together]) {
    await connection.addMatch([item.id(connection.id)]);
    await connection.broadcast({ cookie: 9 });
  }

  expect(await cookiesAt(apart), "real and effective uid differ").toEqual([]);
  expect(await cookiesAt(together)).toEqual([9n]);
});
