import { abi, cookies, covers, decodeStruct, encodeCommand, expect, expectErrno, expectResult, heard, item, payloadText, test, UNMAPPED, type Connection } from "../../support/index.ts";

const { ACTIVATOR, POLICY_HOLDER, MONITOR } = abi.HELLO;
const signal = (from: Connection): { readonly bloom: { readonly filter: Uint8Array } } => ({ bloom: { filter: from.bloomOnes() } });

for (const [label, flags] of [["ACTIVATOR|POLICY_HOLDER", ACTIVATOR | POLICY_HOLDER], ["ACTIVATOR|MONITOR", ACTIVATOR | MONITOR], ["POLICY_HOLDER|MONITOR", POLICY_HOLDER | MONITOR], ["all three", ACTIVATOR | POLICY_HOLDER | MONITOR]] as const) {
  test(`MON-001 HELLO with ${label} is refused`, covers("MON-001"), async ({ bus }) => {
    await expectErrno(bus.connect({ flags }), "EINVAL");
    await expectErrno(bus.connect({ flags, items: [item.name("a.b")] }), "EINVAL");
  });
}

test("MON-002 special connections need privilege", covers("MON-002"), async ({ bus, spawn }) => {
  const by = await spawn({ uid: 1000, gid: 1000, label: "user" });

  await expectErrno(bus.connectMonitor({ by }), "EPERM");
  await expectErrno(bus.connectActivator("a.b", { by }), "EPERM");
  await expectErrno(bus.connectPolicyHolder("a.b", [], { by }), "EPERM");
  await bus.connect({ by });
});

test("MON-002 special connections need the default endpoint", covers("MON-002"), async ({ bus }) => {
  const endpoint = await bus.makeEndpoint();

  await expectErrno(endpoint.connectMonitor(), "EOPNOTSUPP");
  await expectErrno(endpoint.connectActivator("a.b"), "EPERM");
  await expectErrno(endpoint.connectPolicyHolder("a.b", []), "EPERM");
});

test("MON-003 a monitor sees every message once, in order", covers("MON-003"), async ({ bus }) => {
  const [client, service, receiver] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await service.acquire("a.b");
  await receiver.addMatch([item.id(abi.MATCH_ID_ANY)]);
  await client.send(service, { cookie: 99 }); // before it came
  const [monitor, second] = [await bus.connectMonitor(), await bus.connectMonitor()];

  await client.send(service, { cookie: 1 });
  await client.send("a.b", { cookie: 2 });
  await client.broadcast({ cookie: 3 });
  await client.send(receiver, { cookie: 4, ...signal(client) });
  await client.send(service, { cookie: 5, expectReplyMs: 600_000 });
  const requests = await service.recvAll();
  await service.reply(requests.at(-1) as (typeof requests)[number], { cookie: 6 });
  const call = await client.startCall(service, { cookie: 7, expectReplyMs: 600_000 });
  await service.reply(await service.recv(), { cookie: 8 });
  await call.done;

  for (const each of [monitor, second]) {
    const seen = (await each.recvAll()).map(({ header }) => [header.cookie, header.src_id, header.dst_id]);
    expect(seen).toEqual([
      [1n, client.id, service.id],
      [2n, client.id, 0n],
      [3n, client.id, abi.DST_ID_BROADCAST],
      [4n, client.id, receiver.id],
      [5n, client.id, service.id],
      [6n, service.id, client.id],
      [7n, client.id, service.id],
      [8n, service.id, client.id],
    ]);
  }
});

test("MON-004 a monitor hears every notification, also those for others", covers("MON-004"), async ({ bus }) => {
  const [client, dying, silent] = [await bus.connect(), await bus.connect(), await bus.connect()];
  const monitor = await bus.connectMonitor();

  const other = await bus.connect();
  await other.acquire("a.b", abi.NAME.ALLOW_REPLACEMENT);
  await silent.acquire("a.b", abi.NAME.REPLACE_EXISTING);
  await silent.release("a.b");
  await client.send(dying, { expectReplyMs: 600_000 });
  await dying.close();
  await client.send(silent, { expectReplyMs: 20 });
  await client.recvWithin(5000);
  expect((await client.recvWithin(5000)).notification?.kind).toBe("REPLY_TIMEOUT");

  const kinds = (await heard(monitor)).map(({ kind }) => kind).filter((kind) => kind !== "no notification");
  expect(kinds).toEqual(["ID_ADD", "NAME_ADD", "NAME_CHANGE", "NAME_REMOVE", "REPLY_DEAD", "ID_REMOVE", "REPLY_TIMEOUT"]);
});

