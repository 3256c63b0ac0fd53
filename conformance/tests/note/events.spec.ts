import { abi, covers, expect, expectErrno, grant, heard, idRules, item, nameRules, test, watch } from "../../support/index.ts";

const { ALLOW_REPLACEMENT, REPLACE_EXISTING, QUEUE, ACTIVATOR, PRIMARY } = abi.NAME;
const { ACCEPT_FD, ACTIVATOR: HELLO_ACTIVATOR, POLICY_HOLDER } = abi.HELLO;

test("NOTE-005 ordinary connections, activators and policy holders are announced when they come and go", covers("NOTE-005"), async ({ bus }) => {
  const watcher = await bus.connect();
  await watch(watcher, idRules());

  const made = [await bus.connect(), await bus.connect({ flags: 0n }), await bus.connectActivator("a.b"), await bus.connectPolicyHolder("c.d", [])] as const;
  const flags = [ACCEPT_FD, 0n, HELLO_ACTIVATOR | ACCEPT_FD, POLICY_HOLDER];
  expect(await heard(watcher)).toEqual(made.map(({ id }, index) => ({ kind: "ID_ADD", id, flags: flags[index] })));

  await made[0].byebye();
  for (const connection of made.slice(1)) await connection.close();
  expect(await heard(watcher)).toEqual(made.map(({ id }, index) => ({ kind: "ID_REMOVE", id, flags: flags[index] })));
});

test("NOTE-005 connections of a killed process are announced as gone", covers("NOTE-005"), async ({ bus, spawn }) => {
  const victim = await spawn({ label: "victim" });
  const watcher = await bus.connect();
  const [one, two] = [await bus.connect({ by: victim }), await bus.connect({ by: victim, flags: 0n })];
  await watch(watcher, idRules());

  await victim.kill();

  const notes = await heard(watcher);
  expect(notes).toHaveLength(2);
  expect(notes).toContainEqual({ kind: "ID_REMOVE", id: one.id, flags: ACCEPT_FD });
  expect(notes).toContainEqual({ kind: "ID_REMOVE", id: two.id, flags: 0n });
});

test("NOTE-006 monitors come and go unannounced", covers("NOTE-006"), async ({ bus }) => {
  const watcher = await bus.connect();
  await watch(watcher, idRules());

  await (await bus.connectMonitor()).close();
  expect(await heard(watcher)).toEqual([]);

  await (await bus.connect()).close();
  expect((await heard(watcher)).map(({ kind }) => kind)).toEqual(["ID_ADD", "ID_REMOVE"]);
});

test("NOTE-007 records of names show the owner before and the owner after", covers("NOTE-007"), async ({ bus, generation }) => {
  const [one, two, watcher] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await watch(watcher, nameRules());

  await one.acquire("a.b", ALLOW_REPLACEMENT);
  await two.acquire("a.b", REPLACE_EXISTING | QUEUE);
  await two.release("a.b");

  const [first, second] = generation === "2015-08" ? [ALLOW_REPLACEMENT | PRIMARY, QUEUE | PRIMARY] : [ALLOW_REPLACEMENT, REPLACE_EXISTING | QUEUE];
  expect(await heard(watcher)).toEqual([
    { kind: "NAME_ADD", name: "a.b", old: [0n, 0n], new: [one.id, first] },
    { kind: "NAME_CHANGE", name: "a.b", old: [one.id, first], new: [two.id, second] },
    { kind: "NAME_REMOVE", name: "a.b", old: [two.id, second], new: [0n, 0n] },
  ]);
});

test("NOTE-008 NAME_CHANGE tells replacement, hand-over in the queue and both ways of an activator", covers("NOTE-008"), async ({ bus }) => {
  const activator = await bus.connectActivator("a.b");
  const [one, two, waiter, watcher] = [await bus.connect(), await bus.connect(), await bus.connect(), await bus.connect()];
  await watch(watcher, nameRules());

  await one.acquire("a.b", ALLOW_REPLACEMENT);
  await two.acquire("a.b", REPLACE_EXISTING);
  await waiter.acquire("a.b", QUEUE);
  await two.release("a.b");
  await waiter.release("a.b");

  const changes = (await heard(watcher)).map((note) => ("old" in note ? [note.kind, note.old[0], note.old[1] & ACTIVATOR, note.new[0], note.new[1] & ACTIVATOR] : [note.kind]));
  expect(changes).toEqual([
    ["NAME_CHANGE", activator.id, ACTIVATOR, one.id, 0n],
    ["NAME_CHANGE", one.id, 0n, two.id, 0n],
    ["NAME_CHANGE", two.id, 0n, waiter.id, 0n],
    ["NAME_CHANGE", waiter.id, 0n, activator.id, ACTIVATOR],
  ]);
});

