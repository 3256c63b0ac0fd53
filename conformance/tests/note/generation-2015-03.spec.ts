import { abi, covers, expect, expectErrno, grant, heard, idRules, item, nameRules, setModuleMask, test, watch, type Bus, type Connection, type Received } from "../../support/index.ts";

const { ALLOW_REPLACEMENT, REPLACE_EXISTING, QUEUE, ACTIVATOR } = abi.NAME;

/** REPLY_DEAD and REPLY_TIMEOUT of one client. */
async function replies(bus: Bus, client: Connection): Promise<Received[]> {
  const [dying, silent] = [await bus.connect(), await bus.connect()];
  await client.send(dying, { cookie: 11, expectReplyMs: 600_000 });
  await dying.close();
  const dead = await client.recvWithin(5000);
  await client.send(silent, { cookie: 12, flags: abi.MSG.EXPECT_REPLY, timeoutNs: 1n });
  const late = await client.recvWithin(5000);
  expect([dead, late].map(({ notification }) => notification?.kind)).toEqual(["REPLY_DEAD", "REPLY_TIMEOUT"]);
  return [dead, late];
}

for (const [what, asked, mask, stamped] of [
  ["asked for everything", abi.ATTACH_ALL, abi.ATTACH_ALL, true],
  ["asked for all but the timestamp", abi.ATTACH_ALL & ~abi.ATTACH.TIMESTAMP, abi.ATTACH_ALL, false],
  ["asked for a timestamp that the module withholds", abi.ATTACH.TIMESTAMP, abi.ATTACH_ALL & ~abi.ATTACH.TIMESTAMP, false],
] as const) {
  test(`NOTE-004 a notification has ${stamped ? "a TIMESTAMP" : "no TIMESTAMP"} for who ${what}`, covers("NOTE-004"), async ({ bus, agent }) => {
    const connection = await bus.connect({ attachRecv: asked });
    await setModuleMask(agent, mask);
    await watch(connection, [...nameRules(), ...idRules()]);

    await connection.acquire("a.b");
    await (await bus.connect()).close();
    const seen = [...(await connection.recvAll()), ...(await replies(bus, await bus.connect({ attachRecv: asked })))];

    const expected = (first: number): number[] => (stamped ? [first, abi.ITEM.TIMESTAMP] : [first]);
    expect(seen.map(({ items }) => items.map(({ type }) => type))).toEqual([abi.ITEM.NAME_ADD, abi.ITEM.ID_ADD, abi.ITEM.ID_REMOVE, abi.ITEM.REPLY_DEAD, abi.ITEM.REPLY_TIMEOUT].map(expected));
  });
}

test("NOTE-009 the item of a NAME_* notification counts its padding, which is zero", covers("NOTE-009"), async ({ bus }) => {
  const [owner, watcher] = [await bus.connect(), await bus.connect()];
  await watch(watcher, nameRules());

  const wrong: string[] = [];
  for (let length = 3; length <= 20; length++) {
    const name = `a.${"b".repeat(length - 2)}`;
    await owner.acquire(name);
    await owner.release(name);
    const padded = 48 + Math.ceil((length + 1) / 8) * 8;
    for (const { items } of await watcher.recvAll()) {
      const text = new TextDecoder().decode(items[0]?.payload.subarray(32));
      if (items[0]?.size !== padded || text !== name.padEnd(padded - 48, "\0")) wrong.push(`${name}: size ${items[0]?.size}, ${JSON.stringify(text)}`);
    }
  }

  expect(wrong).toEqual([]);
  await owner.acquire("last.one");
  expect(await watcher.recvAll()).toHaveLength(1);
});

test("NOTE-012 a custom endpoint passes the names that it shows, and no ids", covers("NOTE-012"), async ({ bus }) => {
  const owner = await bus.connect();
  const endpoint = await bus.makeEndpoint();
  await endpoint.update([item.name("seen.name"), grant.world(abi.POLICY.SEE)]);
  const inside = await endpoint.connect();
  await watch(inside, [...nameRules(), ...idRules()]);

  for (const name of ["seen.name", "hidden.name"]) {
    await owner.acquire(name);
    await owner.release(name);
  }
  await (await bus.connect()).close();

  expect(await heard(inside)).toMatchObject([{ kind: "NAME_ADD", name: "seen.name" }, { kind: "NAME_REMOVE", name: "seen.name" }]);
  await expectErrno(inside.recv(), "EAGAIN");
});

test("NOTE-020 REPLY_* notifications are flagged as signals", covers("NOTE-020"), async ({ bus }) => {
  expect((await replies(bus, await bus.connect())).map(({ header }) => header.flags)).toEqual([abi.MSG.SIGNAL, abi.MSG.SIGNAL]);
});

test("NOTE-022 flags in records are those of NAME_ACQUIRE or ACTIVATOR", covers("NOTE-022"), async ({ bus }) => {
  const [one, two, watcher] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await watch(watcher, nameRules());

  const activator = await bus.connectActivator("a.b");
  await one.acquire("a.b", ALLOW_REPLACEMENT | REPLACE_EXISTING);
  await two.acquire("a.b", REPLACE_EXISTING | QUEUE);
  await two.release("a.b");
  await activator.close();

  expect(await heard(watcher)).toEqual([
    { kind: "NAME_ADD", name: "a.b", old: [0n, 0n], new: [activator.id, ACTIVATOR] },
    { kind: "NAME_CHANGE", name: "a.b", old: [activator.id, ACTIVATOR], new: [one.id, ALLOW_REPLACEMENT | REPLACE_EXISTING] },
    { kind: "NAME_CHANGE", name: "a.b", old: [one.id, ALLOW_REPLACEMENT | REPLACE_EXISTING], new: [two.id, REPLACE_EXISTING | QUEUE] },
    { kind: "NAME_CHANGE", name: "a.b", old: [two.id, REPLACE_EXISTING | QUEUE], new: [activator.id, ACTIVATOR] },
    { kind: "NAME_REMOVE", name: "a.b", old: [activator.id, ACTIVATOR], new: [0n, 0n] },
  ]);
});
