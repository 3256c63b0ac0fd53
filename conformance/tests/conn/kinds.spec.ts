import { abi, all, covers, expect, expectErrno, grant, item, test, UNMAPPED, type Bus, type Connection } from "../../support/index.ts";

const KINDS = ["activator", "policy holder", "monitor"] as const;
const SENDING = ["SEND", "BYEBYE", "NAME_ACQUIRE", "NAME_RELEASE", "MATCH_ADD", "MATCH_REMOVE"] as const;

function special(bus: Bus, kind: (typeof KINDS)[number], flags = 0n): Promise<Connection> {
  if (kind === "activator") return bus.connectActivator("special.name", { flags });
  if (kind === "monitor") return bus.connectMonitor({ flags });
  return bus.connectPolicyHolder("special.name", [], { flags });
}

const idEvents = [item.idChange(abi.ITEM.ID_ADD, abi.MATCH_ID_ANY), item.idChange(abi.ITEM.ID_REMOVE, abi.MATCH_ID_ANY)];

async function watchIds(bus: Bus): Promise<Connection> {
  const watcher = await bus.connect();
  for (const rule of idEvents) await watcher.addMatch([rule]);
  return watcher;
}

test("CONN-020 a second activator of a name gives EEXIST and leaves the first as it was", covers("CONN-020"), async ({ bus }) => {
  const first = await bus.connectActivator("act.name");
  const sender = await bus.connect();

  await expectErrno(bus.connectActivator("act.name"), "EEXIST");

  await sender.send("act.name", { cookie: 7 });
  expect((await first.recv()).header.cookie).toBe(7n);
  expect((await sender.info("act.name")).id).toBe(first.id);
});

test("CONN-020 a second activator gives EEXIST also while an implementer has the name", covers("CONN-020"), async ({ bus }) => {
  const first = await bus.connectActivator("act.name");
  const owner = await bus.connect();
  await owner.acquire("act.name");

  await expectErrno(bus.connectActivator("act.name"), "EEXIST");

  await owner.release("act.name");
  expect((await owner.info("act.name")).id).toBe(first.id);
});

const uploads: Readonly<Record<string, (bus: Bus) => Promise<Connection>>> = {
  "an activator": (bus) => bus.connectActivator("a.b", { items: [grant.world(abi.POLICY.TALK)] }),
  "a policy holder": (bus) => bus.connectPolicyHolder("a.b", [grant.world(abi.POLICY.TALK)]),
};
for (const [first, makeFirst] of Object.entries(uploads)) {
  for (const [second, makeSecond] of Object.entries(uploads)) {
    test(`CONN-021 ${second} for a name with the entry of ${first} gives EEXIST`, covers("CONN-021"), async ({ bus }) => {
      const holder = await makeFirst(bus);

      await expectErrno(makeSecond(bus), "EEXIST");

      await holder.close();
      await makeSecond(bus);
    });
  }
}

test("CONN-022 a HELLO that fails is not announced", covers("CONN-022"), async ({ bus }) => {
  await bus.connectPolicyHolder("a.b", []);
  await bus.connectActivator("act.name");
  const watcher = await watchIds(bus);
  for (const type of [abi.ITEM.NAME_ADD, abi.ITEM.NAME_REMOVE, abi.ITEM.NAME_CHANGE]) await watcher.addMatch([item.nameChange(type, abi.MATCH_ID_ANY, abi.MATCH_ID_ANY)]);

  await expectErrno(bus.connectPolicyHolder("a.b", []), "EEXIST");
  await expectErrno(bus.connectActivator("a.b"), "EEXIST");
  await expectErrno(bus.connectActivator("act.name"), "EEXIST");
  await expectErrno(bus.connect({ items: [item.pids({ pid: 4_194_303 })] }), "EINVAL");

  expect((await watcher.recvAll()).map(({ notification }) => notification?.kind)).toEqual([]);
});

for (const [kind, bit] of [["ordinary", 0n], ["activator", abi.HELLO.ACTIVATOR], ["policy holder", abi.HELLO.POLICY_HOLDER]] as const) {
  for (const flags of [0n, abi.HELLO.ACCEPT_FD]) {
    test(`CONN-025 the flags 0x${(bit | flags).toString(16)} of a connection that is ${kind} are told by CONN_INFO, ID_ADD and ID_REMOVE`, covers("CONN-025", "CONN-026"), async ({ bus }) => {
      const watcher = await watchIds(bus);

      const connection = kind === "ordinary" ? await bus.connect({ flags }) : await bus.connect({ flags: bit | flags, items: [item.name("special.name")] });
      const info = await watcher.info(connection);
      await connection.close();

      expect(info.flags).toBe(bit | flags);
      expect((await watcher.recvAll()).map(({ notification }) => notification)).toEqual([
        { kind: "ID_ADD", id: connection.id, flags: bit | flags },
        { kind: "ID_REMOVE", id: connection.id, flags: bit | flags },
      ]);
    });
  }
}

test("CONN-025 a monitor may accept descriptors", covers("CONN-025"), async ({ bus }) => {
  expect((await bus.connectMonitor({ flags: abi.HELLO.ACCEPT_FD })).hello.flags).toBe(abi.HELLO.MONITOR | abi.HELLO.ACCEPT_FD);
});

test("CONN-027 a monitor comes and goes unannounced", covers("CONN-027"), async ({ bus }) => {
  const watcher = await watchIds(bus);

  const monitor = await bus.connectMonitor();
  await monitor.close();
  const other = await bus.connect();

  expect((await watcher.recvAll()).map(({ notification }) => notification)).toEqual([{ kind: "ID_ADD", id: other.id, flags: abi.HELLO.ACCEPT_FD }]);
});

