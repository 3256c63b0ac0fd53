import { abi, cookies, covers, expect, expectErrno, grant, helloOn, item, test, type Bus, type Connection, type Spawn } from "../../support/index.ts";

const { SEE, TALK, OWN } = abi.POLICY;
const as = async (bus: Bus, spawn: Spawn, uid: number): Promise<Connection> => bus.connect({ by: await spawn({ uid, gid: uid, label: `user${uid}` }) });
const listen = (connection: Connection): Promise<bigint> => connection.addMatch([item.id(abi.MATCH_ID_ANY)]);
const signal = (from: Connection): { readonly bloom: { readonly filter: Uint8Array } } => ({ bloom: { filter: from.bloomOnes() } });

test("POL-030 broadcasts are dropped silently for receivers without TALK on the sender", covers("POL-030", "POL-031", "POL-032"), async ({ bus, spawn }) => {
  const privileged = await bus.connect();
  const [sender, same, stranger] = [await as(bus, spawn, 1000), await as(bus, spawn, 1000), await as(bus, spawn, 2000)];
  for (const receiver of [privileged, same, stranger]) await listen(receiver);

  await sender.broadcast({ cookie: 1 });
  await (await bus.connect()).broadcast({ cookie: 2 });

  expect(await cookies(privileged)).toEqual([1n, 2n]);
  expect(await cookies(same)).toEqual([1n]);
  const { errno, command } = await stranger.tryRecv();
  expect([errno, command.dropped_msgs]).toEqual(["EAGAIN", 0n]);
});

test("POL-030 TALK on a name of the sender lets its broadcasts through", covers("POL-030"), async ({ bus, spawn }) => {
  await bus.connectPolicyHolder("a.b", [grant.user(2000, TALK)]);
  const [sender, receiver] = [await bus.connect(), await as(bus, spawn, 2000)];
  await listen(receiver);

  await sender.broadcast({ cookie: 1 });
  await sender.acquire("a.b");
  await sender.broadcast({ cookie: 2 });
  await sender.release("a.b");
  await sender.broadcast({ cookie: 3 });

  expect(await cookies(receiver)).toEqual([2n]);
});

test("POL-033 a unicast signal is dropped silently for a receiver without TALK on the sender", covers("POL-033"), async ({ bus, spawn }) => {
  const [sender, stranger] = [await bus.connect(), await as(bus, spawn, 2000)];
  await listen(stranger);

  await sender.send(stranger, { cookie: 1, ...signal(sender) });
  await sender.send(stranger, { cookie: 2 });

  expect(await cookies(stranger)).toEqual([2n]);
});

test("POL-044 a sender gets its own broadcast where it may talk to itself", covers("POL-044"), async ({ bus, spawn }) => {
  const [privileged, user] = [await bus.connect(), await as(bus, spawn, 1000)];
  const split = await bus.connect({ by: await spawn({ uid: { real: 1000, effective: 2000, saved: 2000 }, gid: 1000, label: "split" }) });
  const endpoint = await bus.makeEndpoint();
  await bus.connectPolicyHolder("own.name", [grant.world(OWN)]);
  await endpoint.update([item.name("own.name"), grant.world(OWN)]);
  const [seeing, blind] = [await endpoint.connect(), await (await bus.makeEndpoint({ name: "blind" })).connect()];
  await seeing.acquire("own.name");
  for (const connection of [privileged, user, split, blind, seeing]) await connection.addMatch([item.id(connection.id)]);

  const seen: bigint[][] = [];
  for (const [index, connection] of [privileged, user, split, blind, seeing].entries()) {
    await connection.broadcast({ cookie: index + 1 });
    seen.push(await cookies(connection));
  }

  expect(seen).toEqual([[1n], [2n], [], [], [5n]]);
});

test("POL-045 for signals the receiver is who opened its endpoint file", covers("POL-045"), async ({ bus, spawn }) => {
  const [opener, greeter] = [await spawn({ uid: 1000, gid: 1000, label: "opener" }), await spawn({ uid: 65534, gid: 65534, label: "greeter" })];
  const fd = await opener.giveFd(await opener.open(bus.path), greeter);
  const receiver = await helloOn(greeter, fd);
  await listen(receiver);

  await (await as(bus, spawn, 1000)).broadcast({ cookie: 1 });
  await (await as(bus, spawn, 65534)).broadcast({ cookie: 2 });

  expect(await cookies(receiver)).toEqual([1n]);
});

test("POL-035 on a custom endpoint even the same user needs TALK there", covers("POL-035"), async ({ bus, root }) => {
  const peer = await bus.connect({ by: root });
  await peer.acquire("a.b");
  const endpoint = await bus.makeEndpoint();
  const inside = await endpoint.connect({ by: root });

  await expectErrno(inside.send(peer), "EPERM");
  await endpoint.update([item.name("a.b"), grant.world(SEE)]);
  await expectErrno(inside.send("a.b"), "EPERM");
  await endpoint.update([item.name("a.b"), grant.world(TALK)]);
  await inside.send(peer);
});

test("POL-036 on a custom endpoint another user needs TALK from the bus as well", covers("POL-036"), async ({ bus, spawn }) => {
  const peer = await bus.connect();
  await peer.acquire("a.b");
  const endpoint = await bus.makeEndpoint();
  await endpoint.update([item.name("a.b"), grant.world(TALK)]);
  const inside = await endpoint.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "user" }) });

  await expectErrno(inside.send("a.b"), "EPERM");
  const holder = await bus.connectPolicyHolder("a.b", [grant.user(1000, TALK)]);
  await inside.send("a.b");
  await endpoint.update([]);
  await expectErrno(inside.send("a.b"), "EPERM");
  await endpoint.update([item.name("a.b"), grant.user(1000, TALK)]);
  await inside.send(peer);
  await holder.close();
  await expectErrno(inside.send(peer), "EPERM");
});

test("POL-037 on a custom endpoint OWN is needed from the endpoint and from the bus", covers("POL-037"), async ({ bus, spawn }) => {
  const endpoint = await bus.makeEndpoint();
  const inside = await endpoint.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "user" }) });
  const holder = await bus.connectPolicyHolder("a.b", [grant.user(1000, OWN)]);

  await expectErrno(inside.acquire("a.b"), "EPERM");
  await endpoint.update([item.name("a.b"), grant.world(TALK)]);
  await expectErrno(inside.acquire("a.b"), "EPERM");
  await endpoint.update([item.name("a.b"), grant.world(OWN)]);
  await holder.update([item.name("a.b"), grant.user(1000, TALK)]);
  await expectErrno(inside.acquire("a.b"), "EPERM");
  await holder.update([item.name("a.b"), grant.user(1000, OWN)]);
  await inside.acquire("a.b");
});

test("POL-039 an unknown target is reported before policy", covers("POL-039"), async ({ bus, spawn }) => {
  const inside = await (await bus.makeEndpoint()).connect();
  const stranger = await as(bus, spawn, 1000);
  const gone = await bus.connect();
  await gone.close();

  for (const sender of [inside, stranger]) {
    await expectErrno(sender.send("nobody.here"), "ESRCH");
    await expectErrno(sender.send(gone.id), "ENXIO");
  }
});