test("MON-005 a monitor gets signals that nobody else does", covers("MON-005"), async ({ bus, spawn }) => {
  const sender = await bus.connect();
  const deaf = await bus.connect();
  const stranger = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "stranger" }) });
  await stranger.addMatch();
  const monitor = await bus.connectMonitor();

  await sender.broadcast({ cookie: 1 });
  await sender.send(deaf, { cookie: 2, ...signal(sender) });
  await sender.send(stranger, { cookie: 3, ...signal(sender) });

  expect(await cookies(monitor)).toEqual([1n, 2n, 3n]);
  for (const other of [deaf, stranger]) expect(await cookies(other)).toEqual([]);
});

test("MON-006 a monitor does not get what SEND refused", covers("MON-006"), async ({ bus, spawn }) => {
  const [sender, owner, gone] = [await bus.connect(), await bus.connect(), await bus.connect()];
  const stranger = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "stranger" }) });
  await owner.acquire("a.b");
  await bus.connectActivator("started.name");
  await gone.close();
  const monitor = await bus.connectMonitor();

  await expectErrno(stranger.send(owner), "EPERM");
  await expectErrno(sender.send(gone.id), "ENXIO");
  await expectErrno(sender.send("nobody.here"), "ESRCH");
  await expectErrno(sender.send(sender, { dstName: "a.b" }), "EREMCHG");
  await expectErrno(sender.send("started.name", { flags: abi.MSG.NO_AUTO_START }), "EADDRNOTAVAIL");
  await expectErrno(sender.send(owner, { cookieReply: 4242 }), "EBADSLT", "EPERM");
  await expectErrno(sender.send(owner, { payloadType: 0 }), "EINVAL");
  await expectErrno(sender.broadcast({ bloom: { filter: new Uint8Array(8) } }), "EDOM");
  await sender.send(owner, { cookie: 4711 });

  expect(await cookies(monitor)).toEqual([4711n]);
});

test("MON-007 the copy has the header and the payload of the original", covers("MON-007"), async ({ bus, root }) => {
  const monitor = await bus.connectMonitor();
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await receiver.acquire("a.b");
  await monitor.recvAll();
  const memfd = await root.memfd("0123456789");

  await sender.send(receiver, { cookie: 4711, priority: -9, dstName: "a.b", flags: abi.MSG.NO_AUTO_START, expectReplyMs: 600_000, payload: ["hello", { zeros: 5 }, " world"] });
  await sender.send(receiver, { cookie: 4712, payload: ["x", item.memfd(memfd, 2, 5)] });

  for (let turn = 0; turn < 2; turn++) {
    const [original, copy] = [await receiver.recv(), await monitor.recv()];
    const { size: _own, ...header } = original.header;
    expect(copy.header).toMatchObject(header);
    expect(copy.dstName).toBe(original.dstName);
    expect(copy.payload.map((chunk) => (chunk.kind === "bytes" ? new TextDecoder().decode(chunk.bytes) : { kind: chunk.kind, size: "size" in chunk ? Number(chunk.size) : 0 }))).toEqual(
      turn === 0 ? ["hello", { kind: "zeros", size: 5 }, " world"] : ["x", { kind: "memfd", size: 5 }],
    );
    if (turn === 0) expect(payloadText(copy)).toBe(payloadText(original));
  }
});

test("MON-007 the metadata of a copy is what the monitor asked for", covers("MON-007"), async ({ bus }) => {
  const [all, none] = [await bus.connectMonitor({ attachRecv: abi.ATTACH_ALL }), await bus.connectMonitor()];
  const [sender, receiver] = [await bus.connect({ description: "the-sender" }), await bus.connect()];
  for (const monitor of [all, none]) await monitor.recvAll();

  await sender.send(receiver, { cookie: 1 });

  const rich = (await all.recv()).metadata;
  expect(rich.description).toBe("the-sender");
  expect(rich.creds?.uid).toBe(0n);
  expect(rich.timestamp).toBeDefined();
  const poor = (await none.recv()).metadata;
  expect([poor.creds, poor.timestamp, poor.description]).toEqual([undefined, undefined, undefined]);
  const plain = (await receiver.recv()).metadata;
  expect(plain.creds).toBeUndefined();
});

test("MON-008 what a monitor cannot do", covers("MON-008"), async ({ bus }) => {
  const monitor = await bus.connectMonitor();

  for (const name of ["SEND", "MATCH_ADD", "MATCH_REMOVE", "NAME_ACQUIRE", "NAME_RELEASE", "BYEBYE"] as const) {
    expectResult(await monitor.ioctl(name, UNMAPPED), "EOPNOTSUPP");
    expectResult(await monitor.ioctl(name, encodeCommand(name, {}, name.startsWith("NAME") ? [item.name("a.b")] : [])), "EOPNOTSUPP");
  }
});

