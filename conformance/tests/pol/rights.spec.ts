import { abi, cookies, covers, expect, expectErrno, forkOf, grant, item, ownerOf, test, type Bus, type Connection, type Item, type Spawn } from "../../support/index.ts";

const { SEE, TALK, OWN } = abi.POLICY;
const { QUEUE } = abi.NAME;
const person = (spawn: Spawn, uid: number): ReturnType<Spawn> => spawn({ uid, gid: uid, label: `user${uid}` });
const as = async (bus: Bus, spawn: Spawn, uid: number): Promise<Connection> => bus.connect({ by: await person(spawn, uid) });

/** A connection of root that owns a name with these grants, and one of uid 1000 that may have them. */
async function pair(bus: Bus, spawn: Spawn, grants: readonly Item[]): Promise<{ readonly owner: Connection; readonly user: Connection }> {
  await bus.connectPolicyHolder("a.b", grants);
  const owner = await bus.connect();
  await owner.acquire("a.b");
  return { owner, user: await as(bus, spawn, 1000) };
}

test("POL-001 without policy an ordinary user owns nothing", covers("POL-001"), async ({ bus, spawn }) => {
  await expectErrno((await as(bus, spawn, 1000)).acquire("a.b"), "EPERM");
});

test("POL-002 a privileged connection owns what it likes", covers("POL-002"), async ({ bus }) => {
  await bus.connectPolicyHolder("a.b", [grant.user(1000, OWN)]);
  await bus.connectPolicyHolder("c.d", []);
  const privileged = await bus.connect();

  await privileged.acquire("a.b");
  await privileged.acquire("c.d");

  expect([await ownerOf(privileged, "a.b"), await ownerOf(privileged, "c.d")]).toEqual([privileged.id, privileged.id]);
});

test("POL-003 a privileged connection talks to everybody, POL-004 a stranger does not", covers("POL-003", "POL-004"), async ({ bus, spawn }) => {
  const [privileged, user, stranger] = [await bus.connect(), await as(bus, spawn, 1000), await as(bus, spawn, 2000)];
  await privileged.acquire("a.b");

  await privileged.send(user, { cookie: 1 });
  await expectErrno(stranger.send(user, { cookie: 2 }), "EPERM");
  await expectErrno(stranger.send("a.b"), "EPERM");
  await expectErrno(stranger.send(privileged), "EPERM");

  expect(await cookies(user)).toEqual([1n]);
  expect(await cookies(privileged)).toEqual([]);
});

test("POL-005 the sender's effective user is compared with the peer's real user", covers("POL-005"), async ({ bus, spawn }) => {
  const one = await as(bus, spawn, 1000);
  const split = await bus.connect({ by: await spawn({ uid: { real: 1000, effective: 2000, saved: 2000 }, gid: 1000, label: "split" }) });
  const other = await as(bus, spawn, 2000);

  await one.send(await as(bus, spawn, 1000));
  await one.send(split); // its real user is 1000
  await split.send(other); // its effective user is 2000
  await expectErrno(other.send(split), "EPERM");
  await expectErrno(split.send(one), "EPERM");
});

test("POL-006 TALK on one name opens the peer by id and by all names", covers("POL-006"), async ({ bus, spawn }) => {
  const { owner, user } = await pair(bus, spawn, [grant.user(1000, TALK)]);
  await owner.acquire("other.name");

  await user.send(owner, { cookie: 1 });
  await user.send("a.b", { cookie: 2 });
  await user.send("other.name", { cookie: 3 });

  expect(await cookies(owner)).toEqual([1n, 2n, 3n]);
});

test("POL-007 a grant counts while the peer owns the name, not while it waits", covers("POL-007"), async ({ bus, spawn }) => {
  const { owner, user } = await pair(bus, spawn, [grant.world(TALK)]);
  const waiter = await bus.connect();
  await waiter.acquire("a.b", QUEUE);

  await expectErrno(user.send(waiter), "EPERM");
  await owner.release("a.b");
  await user.send(waiter);
  await expectErrno(user.send(owner), "EPERM");
});

