import { abi, covers, decodeStruct, expect, expectErrno, idRules, item, nameRules, test, watch, type Bus, type Connection, type Received } from "../../support/index.ts";

const { REPLACE_EXISTING, ALLOW_REPLACEMENT } = abi.NAME;
const ALL_ONES = 0xffff_ffff_ffff_ffffn;

/** One of each NAME_* and ID_* notification, as a connection with matches for them gets them. */
async function broadcasts(bus: Bus, watcher: Connection, name = "a.b"): Promise<Received[]> {
  await watch(watcher, [...nameRules(), ...idRules()]);
  const [one, two] = [await bus.connect(), await bus.connect()];
  await one.acquire(name, ALLOW_REPLACEMENT);
  await two.acquire(name, REPLACE_EXISTING);
  await two.release(name);
  await two.close();
  const messages = await watcher.recvAll();
  expect(messages.map(({ notification }) => notification?.kind)).toEqual(["ID_ADD", "ID_ADD", "NAME_ADD", "NAME_CHANGE", "NAME_REMOVE", "ID_REMOVE"]);
  return messages;
}

/** REPLY_DEAD and REPLY_TIMEOUT for requests with the cookies 11 and 12. */
async function replies(bus: Bus, client: Connection): Promise<Received[]> {
  const [dying, silent] = [await bus.connect(), await bus.connect()];
  await client.send(dying, { cookie: 11, priority: -5, expectReplyMs: 600_000 });
  await dying.close();
  const dead = await client.recvWithin(5000);
  await client.send(silent, { cookie: 12, priority: 7, expectReplyMs: 20 });
  const late = await client.recvWithin(5000);
  expect([dead, late].map(({ notification }) => notification?.kind)).toEqual(["REPLY_DEAD", "REPLY_TIMEOUT"]);
  return [dead, late];
}

test("NOTE-001 notifications come from id 0 with one notification item in front", covers("NOTE-001"), async ({ bus }) => {
  const [watcher, client] = [await bus.connect(), await bus.connect()];

  const messages = [...(await broadcasts(bus, watcher)), ...(await replies(bus, client))];

  for (const { header, items, notification } of messages) {
    const what = notification?.kind;
    expect({ what, src: header.src_id, type: header.payload_type, cookie: header.cookie, priority: header.priority }).toEqual({ what, src: 0n, type: abi.PAYLOAD.KERNEL, cookie: 0n, priority: 0n });
    expect(items.filter(({ type }) => type >= abi.ITEM.NAME_ADD).map(({ type }) => type), what).toEqual([items[0]?.type]);
  }
});

test("NOTE-002 NAME_* and ID_* notifications are addressed to all", covers("NOTE-002", "NOTE-003"), async ({ bus }) => {
  for (const { header, notification } of await broadcasts(bus, await bus.connect())) {
    const what = notification?.kind;
    expect({ what, dst: header.dst_id, reply: header.cookie_reply, signal: header.flags & abi.MSG.SIGNAL }).toEqual({ what, dst: ALL_ONES, reply: 0n, signal: abi.MSG.SIGNAL });
  }
});

test("NOTE-002 REPLY_* notifications are addressed to the requester and name the request", covers("NOTE-002", "NOTE-011"), async ({ bus }) => {
  const client = await bus.connect(); // no match

  const seen = (await replies(bus, client)).map(({ header, items }) => ({ dst: header.dst_id, reply: header.cookie_reply, size: items[0]?.size }));

  expect(seen).toEqual([{ dst: client.id, reply: 11n, size: 16 }, { dst: client.id, reply: 12n, size: 16 }]);
});

test("NOTE-019 REPLY_* notifications have no message flags", covers("NOTE-019"), async ({ bus }) => {
  expect((await replies(bus, await bus.connect())).map(({ header }) => header.flags)).toEqual([0n, 0n]);
});

for (const [label, attachRecv] of [["nothing", 0n], ["everything", abi.ATTACH_ALL]] as const) {
  test(`NOTE-016 two items, the second a TIMESTAMP, for a receiver that asks for ${label}`, covers("NOTE-016"), async ({ bus }) => {
    const [watcher, client] = [await bus.connect({ attachRecv }), await bus.connect({ attachRecv })];

    for (const { items, notification } of [...(await broadcasts(bus, watcher)), ...(await replies(bus, client))]) {
      expect(items.map(({ type }) => type), notification?.kind).toEqual([abi.ITEM[notification?.kind ?? "NULL"], abi.ITEM.TIMESTAMP]);
      expect(decodeStruct("timestamp", items[1]?.payload ?? new Uint8Array(0)).monotonic_ns).toBeGreaterThan(0n);
    }
  });
}

test("NOTE-017 the item of a NAME_* notification ends with the terminator of the name", covers("NOTE-017"), async ({ bus }) => {
  const [owner, watcher] = [await bus.connect(), await bus.connect()];
  await watch(watcher, nameRules());
  const names = Array.from({ length: 18 }, (_, index) => `a.${"b".repeat(index + 1)}`);

  const wrong: string[] = [];
  for (const name of names) {
    await owner.acquire(name);
    await owner.release(name);
    for (const { items } of await watcher.recvAll()) {
      const text = new TextDecoder().decode(items[0]?.payload.subarray(32));
      if (items[0]?.size !== 48 + name.length + 1 || text !== `${name}\0`) wrong.push(`${name}: size ${items[0]?.size}, ${JSON.stringify(text)}`);
    }
  }

  expect(wrong).toEqual([]);
  await owner.acquire("last.one");
  expect(await watcher.recvAll()).toHaveLength(1);
});

for (const name of ["NAME_ADD", "NAME_REMOVE", "NAME_CHANGE", "ID_ADD", "ID_REMOVE", "REPLY_TIMEOUT", "REPLY_DEAD"] as const) {
  test(`NOTE-015 ${name} cannot be sent`, covers("NOTE-015"), async ({ bus }) => {
    const [sender, receiver] = [await bus.connect(), await bus.connect()];
    await receiver.addMatch();
    const type = abi.ITEM[name];
    const forged = name.startsWith("NAME") ? item.nameChange(type, 0, sender.id, "a.b") : name.startsWith("ID") ? item.idChange(type, sender.id) : item.raw(type);

    await expectErrno(sender.send(receiver, { items: [forged] }), "EINVAL");
    await expectErrno(sender.broadcast({ items: [forged] }), "EINVAL");

    await expectErrno(receiver.recv(), "EAGAIN");
  });
}
