import { abi, concat, cookies, covers, encodeStruct, expect, expectErrno, heard, item, string, test, watch, type Connection, type Item, type Note } from "../../support/index.ts";

const { NAME_ADD, NAME_REMOVE, NAME_CHANGE, ID_ADD, ID_REMOVE } = abi.ITEM;
const { ALLOW_REPLACEMENT, REPLACE_EXISTING, QUEUE } = abi.NAME;
const ANY = abi.MATCH_ID_ANY;
const kinds = (notes: readonly Note[]): string[] => notes.map(({ kind }) => kind);

test("MATCH-001 without matches no signal and no notification arrives", covers("MATCH-001"), async ({ bus }) => {
  const [sender, deaf, listener] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await listener.addMatch();

  await sender.broadcast();
  await sender.send(deaf, { bloom: { filter: sender.bloomOnes() } });
  await sender.acquire("a.b");
  await sender.release("a.b");
  await (await bus.connect()).close();

  expect((await listener.recvAll()).length).toBe(5); // a signal, two NAME_* and two ID_*
  await expectErrno(deaf.recv(), "EAGAIN");
});

test("MATCH-002 all rules of a match must fit, one match is enough, and several deliver once", covers("MATCH-002"), async ({ bus }) => {
  const [owner, other, receiver] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await owner.acquire("a.b");
  await receiver.addMatch([item.id(owner.id), item.name("a.b")]);
  await receiver.addMatch([item.id(ANY), item.id(owner.id)]);
  await receiver.addMatch([item.id(other.id), item.name("a.b")]);

  await owner.broadcast({ cookie: 1 });
  await other.broadcast({ cookie: 2 });

  expect(await cookies(receiver)).toEqual([1n]);
});

test("MATCH-002 one rule that does not fit is enough, wherever it stands in the match", covers("MATCH-002"), async ({ bus }) => {
  const [owner, other] = [await bus.connect(), await bus.connect()];
  await owner.acquire("a.b");
  const fitting = [item.id(owner.id), item.name("a.b"), item.bloomMask(new Uint8Array(owner.bloomSize()))];
  const receivers = [await bus.connect(), await bus.connect(), await bus.connect(), await bus.connect(), await bus.connect()] as const;
  const [all, ...strict] = receivers;
  await all.addMatch(fitting);
  for (const [place, receiver] of strict.entries()) await receiver.addMatch(fitting.toSpliced(place, 0, item.id(other.id)));

  await owner.broadcast({ cookie: 1 });

  const seen: bigint[][] = [];
  for (const receiver of receivers) seen.push(await cookies(receiver));
  expect(seen).toEqual([[1n], [], [], [], []]);
});

test("MATCH-003 a match without rules fits signals and notifications", covers("MATCH-003"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await receiver.addMatch();

  await sender.broadcast({ bloom: { filter: new Uint8Array(sender.bloomSize()) } });
  await sender.acquire("a.b", ALLOW_REPLACEMENT);
  const other = await bus.connect();
  await other.acquire("a.b", REPLACE_EXISTING);
  await other.release("a.b");
  await other.close();

  expect(kinds(await heard(receiver))).toEqual(["no notification", "NAME_ADD", "ID_ADD", "NAME_CHANGE", "NAME_REMOVE", "ID_REMOVE"]);
});

test("MATCH-004 an ID rule fits signals of that sender", covers("MATCH-004"), async ({ bus }) => {
  const [one, two, receiver, catcher] = [await bus.connect(), await bus.connect(), await bus.connect(), await bus.connect()];
  await receiver.addMatch([item.id(two.id)]);
  await catcher.addMatch([item.id(ANY)]);

  await one.broadcast({ cookie: 1 });
  await two.broadcast({ cookie: 2 });
  await two.acquire("a.b");
  await two.close();

  expect(await cookies(receiver)).toEqual([2n]);
  expect(await cookies(catcher)).toEqual([1n, 2n]);
});

test("MATCH-005 a NAME rule fits signals of the owner of that moment", covers("MATCH-005"), async ({ bus }) => {
  const [owner, waiter, stranger, receiver] = [await bus.connect(), await bus.connect(), await bus.connect(), await bus.connect()];
  await owner.acquire("a.b");
  await owner.acquire("c.d");
  await waiter.acquire("a.b", QUEUE);
  await receiver.addMatch([item.name("a.b")]);

  for (const [index, sender] of [owner, waiter, stranger].entries()) await sender.broadcast({ cookie: index + 1 });
  await owner.release("a.b");
  for (const [index, sender] of [owner, waiter, stranger].entries()) await sender.broadcast({ cookie: index + 11 });

  expect(await cookies(receiver)).toEqual([1n, 12n]);
});