for (const [label, access, talk, own] of [["SEE", SEE, false, false], ["TALK", TALK, true, false], ["OWN", OWN, true, true]] as const) {
  test(`POL-008 what ${label} allows on the default endpoint`, covers("POL-008", "POL-009", "POL-010"), async ({ bus, spawn }) => {
    const { owner, user } = await pair(bus, spawn, [grant.world(access)]);

    if (talk) await user.send("a.b");
    else await expectErrno(user.send("a.b"), "EPERM");
    await owner.release("a.b");
    if (own) await user.acquire("a.b");
    else await expectErrno(user.acquire("a.b"), "EPERM");
  });
}

for (const [label, access] of [["TALK", TALK], ["OWN", OWN]] as const) {
  test(`POL-008 ${label} includes SEE on a custom endpoint`, covers("POL-008"), async ({ bus }) => {
    const owner = await bus.connect();
    for (const name of ["a.b", "c.d"]) await owner.acquire(name);
    const endpoint = await bus.makeEndpoint();
    await endpoint.update([item.name("a.b"), grant.world(access)]);
    const inside = await endpoint.connect();

    expect((await inside.info("a.b")).id).toBe(owner.id);
    await expectErrno(inside.info("c.d"), "ESRCH");
  });
}

test("POL-011 the highest right among the grants counts, wherever it stands", covers("POL-011"), async ({ bus, spawn }) => {
  const user = await as(bus, spawn, 1000);
  const grants = [grant.world(SEE), grant.user(1000, TALK), grant.user(1000, OWN), grant.user(1000, SEE), grant.world(TALK)];
  await bus.connectPolicyHolder("middle.name", grants);
  await bus.connectPolicyHolder("first.name", [...grants.slice(2), ...grants.slice(0, 2)]);
  await bus.connectPolicyHolder("last.name", [...grants.slice(3), ...grants.slice(0, 3)]);
  await bus.connectPolicyHolder("foreign.name", [grant.world(SEE), grant.user(2000, OWN), grant.user(1000, TALK)]);

  for (const name of ["middle.name", "first.name", "last.name"]) await user.acquire(name);
  await expectErrno(user.acquire("foreign.name"), "EPERM");
});

test("POL-012 USER is the effective user of the calling task", covers("POL-012"), async ({ bus, spawn }) => {
  await bus.connectPolicyHolder("a.b", [grant.user(1000, OWN)]);
  const effective = await bus.connect({ by: await spawn({ uid: { real: 2000, effective: 1000, saved: 2000 }, gid: 2000, label: "effective" }) });
  const real = await bus.connect({ by: await spawn({ uid: { real: 1000, effective: 2000, saved: 1000 }, gid: 1000, label: "real" }) });

  await expectErrno(real.acquire("a.b"), "EPERM");
  await effective.acquire("a.b");
});

test("POL-013 GROUP is the effective group or any further group", covers("POL-013"), async ({ bus, spawn }) => {
  await bus.connectPolicyHolder("a.b", [grant.group(5000, OWN)]);
  const make = async (label: string, options: Parameters<Spawn>[0]): Promise<Connection> => bus.connect({ by: await spawn({ uid: 1000, ...options, label }) });
  const effective = await make("effective", { gid: { real: 1, effective: 5000, saved: 1 }, groups: [] });
  const further = await make("further", { gid: 1000, groups: [7, 5000, 9] });
  const strangers = [await make("real", { gid: { real: 5000, effective: 1, saved: 5000 }, groups: [] }), await make("none", { gid: 1000, groups: [4999, 5001] }), await make("number", { uid: 5000, gid: 1, groups: [] })];

  for (const stranger of strangers) await expectErrno(stranger.acquire("a.b"), "EPERM");
  await effective.acquire("a.b");
  await effective.release("a.b");
  await further.acquire("a.b");
});

