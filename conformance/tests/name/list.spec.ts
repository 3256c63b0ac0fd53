import { abi, acquireMany, covers, decodeStruct, encodeCommand, entries, expect, expectErrno, expectResult, grant, item, STRUCTS, test } from "../../support/index.ts";

const { UNIQUE, NAMES, ACTIVATORS, QUEUED } = abi.LIST;
const { ALLOW_REPLACEMENT, QUEUE, IN_QUEUE, ACTIVATOR, PRIMARY } = abi.NAME;
const ALL = UNIQUE | NAMES | ACTIVATORS | QUEUED;
const KINDS = [["UNIQUE", UNIQUE], ["UNIQUE|NAMES", UNIQUE | NAMES], ["UNIQUE|QUEUED", UNIQUE | QUEUED]] as const;

test("NAME-041 NAMES gives one record for each owned name", covers("NAME-041"), async ({ bus }) => {
  const [one, two, nobody] = [await bus.connect(), await bus.connect({ flags: 0n }), await bus.connect()];
  await bus.connectActivator("started.name");
  await one.acquire("first.name");
  await one.acquire("second.name");
  await two.acquire("third.name");

  const records = await nobody.list(NAMES);

  const found = records.map(({ id, flags, metadata, items }) => [id, flags, items.length, metadata.names.map((owned) => owned.name)]);
  found.sort((a, b) => String(a[3]).localeCompare(String(b[3])));
  expect(found).toEqual([
    [one.id, abi.HELLO.ACCEPT_FD, 1, ["first.name"]],
    [one.id, abi.HELLO.ACCEPT_FD, 1, ["second.name"]],
    [two.id, 0n, 1, ["third.name"]],
  ]);
});

test("NAME-042 ACTIVATORS gives one record for each activator, whoever owns the name", covers("NAME-042"), async ({ bus }) => {
  const [first, second] = [await bus.connectActivator("first.name"), await bus.connectActivator("second.name")];
  const owner = await bus.connect();
  await owner.acquire("ordinary.name");
  const listed = async (): Promise<unknown> => (await entries(owner, ACTIVATORS)).map(({ id, name, flags }) => [id, name, (flags ?? 0n) & ACTIVATOR]);
  const both = [[first.id, "first.name", ACTIVATOR], [second.id, "second.name", ACTIVATOR]];

  expect(await listed()).toEqual(both);
  await owner.acquire("second.name");
  expect(await listed()).toEqual(both);
});

test("NAME-043 QUEUED gives one record for each waiting connection and name", covers("NAME-043"), async ({ bus }) => {
  const [owner, one, two] = [await bus.connect(), await bus.connect(), await bus.connect()];
  for (const name of ["first.name", "second.name"]) await owner.acquire(name, ALLOW_REPLACEMENT);
  await one.acquire("first.name", QUEUE);
  await one.acquire("second.name", QUEUE);
  await two.acquire("first.name", QUEUE);

  const listed = (await entries(owner, QUEUED)).map(({ id, name, flags }) => [id, name, (flags ?? 0n) & (IN_QUEUE | ALLOW_REPLACEMENT)]);

  expect(listed).toEqual([[one.id, "first.name", IN_QUEUE], [one.id, "second.name", IN_QUEUE], [two.id, "first.name", IN_QUEUE]]);
});