test("MATCH-012 NAME_* rules fit notifications of their type with equal ids and name", covers("MATCH-012"), async ({ bus }) => {
  const [one, two] = [await bus.connect(), await bus.connect()];
  const third = await bus.connect();
  const events = [["NAME_ADD", 0n, one.id], ["NAME_CHANGE", one.id, two.id], ["NAME_REMOVE", two.id, 0n]] as const;
  const rules: { readonly type: number; readonly old: bigint; readonly new: bigint; readonly name?: string; readonly fits: string[] }[] = events.flatMap(([kind, before, after]) => {
    const type = abi.ITEM[kind];
    return [
      { type, old: ANY, new: ANY, fits: [kind] },
      { type, old: ANY, new: ANY, name: "a.b", fits: [kind] },
      { type, old: before, new: after, name: "a.b", fits: [kind] },
      { type, old: before, new: after, fits: [kind] },
      { type, old: ANY, new: ANY, name: "a.c", fits: [] },
      { type, old: third.id, new: ANY, name: "a.b", fits: [] },
      { type, old: ANY, new: third.id, name: "a.b", fits: [] },
      { type, old: after, new: before, fits: [] },
    ];
  });
  const listeners: Connection[] = [];
  for (const rule of rules) {
    const listener = await bus.connect({ pool: 65536 });
    await listener.addMatch([item.nameChange(rule.type, rule.old, rule.new, rule.name)]);
    listeners.push(listener);
  }

  await one.acquire("a.b", ALLOW_REPLACEMENT);
  await two.acquire("a.b", REPLACE_EXISTING);
  await two.release("a.b");

  const seen: string[][] = [];
  for (const listener of listeners) seen.push(kinds(await heard(listener)));
  expect(seen).toEqual(rules.map(({ fits }) => fits));
});

test("MATCH-013 ID_* rules fit notifications of their type and id", covers("MATCH-013"), async ({ bus }) => {
  const present = await bus.connect();
  const other = await bus.connect();
  const rules = [[ID_ADD, ANY], [ID_REMOVE, ANY], [ID_REMOVE, present.id], [ID_ADD, present.id], [ID_REMOVE, other.id], [ID_ADD, other.id]] as const;
  const listeners: Connection[] = [];
  for (const [type, id] of rules) {
    const listener = await bus.connect({ pool: 65536 });
    await listener.addMatch([item.idChange(type, id)]);
    listeners.push(listener);
  }
  // ids grow, with gaps perhaps; one of these will be that of the next connection
  const exact = await bus.connect();
  const guesses = Array.from({ length: 64 }, (_, index) => exact.id + BigInt(index + 1));
  for (const id of guesses) await exact.addMatch([item.idChange(ID_ADD, id)]);

  const late = await bus.connect();
  await present.close();

  expect(guesses).toContain(late.id);
  const seen: string[][] = [];
  for (const listener of [...listeners, exact]) seen.push((await heard(listener)).map((note) => ("id" in note ? `${note.kind} ${note.id}` : note.kind)));
  const added = [...listeners.slice(1), exact, late].map(({ id }) => `ID_ADD ${id}`);
  const removed = [`ID_REMOVE ${present.id}`];
  expect(seen).toEqual([added, removed, removed, [], [], [], [`ID_ADD ${late.id}`]]);
});

test("MATCH-014 rules for signals and for notifications together fit nothing", covers("MATCH-014"), async ({ bus }) => {
  const [sender, receiver, control] = [await bus.connect(), await bus.connect(), await bus.connect()];
  const add = item.nameChange(NAME_ADD, ANY, ANY);
  await receiver.addMatch([item.id(ANY), add]);
  await receiver.addMatch([item.bloomMask(new Uint8Array(sender.bloomSize())), item.idChange(ID_ADD, ANY)]);
  await receiver.addMatch([add, item.nameChange(NAME_REMOVE, ANY, ANY)]);
  await receiver.addMatch([add, item.idChange(ID_ADD, ANY)]);
  await receiver.addMatch([item.idChange(ID_ADD, ANY), item.idChange(ID_REMOVE, ANY)]);
  await watch(control, [item.id(ANY), add, item.nameChange(NAME_REMOVE, ANY, ANY), item.idChange(ID_ADD, ANY), item.idChange(ID_REMOVE, ANY)]);

  await sender.broadcast();
  await sender.acquire("a.b");
  await sender.release("a.b");
  await (await bus.connect()).close();

  expect(kinds(await heard(control))).toEqual(["no notification", "NAME_ADD", "NAME_REMOVE", "ID_ADD", "ID_REMOVE"]);
  expect(kinds(await heard(receiver))).toEqual([]);
});

test("MATCH-015 flags in the change records of rules mean nothing", covers("MATCH-015"), async ({ bus }) => {
  const [owner, receiver] = [await bus.connect(), await bus.connect()];
  const record = (id: bigint, flags: bigint): ReturnType<typeof encodeStruct> => encodeStruct("notify_id_change", { id, flags });
  const rule = (type: number, before: bigint, after: bigint): Item => ({ type, payload: concat([record(before, 0xdead_beefn), record(after, ~0n), string("a.b")]) });
  await watch(receiver, [rule(NAME_ADD, 0n, owner.id), rule(NAME_REMOVE, owner.id, 0n), { type: ID_ADD, payload: record(ANY, 0x5555n) }, { type: ID_REMOVE, payload: record(ANY, ~0n) }]);
  await watch(receiver, [rule(NAME_CHANGE, owner.id, receiver.id)]);

  await owner.acquire("a.b", ALLOW_REPLACEMENT);
  await receiver.acquire("a.b", REPLACE_EXISTING);
  await receiver.release("a.b");
  await owner.acquire("a.b");
  await owner.release("a.b");
  await (await bus.connect()).close();

  expect(kinds(await heard(receiver))).toEqual(["NAME_ADD", "NAME_CHANGE", "NAME_ADD", "NAME_REMOVE", "ID_ADD", "ID_REMOVE"]);
});
