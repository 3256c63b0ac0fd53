import { abi, all, covers, encodeCommand, expect, expectErrno, grant, item, pipeProbe, test, type Bus, type Connection } from "../../support/index.ts";

const ANY = abi.MATCH_ID_ANY;
const NAME_EVENTS = [abi.ITEM.NAME_ADD, abi.ITEM.NAME_REMOVE, abi.ITEM.NAME_CHANGE];
const CONNECTED = ["UPDATE", "BYEBYE", "FREE", "CONN_INFO", "BUS_CREATOR_INFO", "LIST", "SEND", "RECV", "NAME_ACQUIRE", "NAME_RELEASE", "MATCH_ADD", "MATCH_REMOVE"] as const;

/** A connection that is told of all names and ids. */
async function watch(bus: Bus): Promise<Connection> {
  const watcher = await bus.connect();
  for (const type of NAME_EVENTS) await watcher.addMatch([item.nameChange(type, ANY, ANY)]);
  await watcher.addMatch([item.idChange(abi.ITEM.ID_REMOVE, ANY)]);
  return watcher;
}

test("CONN-065 BYEBYE with queued messages gives EBUSY and changes nothing", covers("CONN-065"), async ({ bus }) => {
  const [connection, sender] = [await bus.connect(), await bus.connect()];
  await connection.acquire("test.name");
  await sender.send(connection, { cookie: 5 });

  await expectErrno(connection.byebye(), "EBUSY");

  await sender.send("test.name", { cookie: 6 });
  expect((await connection.recvAll()).map(({ header }) => header.cookie)).toEqual([5n, 6n]);
  await connection.byebye();
});

test("CONN-066 after BYEBYE every command gives ECONNRESET", covers("CONN-066"), async ({ bus }) => {
  const connection = await bus.connect();
  await connection.byebye();

  const seen: Record<string, unknown> = {};
  for (const name of CONNECTED) seen[name] = [(await connection.ioctl(name, encodeCommand(name, {}))).errno, (await connection.ioctl(name, 0)).errno];

  expect(seen).toEqual(all(CONNECTED, ["ECONNRESET", "ECONNRESET"]));
});

test("CONN-067 BYEBYE does not ask for slices", covers("CONN-067"), async ({ bus }) => {
  const connection = await bus.connect();
  await connection.send(connection);
  await connection.recv({ keep: true });
  await connection.ioctl("LIST", encodeCommand("LIST", {}));

  await connection.byebye();
});

const ENDS: Readonly<Record<string, (connection: Connection) => Promise<void>>> = { BYEBYE: (connection) => connection.byebye(), close: (connection) => connection.close() };
for (const [end, run] of Object.entries(ENDS)) {
  test(`CONN-068 after ${end} the id gives ENXIO and the names give ESRCH`, covers("CONN-068"), async ({ bus }) => {
    const [connection, sender] = [await bus.connect(), await bus.connect()];
    await connection.acquire("test.name");
    await sender.send(connection);
    await connection.recv();

    await run(connection);

    await expectErrno(sender.send(connection.id), "ENXIO");
    await expectErrno(sender.send("test.name"), "ESRCH");
    await expectErrno(sender.info(connection.id), "ENXIO");
  });

  test(`CONN-070 what ${end} does to names is told before ID_REMOVE`, covers("CONN-070", "CONN-069"), async ({ bus }) => {
    const [watcher, connection, heir] = [await watch(bus), await bus.connect(), await bus.connect()];
    for (const name of ["first.name", "second.name", "heir.name"]) await connection.acquire(name);
    await heir.acquire("heir.name", abi.NAME.QUEUE);
    await watcher.recvAll();

    await run(connection);

    const told = (await watcher.recvAll()).map(({ notification }) => notification);
    expect(told.at(-1)).toMatchObject({ kind: "ID_REMOVE", id: connection.id });
    const names = told.slice(0, -1).map((event) => (event !== undefined && "name" in event ? `${event.kind} ${event.name} ${event.oldId.id === connection.id}` : "no name"));
    expect(names.sort()).toEqual(["NAME_CHANGE heir.name true", "NAME_REMOVE first.name true", "NAME_REMOVE second.name true"]);
    expect((await watcher.info("heir.name")).id).toBe(heir.id);
  });
}

test("CONN-069 the queue of a connection that ends is discarded", covers("CONN-069"), async ({ bus, root }) => {
  const [connection, sender] = [await bus.connect(), await bus.connect()];
  const probe = await pipeProbe(root);
  await sender.send(connection, { fds: [probe.write] });

  await connection.close();

  expect(await probe.released()).toBe(true);
});

