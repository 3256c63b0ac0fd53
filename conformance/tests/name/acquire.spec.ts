import { abi, acquireMany, covers, entries, expect, expectErrno, expectResult, grant, heard, nameRules, ownerOf, test, tryAcquire, tryRelease, watch } from "../../support/index.ts";

const { ALLOW_REPLACEMENT, REPLACE_EXISTING, QUEUE } = abi.NAME;
const numbered = (count: number, prefix = "many"): string[] => Array.from({ length: count }, (_, index) => `${prefix}.n${index}`);

for (const [flags, returned] of [[0n, 0x60n], [0x1n, 0x60n], [0x2n, 0x62n], [0x4n, 0x64n], [0x7n, 0x66n]] as const) {
  test(`NAME-053 acquiring a free name with flags 0x${flags.toString(16)} returns 0x${returned.toString(16)}`, covers("NAME-053"), async ({ bus }) => {
    const connection = await bus.connect();

    expect(await connection.acquire("a.b", flags)).toBe(returned);

    expect(await ownerOf(connection, "a.b")).toBe(connection.id);
  });
}

test("NAME-054 acquiring an own name again replaces the remembered flags, silently", covers("NAME-054"), async ({ bus }) => {
  const [owner, other, watcher] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await owner.acquire("a.b");
  await expectErrno(other.acquire("a.b", REPLACE_EXISTING), "EEXIST");
  await watch(watcher, nameRules());

  expect(await owner.acquire("a.b", ALLOW_REPLACEMENT)).toBe(0x22n);
  expect(await heard(watcher)).toEqual([]);

  expect(await other.acquire("a.b", REPLACE_EXISTING)).toBe(0x60n);
  expect(await ownerOf(other, "a.b")).toBe(other.id);
});

test("NAME-054 a flag given before and not again is forgotten", covers("NAME-054"), async ({ bus }) => {
  const [owner, other] = [await bus.connect(), await bus.connect()];
  await owner.acquire("a.b", ALLOW_REPLACEMENT | QUEUE);

  expect(await owner.acquire("a.b")).toBe(0x20n);

  await expectErrno(other.acquire("a.b", REPLACE_EXISTING), "EEXIST");
});

test("NAME-008 a foreign name cannot be had without usable flags", covers("NAME-008"), async ({ bus }) => {
  const [owner, other] = [await bus.connect(), await bus.connect()];
  await owner.acquire("a.b");

  await expectErrno(other.acquire("a.b"), "EEXIST");
  await expectErrno(other.acquire("a.b", ALLOW_REPLACEMENT), "EEXIST");

  expect(await ownerOf(other, "a.b")).toBe(owner.id);
});

test("NAME-009 only an owner that permits it is replaced", covers("NAME-009"), async ({ bus }) => {
  const [owner, other] = [await bus.connect(), await bus.connect()];
  await owner.acquire("closed.name");
  await owner.acquire("open.name", ALLOW_REPLACEMENT);

  await expectErrno(other.acquire("closed.name", REPLACE_EXISTING), "EEXIST");
  await expectErrno(other.acquire("open.name"), "EEXIST");
  await other.acquire("open.name", REPLACE_EXISTING);

  expect([await ownerOf(other, "closed.name"), await ownerOf(other, "open.name")]).toEqual([owner.id, other.id]);
});

for (const [what, flags] of [["QUEUE", QUEUE], ["REPLACE_EXISTING", REPLACE_EXISTING], ["both", QUEUE | REPLACE_EXISTING]] as const) {
  test(`NAME-009 an owner that asked with ${what} permits no replacement by that`, covers("NAME-009"), async ({ bus }) => {
    const [owner, other] = [await bus.connect(), await bus.connect()];
    await owner.acquire("a.b", flags);

    await expectErrno(other.acquire("a.b", REPLACE_EXISTING), "EEXIST");

    expect(await ownerOf(other, "a.b")).toBe(owner.id);
  });
}

test("NAME-009 the permission of an earlier acquisition does not count", covers("NAME-009"), async ({ bus }) => {
  const [owner, other] = [await bus.connect(), await bus.connect()];
  await owner.acquire("a.b", ALLOW_REPLACEMENT);
  await owner.release("a.b");
  await owner.acquire("a.b");

  await expectErrno(other.acquire("a.b", REPLACE_EXISTING), "EEXIST");
});

test("NAME-010 an owner replaced without QUEUE has lost the name", covers("NAME-010"), async ({ bus }) => {
  const [owner, other] = [await bus.connect(), await bus.connect()];
  await owner.acquire("a.b", ALLOW_REPLACEMENT);
  await other.acquire("a.b", REPLACE_EXISTING);
  expect(await entries(owner, abi.LIST.QUEUED)).toEqual([]);

  await other.release("a.b");

  expect(await entries(owner, abi.LIST.NAMES | abi.LIST.QUEUED)).toEqual([]);
});

