import { abi, covers, expect, expectErrno, grant, item, test } from "../../support/index.ts";

const OWN_FOR_ALL = grant.world(abi.POLICY.OWN);

test("CONN-033 UPDATE with ATTACH_FLAGS_RECV changes what later messages carry", covers("CONN-033"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ attachRecv: abi.ATTACH.TIMESTAMP })];

  await sender.send(receiver);
  await receiver.update([item.attachFlagsRecv(abi.ATTACH.CREDS)]);
  await sender.send(receiver);
  await receiver.update([item.attachFlagsRecv(0)]);
  await sender.send(receiver);

  const [first, second, third] = await receiver.recvAll();
  expect(first?.items.map(({ type }) => type)).toEqual([abi.ITEM.TIMESTAMP]);
  expect(second?.items.map(({ type }) => type)).toEqual([abi.ITEM.CREDS]);
  expect(third?.items).toEqual([]);
});

test("CONN-034 UPDATE with ATTACH_FLAGS_SEND changes what CONN_INFO tells", covers("CONN-034"), async ({ bus }) => {
  const [connection, peer] = [await bus.connect({ description: "text" }), await bus.connect()];
  await connection.acquire("test.name");
  expect((await peer.info(connection)).metadata).toMatchObject({ description: "text", creds: { uid: 0n } });

  await connection.update([item.attachFlagsSend(0)]);
  expect((await peer.info(connection)).items).toEqual([]);

  await connection.update([item.attachFlagsSend(abi.ATTACH.PIDS)]);
  expect((await peer.info(connection)).items.map(({ type }) => type)).toEqual([abi.ITEM.PIDS]);
});

test("CONN-035 UPDATE with an invalid mask gives EINVAL", covers("CONN-035"), async ({ bus }) => {
  const connection = await bus.connect();

  for (const mask of [0x4000n, 1n << 40n, 1n << 63n]) {
    await expectErrno(connection.update([item.attachFlagsSend(mask)]), "EINVAL");
    await expectErrno(connection.update([item.attachFlagsRecv(mask)]), "EINVAL");
  }
  await connection.update([item.attachFlagsSend(0x3fff), item.attachFlagsRecv(0x3fff)]);
});

test("CONN-040 UPDATE of a policy holder replaces its entry, also by one of another name", covers("CONN-040"), async ({ bus, spawn }) => {
  const holder = await bus.connectPolicyHolder("com.example.a", [OWN_FOR_ALL]);
  const user = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "user" }) });
  await user.acquire("com.example.a");
  await expectErrno(user.acquire("com.example.c"), "EPERM");
  await user.release("com.example.a");

  await holder.update([item.name("com.example.c"), OWN_FOR_ALL]);

  await user.acquire("com.example.c");
  await expectErrno(user.acquire("com.example.a"), "EPERM");
  await bus.connectPolicyHolder("com.example.a", []);
});

test("CONN-040 UPDATE of a policy holder replaces the grants of its name", covers("CONN-040"), async ({ bus, spawn }) => {
  const holder = await bus.connectPolicyHolder("com.example.a", [OWN_FOR_ALL]);
  const user = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "user" }) });

  await holder.update([item.name("com.example.a"), grant.user(2000, abi.POLICY.OWN)]);
  await expectErrno(user.acquire("com.example.a"), "EPERM");
  await holder.update([item.name("com.example.a"), grant.user(1000, abi.POLICY.OWN)]);

  await user.acquire("com.example.a");
});

test("CONN-041 UPDATE of a policy holder with two names gives E2BIG", covers("CONN-041"), async ({ bus }) => {
  const holder = await bus.connectPolicyHolder("com.example.a", []);

  await expectErrno(holder.update([item.name("com.example.b"), OWN_FOR_ALL, item.name("com.example.c"), OWN_FOR_ALL]), "E2BIG");
});