test("NAME-044 UNIQUE gives one record without items for each connection not listed otherwise", covers("NAME-044"), async ({ bus }) => {
  const [owner, waiter, plain] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await owner.acquire("a.b");
  await owner.acquire("c.d");
  await waiter.acquire("a.b", QUEUE);
  const listed = async (flags: bigint): Promise<unknown> => (await entries(plain, flags)).map(({ id, name }) => (name === undefined ? [id] : [id, name]));

  expect(await listed(UNIQUE)).toEqual([[owner.id], [waiter.id], [plain.id]]);
  expect((await plain.list(UNIQUE)).map((record) => record.items)).toEqual([[], [], []]);
  expect(await listed(UNIQUE | NAMES)).toEqual([[owner.id, "a.b"], [owner.id, "c.d"], [waiter.id], [plain.id]]);
  expect(await listed(UNIQUE | QUEUED)).toEqual([[owner.id], [waiter.id, "a.b"], [plain.id]]);
  expect(await listed(UNIQUE | NAMES | QUEUED)).toEqual([[owner.id, "a.b"], [owner.id, "c.d"], [waiter.id, "a.b"], [plain.id]]);
});

test("NAME-045 monitors are never listed", covers("NAME-045"), async ({ bus }) => {
  const connection = await bus.connect();
  const monitor = await bus.connectMonitor();

  const seen: Record<string, bigint[]> = {};
  for (let flags = 1n; flags <= ALL; flags++) seen[String(flags)] = (await connection.list(flags)).map(({ id }) => id);

  expect(seen[String(ALL)]).toEqual([connection.id]);
  expect(Object.values(seen).flat()).not.toContain(monitor.id);
  expect((await monitor.list(ALL)).map(({ id }) => id)).toEqual([connection.id]);
});

test("NAME-047 policy holders are listed with UNIQUE", covers("NAME-047"), async ({ bus }) => {
  const connection = await bus.connect();
  const holder = await bus.connectPolicyHolder("a.b", [grant.world(abi.POLICY.SEE)]);

  expect(await entries(connection, UNIQUE)).toEqual([{ id: connection.id }, { id: holder.id }]);
});

test("NAME-048 nothing to report is success with the empty answer", covers("NAME-048"), async ({ bus }) => {
  const connection = await bus.connect();
  const empty = { offset: BigInt(connection.poolSize), list_size: 0n };

  for (const flags of [0n, QUEUED, NAMES | ACTIVATORS | QUEUED]) {
    const result = await connection.ioctl("LIST", encodeCommand("LIST", { flags, offset: -1, list_size: -1 }));
    expectResult(result, null);
    expect(decodeStruct("cmd_list", result.bytes), `flags ${flags}`).toMatchObject(empty);
  }
});

test("NAME-049 records follow each other and fill the list exactly", covers("NAME-049"), async ({ bus }) => {
  const [owner, waiter] = [await bus.connect(), await bus.connect()];
  const names = Array.from({ length: 12 }, (_, index) => `a.${"b".repeat(index + 1)}`);
  expect((await acquireMany(owner, names)).filter((errno) => errno !== null)).toEqual([]);
  await waiter.acquire("a.b", QUEUE);
  await bus.connectActivator("started.name");

  const result = await owner.ioctl("LIST", encodeCommand("LIST", { flags: ALL }));
  expectResult(result, null);
  const { offset, list_size: size } = decodeStruct("cmd_list", result.bytes);
  const bytes = await owner.poolBytes(Number(offset), Number(size));

  const sizes: number[] = [];
  let at = 0;
  while (at < bytes.length) {
    const record = Number(decodeStruct("info", bytes, at).size);
    sizes.push(record);
    if (record < STRUCTS.info.size) break;
    at += record;
  }
  expect(sizes.filter((record) => record % 8 !== 0 || record < STRUCTS.info.size)).toEqual([]);
  expect(sizes).toHaveLength(14);
  expect(at).toBe(Number(size));
});

test("NAME-050 LIST gives EXFULL if the pool has no room for the answer", covers("NAME-050"), async ({ bus }) => {
  const [owner, small] = [await bus.connect(), await bus.connect({ pool: 4096 })];
  const names = Array.from({ length: 100 }, (_, index) => `a.name.of.some.length.n${index}`);
  expect((await acquireMany(owner, names)).filter((errno) => errno !== null)).toEqual([]);

  expect(await small.list(UNIQUE)).toHaveLength(2);
  await expectErrno(small.list(NAMES), "EXFULL");
  expect(await owner.list(NAMES)).toHaveLength(100);
});