test("NAME-075 a former owner that was replaced for good has nothing to release", covers("NAME-075"), async ({ bus }) => {
  const [owner, other] = [await bus.connect(), await bus.connect()];
  await owner.acquire("a.b", ALLOW_REPLACEMENT);
  await other.acquire("a.b", REPLACE_EXISTING);

  expectResult(await tryRelease(owner, "a.b"), "EADDRINUSE");

  expect(await ownerOf(owner, "a.b")).toBe(other.id);
});

test("NAME-022 without the right to own a name it cannot be acquired, free or not", covers("NAME-022"), async ({ bus, spawn }) => {
  const owner = await bus.connect();
  const stranger = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "stranger" }) });
  await owner.acquire("owned.name", ALLOW_REPLACEMENT);

  await expectErrno(stranger.acquire("free.name"), "EPERM");
  await expectErrno(stranger.acquire("owned.name"), "EPERM");
  await expectErrno(stranger.acquire("owned.name", REPLACE_EXISTING | QUEUE), "EPERM");

  expect(await entries(owner, abi.LIST.NAMES | abi.LIST.QUEUED)).toMatchObject([{ id: owner.id, name: "owned.name" }]);
});

test("NAME-019 a connection owns 256 names at most", covers("NAME-019"), async ({ bus }) => {
  const connection = await bus.connect();
  expect((await acquireMany(connection, numbered(256))).filter((errno) => errno !== null)).toEqual([]);

  await expectErrno(connection.acquire("one.more"), "E2BIG");
  await connection.release("many.n7");

  await connection.acquire("one.more");
  await expectErrno(connection.acquire("and.another"), "E2BIG");
});

test("NAME-062 places in queues count against the limit of names", covers("NAME-062"), async ({ bus }) => {
  const [connection, other] = [await bus.connect(), await bus.connect()];
  await other.acquire("foreign.name");
  expect((await acquireMany(connection, numbered(255))).filter((errno) => errno !== null)).toEqual([]);
  await connection.acquire("foreign.name", QUEUE);

  await expectErrno(connection.acquire("one.more"), "E2BIG");
  await connection.release("foreign.name");

  await connection.acquire("one.more");
});

test("NAME-062 a place in a queue is refused at the limit", covers("NAME-062"), async ({ bus }) => {
  const [connection, other] = [await bus.connect(), await bus.connect()];
  await other.acquire("foreign.name");
  expect((await acquireMany(connection, numbered(256))).filter((errno) => errno !== null)).toEqual([]);

  await expectErrno(connection.acquire("foreign.name", QUEUE), "E2BIG");

  expect(await entries(other, abi.LIST.QUEUED)).toEqual([]);
});

test("NAME-061 at the limit own names and own places are still granted, foreign names give E2BIG", covers("NAME-061"), async ({ bus }) => {
  const [connection, other] = [await bus.connect(), await bus.connect()];
  await other.acquire("waited.name");
  await other.acquire("foreign.name");
  await connection.acquire("waited.name", QUEUE);
  expect((await acquireMany(connection, numbered(255))).filter((errno) => errno !== null)).toEqual([]);

  const seen: Record<string, string | null> = {};
  for (const [name, flags] of [["many.n0", 0n], ["waited.name", QUEUE], ["foreign.name", 0n], ["foreign.name", QUEUE], ["a..b", 0n]] as const) {
    seen[`${name} ${flags}`] = (await tryAcquire(connection, name, flags)).errno;
  }

  expect(seen).toEqual({ "many.n0 0": null, "waited.name 4": null, "foreign.name 0": "E2BIG", "foreign.name 4": "E2BIG", "a..b 0": "EINVAL" });
});

test("NAME-061 a bad name is reported before a missing right, that before the limit", covers("NAME-061"), async ({ bus, spawn }) => {
  await bus.connectPolicyHolder("many.*", [grant.world(abi.POLICY.OWN)]);
  const owner = await bus.connect();
  await owner.acquire("foreign.name");
  const connection = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "user" }) });
  expect((await acquireMany(connection, numbered(256))).filter((errno) => errno !== null)).toEqual([]);

  await expectErrno(connection.acquire("a..b"), "EINVAL");
  await expectErrno(connection.acquire("free.name"), "EPERM");
  await expectErrno(connection.acquire("foreign.name"), "EPERM");
  await expectErrno(connection.acquire("many.more"), "E2BIG");
});

test("NAME-073 a failing acquisition leaves at most ALLOW_REPLACEMENT in return_flags", covers("NAME-073"), async ({ bus }) => {
  const [owner, other] = [await bus.connect(), await bus.connect()];
  await owner.acquire("a.b");

  const { errno, returned } = await tryAcquire(other, "a.b", ALLOW_REPLACEMENT);

  expect(errno).toBe("EEXIST");
  expect([0n, ALLOW_REPLACEMENT]).toContain(returned);
});