test("CONN-042 UPDATE that fails for one item changes nothing", covers("CONN-042"), async ({ bus }) => {
  const connection = await bus.connect({ attachRecv: abi.ATTACH.TIMESTAMP, attachSend: abi.ATTACH.CREDS | abi.ATTACH.TIMESTAMP });

  await expectErrno(connection.update([item.attachFlagsRecv(0), item.attachFlagsSend(0), item.name("a.b"), OWN_FOR_ALL]), "EOPNOTSUPP");
  await expectErrno(connection.update([item.attachFlagsRecv(0), item.attachFlagsSend(0x4000)]), "EINVAL");
  await expectErrno(connection.update([item.attachFlagsSend(0), item.attachFlagsRecv(0x4000)]), "EINVAL");

  await connection.send(connection);
  expect((await connection.recv()).items.map(({ type }) => type)).toEqual([abi.ITEM.TIMESTAMP]);
  expect((await connection.info(connection)).items.map(({ type }) => type)).toEqual([abi.ITEM.CREDS]);
});

test("CONN-042 UPDATE of a policy holder that fails keeps its entry", covers("CONN-042"), async ({ bus, spawn }) => {
  const holder = await bus.connectPolicyHolder("com.example.a", [OWN_FOR_ALL]);
  await bus.connectPolicyHolder("com.example.taken", []);
  const user = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "user" }) });

  await expectErrno(holder.update([item.name("com.example.c"), OWN_FOR_ALL, item.policyAccess(99, abi.POLICY.OWN)]), "EINVAL");
  await expectErrno(holder.update([item.name("com.example.taken"), OWN_FOR_ALL]), "EEXIST");
  await expectErrno(holder.update([item.name("com.example.c"), OWN_FOR_ALL, item.attachFlagsSend(0)]), "EOPNOTSUPP");

  await user.acquire("com.example.a");
  await expectErrno(user.acquire("com.example.c"), "EPERM");
  await expectErrno(user.acquire("com.example.taken"), "EPERM");
});

test("CONN-043 UPDATE without items changes nothing", covers("CONN-043"), async ({ bus, spawn }) => {
  const connection = await bus.connect({ attachRecv: abi.ATTACH.TIMESTAMP, attachSend: abi.ATTACH.CREDS | abi.ATTACH.TIMESTAMP });
  const holder = await bus.connectPolicyHolder("com.example.a", [OWN_FOR_ALL]);
  const user = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "user" }) });

  await connection.update([]);
  await holder.update([]);

  await connection.send(connection);
  expect((await connection.recv()).items.map(({ type }) => type)).toEqual([abi.ITEM.TIMESTAMP]);
  expect((await connection.info(connection)).items.map(({ type }) => type)).toEqual([abi.ITEM.CREDS]);
  await user.acquire("com.example.a");
});

test("CONN-081 a send mask of 0 keeps credentials and connection data in messages", covers("CONN-081"), async ({ bus, spawn }) => {
  const sender = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, groups: [77], label: "sender" }), description: "text" });
  const receiver = await bus.connect({ by: await spawn({ uid: 2000, gid: 2000, label: "receiver" }), attachRecv: abi.ATTACH_ALL });
  await bus.connectPolicyHolder("sender.name", [grant.world(abi.POLICY.OWN)]);
  await bus.connectPolicyHolder("open.to.all", [grant.world(abi.POLICY.OWN)]);
  await sender.acquire("sender.name");
  await receiver.acquire("open.to.all");

  await sender.update([item.attachFlagsSend(0)]);
  await sender.send(receiver);

  const { metadata } = await receiver.recv();
  expect(metadata.creds).toMatchObject({ uid: 1000n, gid: 1000n });
  expect(metadata.pids?.pid).toBe(BigInt(sender.process.peer.pid));
  expect(metadata.auxgroups).toEqual([77n]);
  expect(metadata.names.map(({ name }) => name)).toEqual(["sender.name"]);
  expect(metadata.description).toBe("text");
  expect(metadata.timestamp).toBeDefined();
});

test("CONN-082 UPDATE refuses a description", covers("CONN-082"), async ({ bus }) => {
  const [connection, bare] = [await bus.connect({ description: "first" }), await bus.connect()];

  await expectErrno(connection.update([item.description("second")]), "EINVAL");
  await expectErrno(bare.update([item.description("second")]), "EINVAL");

  expect((await connection.info(connection)).metadata.description).toBe("first");
  expect((await connection.info(bare)).metadata.description).toBeUndefined();
});