test("POL-014 WORLD is everybody, whatever its id says", covers("POL-014"), async ({ bus, spawn }) => {
  for (const [index, id] of [0n, 4711n, 0xffff_ffffn, 0xffff_ffff_ffff_ffffn].entries()) {
    await bus.connectPolicyHolder(`a.n${index}`, [item.policyAccess(abi.POLICY_TYPE.WORLD, OWN, id)]);
  }
  const [one, two] = [await as(bus, spawn, 1000), await as(bus, spawn, 2000)];

  for (const name of ["a.n0", "a.n1"]) await one.acquire(name);
  for (const name of ["a.n2", "a.n3"]) await two.acquire(name);
});

test("POL-038 on the default endpoint every name is visible", covers("POL-038"), async ({ bus, spawn }) => {
  const { owner, user } = await pair(bus, spawn, []);

  expect((await user.info("a.b")).id).toBe(owner.id);
  expect(await ownerOf(user, "a.b")).toBe(owner.id);
});

test("POL-040 inside a user namespace the kernel's ids count", covers("POL-040"), async ({ bus, root, spawn }) => {
  await bus.connectPolicyHolder("root.name", [grant.user(0, OWN), grant.group(0, OWN)]);
  await bus.connectPolicyHolder("own.name", [grant.user(65534, OWN)]);
  const outside = await as(bus, spawn, 1000);
  const inside = await bus.connect({ by: await forkOf(root, { namespaces: ["user"], uidMap: [[0, 65534, 1]], gidMap: [[0, 65534, 1]], uid: 0, gid: 0, groups: [], label: "inside" }) });

  await expectErrno(inside.acquire("root.name"), "EPERM");
  await expectErrno(inside.acquire("free.name"), "EPERM");
  await expectErrno(inside.send(outside), "EPERM");
  await inside.acquire("own.name");
});

test("POL-041 rights are those of the calling task, not of HELLO", covers("POL-041"), async ({ bus, spawn }) => {
  await bus.connectPolicyHolder("a.b", [grant.user(2000, OWN)]);
  const peer = await as(bus, spawn, 2000);
  const changing = await spawn({ uid: { real: 1000, effective: 1000, saved: 2000 }, gid: 1000, label: "changing" });
  const connection = await bus.connect({ by: changing });
  await expectErrno(connection.send(peer), "EPERM");
  await expectErrno(connection.acquire("a.b"), "EPERM");

  await changing.must("setresuid", -1, 2000, -1);

  await connection.send(peer);
  await connection.acquire("a.b");
  await changing.must("setresuid", -1, 1000, -1);
  await expectErrno(connection.send(peer), "EPERM");
});

test("POL-042 a reply needs an open request and nothing else", covers("POL-042"), async ({ bus, spawn }) => {
  const [client, service] = [await bus.connect(), await as(bus, spawn, 1000)];
  await client.send(service, { cookie: 11, expectReplyMs: 600_000 });
  const request = await service.recv();
  await expectErrno(service.send(client), "EPERM");

  await service.reply(request, { cookie: 21 });
  await expectErrno(service.reply(request, { cookie: 22 }), "EBADSLT");
  await expectErrno(client.send(service, { cookieReply: 4242 }), "EBADSLT");

  expect(await cookies(client)).toEqual([21n]);
  expect(await cookies(service)).toEqual([]);
});

test("POL-042 after its deadline a request permits no reply", covers("POL-042"), async ({ bus, spawn }) => {
  const [client, service] = [await bus.connect(), await as(bus, spawn, 1000)];
  await client.send(service, { cookie: 11, expectReplyMs: 20 });
  const request = await service.recv();
  expect((await client.recvWithin(5000)).notification?.kind).toBe("REPLY_TIMEOUT");

  await expectErrno(service.reply(request), "EBADSLT");
});
