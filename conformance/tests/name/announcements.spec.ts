import { abi, covers, entries, expect, heard, nameRules, test, watch } from "../../support/index.ts";

const { ALLOW_REPLACEMENT, REPLACE_EXISTING, QUEUE, ACQUIRED } = abi.NAME;

test("NAME-027 the first owner of a name is announced by NAME_ADD", covers("NAME-027"), async ({ bus }) => {
  const [owner, watcher] = [await bus.connect(), await bus.connect()];
  await watch(watcher, nameRules());

  await owner.acquire("a.b");

  const notes = await heard(watcher);
  expect(notes).toMatchObject([{ kind: "NAME_ADD", name: "a.b", old: [0n, 0n] }]);
  expect(notes.map((note) => "new" in note && note.new[0])).toEqual([owner.id]);
});

test("NAME-028 a change of owner is one NAME_CHANGE and nothing else", covers("NAME-028"), async ({ bus }) => {
  const [owner, other, waiter, watcher] = [await bus.connect(), await bus.connect(), await bus.connect(), await bus.connect()];
  const activator = await bus.connectActivator("started.name");
  await owner.acquire("a.b", ALLOW_REPLACEMENT);
  await watch(watcher, nameRules());

  await other.acquire("a.b", REPLACE_EXISTING);
  await waiter.acquire("a.b", QUEUE);
  await other.release("a.b");
  await owner.acquire("started.name");

  const changes = (await heard(watcher)).map((note) => ("old" in note ? [note.kind, note.name, note.old[0], note.new[0]] : [note.kind]));
  expect(changes).toEqual([
    ["NAME_CHANGE", "a.b", owner.id, other.id],
    ["NAME_CHANGE", "a.b", other.id, waiter.id],
    ["NAME_CHANGE", "started.name", activator.id, owner.id],
  ]);
});

for (const end of ["release", "close", "byebye"] as const) {
  test(`NAME-029 the end of the last owner by ${end} is announced by NAME_REMOVE`, covers("NAME-029"), async ({ bus }) => {
    const [owner, watcher] = [await bus.connect(), await bus.connect()];
    await owner.acquire("a.b");
    await watch(watcher, nameRules());

    if (end === "release") await owner.release("a.b");
    else await owner[end]();

    const notes = await heard(watcher);
    expect(notes).toMatchObject([{ kind: "NAME_REMOVE", name: "a.b", new: [0n, 0n] }]);
    expect(notes.map((note) => "old" in note && note.old[0])).toEqual([owner.id]);
  });
}

test("NAME-072 a replacement shows the flags of both owners", covers("NAME-072"), async ({ bus, generation }) => {
  const [owner, other, watcher] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await owner.acquire("a.b", 0x7n);
  await watch(watcher, nameRules());

  await other.acquire("a.b", REPLACE_EXISTING);

  const [before, after] = generation === "2015-08" ? [0x26n, 0x20n] : [0x7n, 0x1n];
  expect(await heard(watcher)).toEqual([{ kind: "NAME_CHANGE", name: "a.b", old: [owner.id, before], new: [other.id, after] }]);
});

test("NAME-063 the flags of an owner are PRIMARY and what it remembered, wherever they are shown", covers("NAME-063"), async ({ bus }) => {
  const [owner, watcher] = [await bus.connect(), await bus.connect({ attachRecv: abi.ATTACH.NAMES })];
  await watch(watcher, nameRules());

  await owner.acquire("a.b", 0x7n);

  expect(await heard(watcher)).toEqual([{ kind: "NAME_ADD", name: "a.b", old: [0n, 0n], new: [owner.id, 0x26n] }]);
  expect(await entries(watcher, abi.LIST.NAMES)).toEqual([{ id: owner.id, name: "a.b", flags: 0x26n }]);
  expect((await watcher.info(owner, abi.ATTACH.NAMES)).metadata.names).toEqual([{ name: "a.b", flags: 0x26n }]);
  await owner.send(watcher);
  expect((await watcher.recv()).metadata.names).toEqual([{ name: "a.b", flags: 0x26n }]);
});

test("NAME-065 ACQUIRED is shown by NAME_ACQUIRE only", covers("NAME-065"), async ({ bus }) => {
  const [owner, waiter, watcher] = [await bus.connect(), await bus.connect(), await bus.connect({ attachRecv: abi.ATTACH.NAMES })];
  await watch(watcher, nameRules());

  const returned = [await owner.acquire("a.b", QUEUE | ALLOW_REPLACEMENT), await waiter.acquire("a.b", QUEUE), await waiter.acquire("a.b", REPLACE_EXISTING | QUEUE)];
  expect(returned.map((flags) => flags & ACQUIRED)).toEqual([ACQUIRED, ACQUIRED, ACQUIRED]);

  await waiter.send(watcher, { cookie: 99 });
  const messages = await watcher.recvAll();
  const shown = [
    ...(await entries(watcher, abi.LIST.NAMES | abi.LIST.QUEUED)).map((entry) => entry.flags ?? 0n),
    ...(await watcher.info(waiter, abi.ATTACH.NAMES)).metadata.names.map((name) => name.flags),
    ...messages.flatMap(({ metadata }) => metadata.names.map((name) => name.flags)),
    ...messages.flatMap(({ notification }) => (notification !== undefined && "oldId" in notification ? [notification.oldId.flags, notification.newId.flags] : [])),
  ];
  expect(shown).toHaveLength(2 + 1 + 1 + 4);
  expect(shown.filter((flags) => (flags & ACQUIRED) !== 0n)).toEqual([]);
});
