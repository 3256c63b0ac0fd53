import { abi, acquireMany, covers, entries, expect, expectErrno, grant, heard, nameRules, ownerOf, test, tryAcquire, watch } from "../../support/index.ts";

const { ALLOW_REPLACEMENT, REPLACE_EXISTING, QUEUE, IN_QUEUE, ACTIVATOR } = abi.NAME;
const numbered = (count: number): string[] => Array.from({ length: count }, (_, index) => `many.n${index}`);

for (const flags of [0n, ALLOW_REPLACEMENT, REPLACE_EXISTING, QUEUE, 0x7n]) {
  test(`NAME-001 acquiring a free name with flags 0x${flags.toString(16)} returns 0`, covers("NAME-001"), async ({ bus }) => {
    const connection = await bus.connect();

    expect(await connection.acquire("a.b", flags)).toBe(0n);

    expect(await ownerOf(connection, "a.b")).toBe(connection.id);
  });
}

test("NAME-007 acquiring an own name again gives EALREADY and changes nothing", covers("NAME-007"), async ({ bus }) => {
  const [owner, other, watcher] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await owner.acquire("a.b");
  await watch(watcher, nameRules());

  for (const flags of [0n, ALLOW_REPLACEMENT, REPLACE_EXISTING | QUEUE]) await expectErrno(owner.acquire("a.b", flags), "EALREADY");

  expect(await heard(watcher)).toEqual([]);
  await expectErrno(other.acquire("a.b", REPLACE_EXISTING), "EEXIST"); // ALLOW_REPLACEMENT was not taken on
  expect(await entries(watcher, abi.LIST.NAMES)).toEqual([{ id: owner.id, name: "a.b", flags: 0n }]);
});

test("NAME-020 too many names are reported before all but a bad name", covers("NAME-020"), async ({ bus, spawn }) => {
  await bus.connectPolicyHolder("many.*", [grant.world(abi.POLICY.OWN)]);
  const owner = await bus.connect();
  await owner.acquire("foreign.name");
  const connection = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "user" }) });
  expect((await acquireMany(connection, numbered(256))).filter((errno) => errno !== null)).toEqual([]);

  const seen: Record<string, string | null> = {};
  for (const name of ["a..b", "many.n0", "foreign.name", "free.name", "many.more"]) seen[name] = (await tryAcquire(connection, name)).errno;

  expect(seen).toEqual({ "a..b": "EINVAL", "many.n0": "E2BIG", "foreign.name": "E2BIG", "free.name": "E2BIG", "many.more": "E2BIG" });
});

test("NAME-021 places in queues do not count against the limit of names", covers("NAME-021"), async ({ bus }) => {
  const [connection, other] = [await bus.connect(), await bus.connect()];
  await other.acquire("foreign.name");
  expect((await acquireMany(connection, numbered(255))).filter((errno) => errno !== null)).toEqual([]);
  await connection.acquire("foreign.name", QUEUE);

  await connection.acquire("one.more");
  await expectErrno(connection.acquire("and.another"), "E2BIG");
  await other.release("foreign.name"); // its successor may own one more than the limit

  expect(await ownerOf(other, "foreign.name")).toBe(connection.id);
  expect(await ownerOf(other, "one.more")).toBe(connection.id);
});

test("NAME-046 activators are listed for LIST with ACTIVATORS only", covers("NAME-046"), async ({ bus }) => {
  const [asker, owner] = [await bus.connect(), await bus.connect()];
  const activator = await bus.connectActivator("started.name");
  await owner.acquire("a.b");
  await bus.connect();

  const without = await asker.list(abi.LIST.UNIQUE | abi.LIST.NAMES | abi.LIST.QUEUED);
  const also = await asker.list(abi.LIST.UNIQUE | abi.LIST.NAMES | abi.LIST.QUEUED | abi.LIST.ACTIVATORS);

  expect(without.map(({ id }) => id)).not.toContain(activator.id);
  expect(without.map(({ id }) => id)).toContain(owner.id);
  expect(also.map(({ id }) => id)).toContain(activator.id);
});

test("NAME-056 return_flags tell a place in the queue and nothing else", covers("NAME-056"), async ({ bus }) => {
  const [owner, waiter] = [await bus.connect(), await bus.connect()];
  await bus.connectActivator("started.name");

  const returned = {
    "a free name": await owner.acquire("a.b", 0x7n),
    "a name of an activator": await owner.acquire("started.name"),
    "a place": await waiter.acquire("a.b", QUEUE),
    "the same place again": await waiter.acquire("a.b", QUEUE | ALLOW_REPLACEMENT),
    "a replacement": await waiter.acquire("a.b", REPLACE_EXISTING | QUEUE),
  };

  expect(returned).toEqual({ "a free name": 0n, "a name of an activator": 0n, "a place": IN_QUEUE, "the same place again": IN_QUEUE, "a replacement": 0n });
});

test("NAME-058 who waits and asks without QUEUE gets EEXIST and goes on waiting", covers("NAME-058"), async ({ bus }) => {
  const [owner, waiter] = [await bus.connect(), await bus.connect()];
  await owner.acquire("a.b");
  await waiter.acquire("a.b", QUEUE);

  await expectErrno(waiter.acquire("a.b"), "EEXIST");
  await expectErrno(waiter.acquire("a.b", REPLACE_EXISTING), "EEXIST");
  await owner.release("a.b");

  expect(await ownerOf(owner, "a.b")).toBe(waiter.id);
});

test("NAME-060 a replaced owner with QUEUE waits behind all others", covers("NAME-060"), async ({ bus }) => {
  const [owner, waiter, third] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await owner.acquire("a.b", ALLOW_REPLACEMENT | QUEUE);
  await waiter.acquire("a.b", QUEUE);

  const owners: (bigint | undefined)[] = [];
  await third.acquire("a.b", REPLACE_EXISTING);
  for (const leaving of [third, waiter, owner]) {
    owners.push(await ownerOf(owner, "a.b"));
    await leaving.release("a.b");
  }

  expect(owners).toEqual([third.id, waiter.id, owner.id]);
});

test("NAME-064 the flags of an owner are those given, wherever they are shown", covers("NAME-064"), async ({ bus }) => {
  const [owner, watcher] = [await bus.connect(), await bus.connect({ attachRecv: abi.ATTACH.NAMES })];
  await watch(watcher, nameRules());

  await owner.acquire("a.b", 0x7n);

  expect(await heard(watcher)).toEqual([{ kind: "NAME_ADD", name: "a.b", old: [0n, 0n], new: [owner.id, 0x7n] }]);
  expect(await entries(watcher, abi.LIST.NAMES)).toEqual([{ id: owner.id, name: "a.b", flags: 0x7n }]);
  expect((await watcher.info(owner, abi.ATTACH.NAMES)).metadata.names).toEqual([{ name: "a.b", flags: 0x7n }]);
  await owner.send(watcher);
  expect((await watcher.recv()).metadata.names).toEqual([{ name: "a.b", flags: 0x7n }]);
});

test("NAME-068 an owning activator has the flag ACTIVATOR alone", covers("NAME-068"), async ({ bus }) => {
  const watcher = await bus.connect();
  await watch(watcher, nameRules());

  const activator = await bus.connectActivator("a.b");

  expect(await heard(watcher)).toEqual([{ kind: "NAME_ADD", name: "a.b", old: [0n, 0n], new: [activator.id, ACTIVATOR] }]);
  expect(await entries(watcher, abi.LIST.ACTIVATORS)).toEqual([{ id: activator.id, name: "a.b", flags: ACTIVATOR }]);
});