for (const kind of KINDS) {
  test(`CONN-028 a connection that is a ${kind} neither sends, leaves, names nor matches`, covers("CONN-028"), async ({ bus }) => {
    const [connection, peer] = [await special(bus, kind), await bus.connect()];

    await expectErrno(connection.send(peer), "EOPNOTSUPP");
    await expectErrno(connection.byebye(), "EOPNOTSUPP");
    await expectErrno(connection.acquire("other.name"), "EOPNOTSUPP");
    await expectErrno(connection.release("special.name"), "EOPNOTSUPP");
    await expectErrno(connection.addMatch(), "EOPNOTSUPP");
    await expectErrno(connection.removeMatch(1n), "EOPNOTSUPP");
    await expectErrno(peer.recv(), "EAGAIN");
  });

  test(`CONN-030 the EOPNOTSUPP of a ${kind} comes before its argument is read`, covers("CONN-030", "CONN-028"), async ({ bus }) => {
    const connection = await special(bus, kind);
    const commands: readonly abi.CommandName[] = kind === "policy holder" ? [...SENDING, "RECV", "FREE"] : SENDING;

    const seen: Record<string, unknown> = {};
    for (const name of commands) seen[name] = [(await connection.ioctl(name, 0)).errno, (await connection.ioctl(name, UNMAPPED)).errno, (await connection.ioctl(name, connection.pool + 1n)).errno];

    expect(seen).toEqual(all(commands, ["EOPNOTSUPP", "EOPNOTSUPP", "EOPNOTSUPP"]));
  });

  test(`CONN-031 LIST, CONN_INFO and BUS_CREATOR_INFO work for a connection that is a ${kind}`, covers("CONN-031"), async ({ bus }) => {
    const [connection, peer] = [await special(bus, kind), await bus.connect()];

    expect((await connection.list(abi.LIST.UNIQUE)).map(({ id }) => id)).toContain(peer.id);
    expect((await connection.info(peer)).id).toBe(peer.id);
    expect((await connection.creatorInfo()).makeName).toBe(bus.name);
  });

  test(`CONN-032 a message to the id of a connection that is a ${kind} gives ENXIO`, covers("CONN-032"), async ({ bus }) => {
    const [connection, sender] = [await special(bus, kind), await bus.connect()];

    await expectErrno(sender.send(connection.id), "ENXIO");
  });
}

test("CONN-029 a policy holder neither receives nor frees", covers("CONN-029"), async ({ bus }) => {
  const holder = await special(bus, "policy holder");

  await expectErrno(holder.recv(), "EOPNOTSUPP");
  await expectErrno(holder.free(holder.poolSize), "EOPNOTSUPP");
});

test("CONN-029 an activator receives and frees", covers("CONN-029"), async ({ bus }) => {
  const [activator, sender] = [await special(bus, "activator"), await bus.connect()];
  await sender.send("special.name", { cookie: 5 });

  const message = await activator.recv({ keep: true });

  expect(message.header.cookie).toBe(5n);
  await activator.free(message.offset);
});

test("CONN-029 a monitor receives and frees", covers("CONN-029"), async ({ bus }) => {
  const [monitor, sender] = [await special(bus, "monitor"), await bus.connect()];
  await monitor.recvAll();
  await sender.send(sender, { cookie: 5 });

  const message = await monitor.recv({ keep: true });

  expect(message.header.cookie).toBe(5n);
  await monitor.free(message.offset);
});

test("CONN-054 CONN_INFO on the id of a monitor gives ENXIO", covers("CONN-054"), async ({ bus }) => {
  const [monitor, peer] = [await bus.connectMonitor(), await bus.connect()];

  await expectErrno(peer.info(monitor), "ENXIO");
});

test("CONN-037 UPDATE with ATTACH_FLAGS_SEND is for ordinary connections and monitors", covers("CONN-037"), async ({ bus }) => {
  const update = [item.attachFlagsSend(abi.ATTACH.CREDS)];

  await expectErrno((await special(bus, "activator")).update(update), "EOPNOTSUPP");
  await expectErrno((await bus.connectPolicyHolder("other.name", [])).update(update), "EOPNOTSUPP");
  await (await special(bus, "monitor")).update(update);
  await (await bus.connect()).update(update);
});

test("CONN-038 UPDATE with ATTACH_FLAGS_RECV is for all but policy holders", covers("CONN-038"), async ({ bus }) => {
  const update = [item.attachFlagsRecv(abi.ATTACH.CREDS)];
  const [activator, monitor, sender] = [await special(bus, "activator"), await special(bus, "monitor"), await bus.connect()];

  await expectErrno((await bus.connectPolicyHolder("other.name", [])).update(update), "EOPNOTSUPP");
  await activator.update(update);
  await monitor.update(update);
  await monitor.recvAll();
  await sender.send("special.name");

  expect((await activator.recv()).metadata.creds).toBeDefined();
  expect((await monitor.recv()).metadata.creds).toBeDefined();
});

for (const kind of ["ordinary", "activator", "monitor"] as const) {
  test(`CONN-039 UPDATE with policy gives EOPNOTSUPP for a connection that is ${kind}`, covers("CONN-039"), async ({ bus }) => {
    const connection = kind === "ordinary" ? await bus.connect() : await special(bus, kind);

    await expectErrno(connection.update([item.name("a.b")]), "EOPNOTSUPP");
    await expectErrno(connection.update([item.name("a.b"), grant.world(abi.POLICY.SEE)]), "EOPNOTSUPP");
    await expectErrno(connection.update([grant.world(abi.POLICY.SEE)]), "EOPNOTSUPP");
  });
}

