import { covers, expect, expectErrno, stat, test } from "../../support/index.ts";

const POLLERR_POLLHUP = 0x18;

test("BUS-020 closing the owner handle disconnects every connection of the bus", covers("BUS-020"), async ({ bus, domain, root, spawn }) => {
  const user = await spawn({ uid: 1000, gid: 1000, label: "user" });
  const endpoint = await bus.makeEndpoint();
  const connections = [await bus.connect(), await bus.connect({ by: user }), await endpoint.connect(), await bus.connectActivator("act.name"), await bus.connectMonitor()];
  const unrelated = await (await domain.makeBus(root)).connect();

  await bus.close();

  for (const connection of connections) {
    await expectErrno(connection.recv(), "ECONNRESET");
    await expectErrno(connection.list(0n), "ECONNRESET");
    expect(await connection.poll(0) & POLLERR_POLLHUP).toBe(POLLERR_POLLHUP);
  }
  await unrelated.send(unrelated);
});

test("BUS-020 the bus lives until the last descriptor of its owner handle is closed", covers("BUS-020"), async ({ bus, root, spawn }) => {
  const holder = await spawn({ label: "holder" });
  const there = await root.giveFd(bus.ownerFd, holder);
  const connection = await bus.connect();

  await bus.close();
  await connection.send(connection);
  await holder.close(there);

  await expectErrno(connection.recv(), "ECONNRESET");
});

test("BUS-021 closing the owner handle removes the custom endpoints", covers("BUS-021"), async ({ bus, root }) => {
  const first = await bus.makeEndpoint({ name: "first" });
  const second = await bus.makeEndpoint({ name: "second" });
  expect((await stat(root, first.path)).kind).toBe("file");

  await bus.close();

  for (const path of [first.path, second.path, bus.path, bus.directory]) await expectErrno(stat(root, path), "ENOENT");
});

test("BUS-028 ids of buses and connections come from one increasing counter", covers("BUS-028"), async ({ domain, root }) => {
  const ids: bigint[] = [];
  for (let round = 0; round < 4; round++) {
    const bus = await domain.makeBus(root);
    const first = await bus.connect();
    ids.push((await first.creatorInfo()).id, first.id);
    await first.close();
    const second = await bus.connect();
    ids.push(second.id);
    await bus.close();
  }

  expect(ids[0]).toBeGreaterThan(0n);
  expect(ids.filter((id, index) => index > 0 && id <= (ids[index - 1] ?? 0n)), `ids that do not exceed the one before, of ${ids.join(" ")}`).toEqual([]);
});

test("BUS-032 connection ids are successive and traffic does not advance them", covers("BUS-032"), async ({ bus }) => {
  const first = await bus.connect();
  for (let count = 0; count < 5; count++) await first.send(first);
  await first.recvAll();

  expect((await bus.connect()).id).toBe(first.id + 1n);
});