test("MON-008 what a monitor can do", covers("MON-008"), async ({ bus }) => {
  const monitor = await bus.connectMonitor();
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await monitor.recvAll();

  await sender.send(receiver, { cookie: 1 });
  const { offset } = await monitor.recv({ keep: true });
  await monitor.free(offset);
  expect(new Set((await monitor.list(abi.LIST.UNIQUE)).map(({ id }) => id))).toEqual(new Set([sender.id, receiver.id]));
  expect((await monitor.info(sender)).id).toBe(sender.id);
  expect((await monitor.creatorInfo()).makeName).toBe(bus.name);
  await monitor.update([item.attachFlagsSend(abi.ATTACH_ALL), item.attachFlagsRecv(abi.ATTACH.CREDS)]);
  await sender.send(receiver, { cookie: 2 });
  expect((await monitor.recv()).metadata.creds).toBeDefined();
});

test("MON-009 a monitor is not listed and cannot be reached", covers("MON-009"), async ({ bus }) => {
  const connection = await bus.connect();
  const monitor = await bus.connectMonitor();

  expect((await connection.list(0xfn)).map(({ id }) => id)).toEqual([connection.id]);
  await expectErrno(connection.send(monitor), "ENXIO");
});

test("MON-010 a monitor cannot be asked about", covers("MON-010"), async ({ bus }) => {
  const connection = await bus.connect();
  const monitor = await bus.connectMonitor();

  await expectErrno(connection.info(monitor), "ENXIO");
  expect((await connection.info(connection)).id).toBe(connection.id);
});

test("MON-011 a monitor that does not read loses messages and disturbs nobody", covers("MON-011"), async ({ bus }) => {
  const monitor = await bus.connectMonitor();
  const [sender, receiver] = [await bus.connect(), await bus.connect()];

  let got = 0;
  for (let round = 0; round < 10; round++) {
    const { sent, errno } = await sender.flood(receiver, 100, { payload: "x" });
    expect({ sent, errno }).toEqual({ sent: 100, errno: null });
    got += (await receiver.recvAll()).filter(({ droppedMsgs }) => droppedMsgs === 0n).length;
  }

  expect(got).toBe(1000);
  const copies = await monitor.recvAll();
  const lost = copies.reduce((sum, { droppedMsgs }) => sum + Number(droppedMsgs), 0);
  expect(lost).toBeGreaterThan(0);
  expect(copies.length + lost).toBe(1000 + 2); // and two ID_ADD
});

test("MON-012 a monitor changes nothing about requests and replies", covers("MON-012"), async ({ bus }) => {
  const [client, service] = [await bus.connect(), await bus.connect()];
  const monitor = await bus.connectMonitor();

  const { cookie } = await client.send(service, { expectReplyMs: 600_000 });
  const copy = await monitor.recv();
  await expectErrno(monitor.reply(copy), "EOPNOTSUPP");
  const request = await service.recv();
  await monitor.close(); // no REPLY_DEAD of it
  await expectErrno(client.recv(), "EAGAIN");
  await service.reply(request);
  await expectErrno(service.reply(request), "EBADSLT", "EPERM");

  expect((await client.recv()).header.cookie_reply).toBe(cookie);
  await expectErrno(client.recv(), "EAGAIN");
});

test("MON-024 what a policy holder can do and cannot", covers("MON-024"), async ({ bus }) => {
  const holder = await bus.connectPolicyHolder("a.b", []);
  const others = [await bus.connect(), await bus.connectActivator("c.d"), await bus.connectMonitor()];

  for (const name of ["RECV", "FREE", "SEND", "MATCH_ADD", "NAME_ACQUIRE", "BYEBYE"] as const) {
    expectResult(await holder.ioctl(name, UNMAPPED), "EOPNOTSUPP");
    expectResult(await holder.ioctl(name, encodeCommand(name, {}, name === "NAME_ACQUIRE" ? [item.name("e.f")] : [])), "EOPNOTSUPP");
  }
  const policy = [item.name("e.f"), item.policyAccess(abi.POLICY_TYPE.WORLD, abi.POLICY.TALK)];
  for (const other of others) await expectErrno(other.update(policy), "EOPNOTSUPP");
  const result = await holder.ioctl("UPDATE", encodeCommand("UPDATE", { return_flags: -1 }, policy));
  expectResult(result, null);
  expect(decodeStruct("cmd", result.bytes).return_flags).toBe(0n);
});