test("NAME-051 names that a custom endpoint hides are left out", covers("NAME-051"), async ({ bus }) => {
  const [owner, other] = [await bus.connect(), await bus.connect()];
  await owner.acquire("seen.name");
  await owner.acquire("hidden.name");
  await other.acquire("also.hidden");
  await other.acquire("not.granted");
  const endpoint = await bus.makeEndpoint();
  await endpoint.update([item.name("seen.name"), grant.world(abi.POLICY.SEE), item.name("not.granted")]);
  const inside = await endpoint.connect();

  expect((await entries(inside, NAMES)).map(({ id, name }) => [id, name])).toEqual([[owner.id, "seen.name"]]);
});

test("NAME-052 OWNED_NAME shows what was asked for when the name was acquired", covers("NAME-052"), async ({ bus }) => {
  const connection = await bus.connect();
  const wanted = { "a.n0": 0n, "a.n2": ALLOW_REPLACEMENT, "a.n4": QUEUE, "a.n6": ALLOW_REPLACEMENT | QUEUE };
  for (const [name, flags] of Object.entries(wanted)) await connection.acquire(name, flags);

  const shown = Object.fromEntries((await entries(connection, NAMES)).map(({ name, flags }) => [name ?? "", (flags ?? 0n) & (ALLOW_REPLACEMENT | QUEUE)]));

  expect(shown).toEqual(wanted);
});

test("NAME-066 a waiting connection is shown with its own flags, without PRIMARY", covers("NAME-066"), async ({ bus }) => {
  const [owner, one, two] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await owner.acquire("a.b", ALLOW_REPLACEMENT);
  await one.acquire("a.b", QUEUE);
  await two.acquire("a.b", QUEUE | ALLOW_REPLACEMENT);

  expect(await entries(owner, QUEUED)).toEqual([{ id: one.id, name: "a.b", flags: 0xcn }, { id: two.id, name: "a.b", flags: 0xen }]);
  expect(((await entries(owner, NAMES))[0]?.flags ?? 0n) & (PRIMARY | IN_QUEUE)).toBe(PRIMARY);
});

for (const [label, flags] of KINDS) {
  test(`NAME-069 ${label} gives one record without items for an activator`, covers("NAME-069"), async ({ bus }) => {
    const activator = await bus.connectActivator("a.b");
    const owner = await bus.connect();
    const listed = async (): Promise<number[]> => (await owner.list(flags)).filter(({ id }) => id === activator.id).map(({ items }) => items.length);

    expect(await listed()).toEqual([0]);
    await owner.acquire("a.b");
    expect(await listed()).toEqual([0]);
  });
}

test("NAME-070 UNIQUE and ACTIVATORS give one record for an implementer and one for its activator", covers("NAME-070"), async ({ bus }) => {
  const activator = await bus.connectActivator("a.b");
  const owner = await bus.connect();
  await owner.acquire("a.b");

  const listed = (await entries(owner, UNIQUE | ACTIVATORS)).map(({ id, name }) => [id, name]);

  expect(listed).toEqual([[activator.id, "a.b"], [owner.id, undefined]]);
});

test("NAME-071 a custom endpoint leaves out who only has hidden names, unless only ids are asked for", covers("NAME-071"), async ({ bus }) => {
  const [owner, nameless] = [await bus.connect(), await bus.connect()];
  await owner.acquire("hidden.name");
  const inside = await (await bus.makeEndpoint()).connect();
  const listed = async (flags: bigint): Promise<bigint[]> => (await entries(inside, flags)).map(({ id }) => id);

  expect(await listed(UNIQUE | NAMES)).toEqual([nameless.id, inside.id]);
  expect(await listed(UNIQUE)).toEqual([owner.id, nameless.id, inside.id]);
});