test("CONN-071 each open request gets one REPLY_DEAD, received or not", covers("CONN-071"), async ({ bus }) => {
  const [client, other, server] = [await bus.connect(), await bus.connect(), await bus.connect()];
  const request = { expectReplyMs: 600_000 };
  await client.send(server, { ...request, cookie: 11 });
  await other.send(server, { ...request, cookie: 21 });
  await client.send(server, { ...request, cookie: 12 });
  await server.recv();
  const answered = await server.recv();
  await server.reply(answered);
  await client.send(server, { ...request, cookie: 13 });
  await client.send(server, { cookie: 14 });

  await server.close();

  const dead = (await client.recvAll()).map(({ header, notification }) => [notification?.kind, header.cookie_reply]);
  expect(dead.sort((a, b) => Number(a[1]) - Number(b[1]))).toEqual([["REPLY_DEAD", 11n], ["REPLY_DEAD", 12n], ["REPLY_DEAD", 13n]]);
  expect((await other.recvAll()).map(({ header, notification }) => [notification?.kind, header.cookie_reply]), "of the client that was answered").toEqual([[undefined, 21n]]);
});

for (const received of [true, false]) {
  test(`CONN-072 a synchronous call whose request was ${received ? "received" : "still queued"} gives EPIPE when the peer ends`, covers("CONN-072"), async ({ bus }) => {
    const [client, server] = [await bus.connect(), await bus.connect()];
    const call = await client.startCall(server, { expectReplyMs: 600_000 });
    if (received) await server.recv();

    await server.close();

    await expectErrno(call.done, "EPIPE");
    await expectErrno(client.recv(), "EAGAIN");
  });
}

test("CONN-073 a synchronous call of a connection that is disconnected gives ECONNRESET", covers("CONN-073"), async ({ bus }) => {
  const [endpoint, server] = [await bus.makeEndpoint(), await bus.connect()];
  await server.acquire("test.name");
  await endpoint.update([item.name("test.name"), grant.world(abi.POLICY.TALK)]);
  const client = await endpoint.connect();
  const call = await client.startCall("test.name", { expectReplyMs: 600_000, at: server });
  await server.recv();

  await endpoint.close();

  await expectErrno(call.done, "ECONNRESET");
});

test("CONN-074 the last close ends a connection whatever its queue holds", covers("CONN-074"), async ({ bus, root, spawn }) => {
  const [watcher, connection, sender] = [await watch(bus), await bus.connect(), await bus.connect()];
  const holder = await spawn({ label: "holder" });
  const there = await root.giveFd(connection.fd, holder);
  expect(await sender.flood(connection, 300)).toMatchObject({ errno: "ENOBUFS" });

  await connection.close();
  expect(await watcher.recvAll(), "while another process holds the handle").toEqual([]);
  await holder.close(there);

  expect((await watcher.recvAll()).map(({ notification }) => notification)).toMatchObject([{ kind: "ID_REMOVE", id: connection.id }]);
  await expectErrno(sender.send(connection.id), "ENXIO");
});

test("CONN-074 the death of the last process ends a connection", covers("CONN-074"), async ({ bus, spawn }) => {
  const [watcher, process] = [await watch(bus), await spawn({ label: "dying" })];
  const connection = await bus.connect({ by: process });
  await connection.send(connection);

  await process.kill();

  expect((await watcher.recvAll()).map(({ notification }) => notification)).toMatchObject([{ kind: "ID_REMOVE", id: connection.id }]);
});

for (const kind of ["policy holder", "activator"] as const) {
  test(`CONN-075 what a connection that was a ${kind} granted is gone with it`, covers("CONN-075"), async ({ bus, spawn }) => {
    const grants = [grant.user(1000, abi.POLICY.OWN), grant.user(2000, abi.POLICY.TALK)];
    const holder = kind === "activator" ? await bus.connectActivator("test.name", { items: grants }) : await bus.connectPolicyHolder("test.name", grants);
    const owner = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "owner" }) });
    const sender = await bus.connect({ by: await spawn({ uid: 2000, gid: 2000, label: "sender" }) });
    await owner.acquire("test.name");
    await sender.send("test.name");

    await holder.close();

    await expectErrno(sender.send("test.name"), "EPERM");
    await expectErrno(sender.send(owner), "EPERM");
    await owner.release("test.name");
    await expectErrno(owner.acquire("test.name"), "EPERM");
  });
}
