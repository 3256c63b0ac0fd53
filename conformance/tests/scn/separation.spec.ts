import { abi, covers, expect, expectErrno, grant, item, payloadText, test, type Bus, type Connection, type CustomEndpoint, type Process, type Spawn } from "../../support/index.ts";

const [ALLOWED, DENIED] = ["org.example.Allowed", "org.example.Denied"];

interface Portal {
  readonly endpoint: CustomEndpoint;
  readonly application: Connection;
  readonly process: Process;
  readonly allowed: Connection;
  readonly denied: Connection;
}

/** Two services on the bus, an application of another user that reaches one of them through a custom endpoint. */
async function portal(bus: Bus, spawn: Spawn): Promise<Portal> {
  const services = await spawn({ label: "services" });
  const [allowed, denied] = [await bus.connect({ by: services }), await bus.connect({ by: services })];
  await allowed.acquire(ALLOWED);
  await denied.acquire(DENIED);
  await bus.connectPolicyHolder(ALLOWED, [grant.world(abi.POLICY.TALK)]);
  await bus.connectPolicyHolder(DENIED, [grant.world(abi.POLICY.TALK)]);
  const endpoint = await bus.makeEndpoint({ name: "app", by: await spawn({ label: "portal" }) });
  await endpoint.update([item.name(ALLOWED), grant.world(abi.POLICY.TALK)]);
  const process = await spawn({ uid: 1000, gid: 1000, label: "application" });
  return { endpoint, process, allowed, denied, application: await endpoint.connect({ by: process }) };
}

test("SCN-014 an application calls the service it may call, and nobody else", covers("SCN-014"), async ({ bus, spawn }) => {
  const { application, allowed, denied, endpoint, process } = await portal(bus, spawn);
  const neighbour = await endpoint.connect({ by: process });

  for (const to of [ALLOWED, allowed.id]) {
    const call = await application.startCall(to, { payload: "may I", at: allowed });
    await allowed.reply(await allowed.recv(), { payload: "you may" });
    expect(payloadText(await call.done)).toBe("you may");
  }

  await expectErrno(application.send(DENIED), "EPERM");
  await expectErrno(application.send(denied), "EPERM");
  await expectErrno(application.send(neighbour), "EPERM");
  await expectErrno(application.call(DENIED, { expectReplyMs: 1000 }), "EPERM");
  await expectErrno(application.acquire("org.example.Mine"), "EPERM");
  expect(await denied.recvAll()).toEqual([]);
  expect(await neighbour.recvAll()).toEqual([]);
});

test("SCN-014 an application is shown no name but the one it may call", covers("SCN-014"), async ({ bus, spawn }) => {
  const { application, allowed, denied } = await portal(bus, spawn);
  await application.addMatch();

  const listed = await application.list(abi.LIST.UNIQUE | abi.LIST.NAMES | abi.LIST.ACTIVATORS | abi.LIST.QUEUED);
  expect((await application.info(ALLOWED)).id).toBe(allowed.id);
  await expectErrno(application.info(DENIED), "ESRCH");
  await expectErrno(application.info(denied), "ENXIO");
  await denied.release(DENIED);
  await denied.acquire(DENIED);
  await denied.acquire("org.example.Third");
  await allowed.release(ALLOWED);
  await allowed.acquire(ALLOWED);
  await denied.broadcast();

  expect(new Set(listed.flatMap((record) => record.metadata.names.map((entry) => entry.name)))).toEqual(new Set([ALLOWED]));
  const seen = (await application.recvAll()).map((message) => (message.notification !== undefined && "name" in message.notification ? `${message.notification.kind} ${message.notification.name}` : (message.notification?.kind ?? "signal")));
  expect(seen).toEqual([`NAME_REMOVE ${ALLOWED}`, `NAME_ADD ${ALLOWED}`]);
});

test("SCN-014 an application has none of the special roles", covers("SCN-014"), async ({ bus, spawn }) => {
  const { endpoint, process } = await portal(bus, spawn);

  await expectErrno(endpoint.connectMonitor({ by: process }), "EOPNOTSUPP");
  await expectErrno(endpoint.connectActivator("org.example.Mine", { by: process }), "EPERM");
  await expectErrno(endpoint.connectPolicyHolder("org.example.Mine", [], { by: process }), "EPERM");
});

test("SCN-015 a change of the endpoint's policy applies to open connections", covers("SCN-015"), async ({ bus, spawn }) => {
  const { endpoint, application, allowed, denied } = await portal(bus, spawn);

  await application.send(ALLOWED, { cookie: 1 });
  await endpoint.update([item.name(DENIED), grant.world(abi.POLICY.TALK)]);
  await expectErrno(application.send(ALLOWED, { cookie: 2 }), "EPERM");
  await application.send(DENIED, { cookie: 3 });
  await endpoint.update([]);
  await expectErrno(application.send(DENIED, { cookie: 4 }), "EPERM");

  expect((await allowed.recvAll()).map((message) => message.header.cookie)).toEqual([1n]);
  expect((await denied.recvAll()).map((message) => message.header.cookie)).toEqual([3n]);
});

for (const end of ["closed", "killed"] as const) {
  test(`SCN-015 an endpoint whose owner is ${end} takes its connections along, and no others`, covers("SCN-015"), async ({ bus, spawn }) => {
    const { endpoint, application, allowed, denied, process } = await portal(bus, spawn);
    const POLLHUP = 0x10;
    const other = await bus.makeEndpoint({ name: "other" });
    await other.update([item.name(ALLOWED), grant.world(abi.POLICY.TALK)]);
    const elsewhere = await other.connect({ by: process });

    if (end === "closed") await endpoint.close();
    else await endpoint.owner.kill();

    expect((await application.poll(1000)) & POLLHUP).toBe(POLLHUP);
    await expectErrno(application.recv(), "ECONNRESET");
    await expectErrno(endpoint.connect({ by: process }), "ENOENT");
    await elsewhere.send(ALLOWED, { cookie: 5 });
    await denied.send(allowed, { cookie: 6 });
    expect((await allowed.recvAll()).map((message) => message.header.cookie)).toEqual([5n, 6n]);
  });
}

test("SCN-026 ids that an application sees come and go lead nowhere", covers("SCN-026"), async ({ bus, spawn }) => {
  const { application } = await portal(bus, spawn);
  await application.addMatch([item.idChange(abi.ITEM.ID_ADD, abi.MATCH_ID_ANY)]);
  await application.addMatch([item.idChange(abi.ITEM.ID_REMOVE, abi.MATCH_ID_ANY)]);

  const visitor = await bus.connect();
  await expectErrno(application.info(visitor), "ENXIO");
  await expectErrno(application.send(visitor), "EPERM");
  await visitor.close();

  const seen = (await application.recvAll()).map((message) => message.notification);
  expect(seen).toMatchObject([{ kind: "ID_ADD", id: visitor.id }, { kind: "ID_REMOVE", id: visitor.id }]);
  await expectErrno(application.info(visitor), "ENXIO");
});