test("NOTE-021 flags in records are PRIMARY with what was remembered or ACTIVATOR", covers("NOTE-021"), async ({ bus }) => {
  const [one, two, watcher] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await watch(watcher, nameRules());

  const activator = await bus.connectActivator("a.b");
  await one.acquire("a.b", 0x7n);
  await two.acquire("a.b", REPLACE_EXISTING | QUEUE);
  await one.release("a.b"); // it waited
  await two.release("a.b");
  await activator.close();

  const started = ACTIVATOR | PRIMARY;
  expect(await heard(watcher)).toEqual([
    { kind: "NAME_ADD", name: "a.b", old: [0n, 0n], new: [activator.id, started] },
    { kind: "NAME_CHANGE", name: "a.b", old: [activator.id, started], new: [one.id, 0x26n] },
    { kind: "NAME_CHANGE", name: "a.b", old: [one.id, 0x26n], new: [two.id, 0x24n] },
    { kind: "NAME_CHANGE", name: "a.b", old: [two.id, 0x24n], new: [activator.id, started] },
    { kind: "NAME_REMOVE", name: "a.b", old: [activator.id, started], new: [0n, 0n] },
  ]);
});

test("NOTE-010 who causes a notification about a name gets it too", covers("NOTE-010"), async ({ bus }) => {
  const connection = await bus.connect();
  await watch(connection, nameRules());

  await connection.acquire("a.b");
  await connection.release("a.b");

  expect((await heard(connection)).map(({ kind }) => kind)).toEqual(["NAME_ADD", "NAME_REMOVE"]);
});

test("NOTE-013 queues, policy and fallback activators change silently", covers("NOTE-013"), async ({ bus }) => {
  const [owner, waiter, watcher] = [await bus.connect(), await bus.connect(), await bus.connect()];
  const holder = await bus.connectPolicyHolder("c.d", [grant.world(abi.POLICY.SEE)]);
  const endpoint = await bus.makeEndpoint();
  await owner.acquire("a.b");
  await watcher.addMatch();

  await waiter.acquire("a.b", QUEUE);
  await waiter.release("a.b");
  await holder.update([item.name("e.f"), grant.world(abi.POLICY.OWN)]);
  await endpoint.update([item.name("a.b"), grant.world(abi.POLICY.TALK)]);
  await endpoint.update([]);
  await expectErrno(watcher.recv(), "EAGAIN");

  const activator = await bus.connectActivator("a.b");
  expect(await heard(watcher)).toEqual([{ kind: "ID_ADD", id: activator.id, flags: HELLO_ACTIVATOR | ACCEPT_FD }]);
});

test("NOTE-014 notifications have a quota of their own and are counted when lost", covers("NOTE-014"), async ({ bus }) => {
  const [sender, name, watcher] = [await bus.connect(), await bus.connect(), await bus.connect({ pool: 4 << 20 })];
  await watch(watcher, nameRules());
  for (let turn = 0; turn < 128; turn++) {
    await name.acquire("a.b");
    await name.release("a.b");
  }

  await sender.send(watcher, { cookie: 4711 });
  await name.acquire("a.b");
  await name.release("a.b");
  await name.acquire("a.b");

  const messages = await watcher.recvAll();
  expect(messages[0]?.droppedMsgs).toBe(3n);
  expect(messages.filter(({ notification }) => notification !== undefined)).toHaveLength(256);
  expect(messages.map(({ header }) => header.cookie).filter((cookie) => cookie !== 0n)).toEqual([4711n]);
});

test("NOTE-018 a custom endpoint passes ID_* and the names that it shows", covers("NOTE-018"), async ({ bus }) => {
  const owner = await bus.connect();
  const endpoint = await bus.makeEndpoint();
  await endpoint.update([item.name("seen.name"), grant.world(abi.POLICY.SEE)]);
  const blind = await (await bus.makeEndpoint({ name: "blind" })).connect();
  const inside = await endpoint.connect();
  for (const listener of [inside, blind]) await watch(listener, [...nameRules(), ...idRules()]);

  for (const name of ["seen.name", "hidden.name"]) {
    await owner.acquire(name);
    await owner.release(name);
  }
  const late = await bus.connect();
  await late.close();

  const ids = [{ kind: "ID_ADD", id: late.id }, { kind: "ID_REMOVE", id: late.id }];
  expect(await heard(inside)).toMatchObject([{ kind: "NAME_ADD", name: "seen.name" }, { kind: "NAME_REMOVE", name: "seen.name" }, ...ids]);
  expect(await heard(blind)).toMatchObject(ids);
});
