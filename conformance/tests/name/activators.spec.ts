import { abi, cookies, covers, entries, expect, expectErrno, expectResult, heard, nameRules, ownerOf, test, tryRelease, watch } from "../../support/index.ts";

const { ACTIVATOR, IN_QUEUE, PRIMARY, QUEUE } = abi.NAME;
const POLLIN = 0x1;

test("NAME-030 an activator of a free name owns it at once", covers("NAME-030"), async ({ bus }) => {
  const watcher = await bus.connect();
  await watch(watcher, nameRules());

  const activator = await bus.connectActivator("a.b");

  const notes = await heard(watcher);
  expect(notes).toMatchObject([{ kind: "NAME_ADD", name: "a.b", old: [0n, 0n] }]);
  const [id, flags] = notes.flatMap((note) => ("new" in note ? [note.new] : []))[0] ?? [0n, 0n];
  expect([id, flags & ACTIVATOR]).toEqual([activator.id, ACTIVATOR]);
  expect((await watcher.info("a.b")).id).toBe(activator.id);
});

test("NAME-031 an activator of an owned name changes nothing for now", covers("NAME-031"), async ({ bus }) => {
  const [owner, watcher] = [await bus.connect(), await bus.connect()];
  await owner.acquire("a.b");
  await watch(watcher, nameRules());

  const activator = await bus.connectActivator("a.b");

  expect(await heard(watcher)).toEqual([]);
  expect(await ownerOf(watcher, "a.b")).toBe(owner.id);
  await owner.release("a.b"); // it is the fallback
  expect((await watcher.info("a.b")).id).toBe(activator.id);
});

test("NAME-032 a name is taken from its activator without any flag", covers("NAME-032"), async ({ bus }) => {
  await bus.connectActivator("a.b");
  const owner = await bus.connect();

  await owner.acquire("a.b");

  expect(await ownerOf(owner, "a.b")).toBe(owner.id);
});

test("NAME-033 messages queued at the activator move to the new owner", covers("NAME-033"), async ({ bus }) => {
  const activator = await bus.connectActivator("a.b");
  const [sender, owner] = [await bus.connect(), await bus.connect()];
  for (const cookie of [1, 2, 3]) await sender.send("a.b", { cookie });

  await owner.acquire("a.b");

  expect(await cookies(owner)).toEqual([1n, 2n, 3n]);
  await expectErrno(activator.recv(), "EAGAIN");
});

for (const end of ["releases the name", "disconnects"] as const) {
  test(`NAME-034 the name and its unread messages go back to the activator when the owner ${end}`, covers("NAME-034"), async ({ bus }) => {
    const activator = await bus.connectActivator("a.b");
    const [sender, owner, watcher] = [await bus.connect(), await bus.connect(), await bus.connect()];
    await owner.acquire("a.b");
    for (const cookie of [1, 2, 3]) await sender.send("a.b", { cookie });
    expect((await owner.recv()).header.cookie).toBe(1n);
    expect((await activator.poll()) & POLLIN).toBe(0);
    await watch(watcher, nameRules());

    if (end === "disconnects") await owner.close();
    else await owner.release("a.b");

    expect((await activator.poll()) & POLLIN).toBe(POLLIN);
    expect(await cookies(activator)).toEqual([2n, 3n]);
    const changes = (await heard(watcher)).map((note) => ("old" in note ? [note.kind, note.name, note.old[0], note.new[0]] : [note.kind]));
    expect(changes).toEqual([["NAME_CHANGE", "a.b", owner.id, activator.id]]);
    expect((await sender.info("a.b")).id).toBe(activator.id);
  });
}

test("NAME-035 only messages addressed to the name move back", covers("NAME-035"), async ({ bus }) => {
  const activator = await bus.connectActivator("a.b");
  const [sender, owner] = [await bus.connect(), await bus.connect()];
  await owner.acquire("a.b");
  await owner.acquire("other.name");
  await sender.send(owner, { cookie: 1 });
  await sender.send("a.b", { cookie: 2 });
  await sender.send("other.name", { cookie: 3 });
  await sender.send("a.b", { cookie: 4 });

  await owner.release("a.b");

  expect(await cookies(activator)).toEqual([2n, 4n]);
  expect(await cookies(owner)).toEqual([1n, 3n]);
});

test("NAME-036 a waiting connection is next, before the activator", covers("NAME-036"), async ({ bus }) => {
  const activator = await bus.connectActivator("a.b");
  const [owner, waiter] = [await bus.connect(), await bus.connect()];
  await owner.acquire("a.b");
  await waiter.acquire("a.b", QUEUE);

  await owner.release("a.b");
  expect(await ownerOf(owner, "a.b")).toBe(waiter.id);
  await waiter.release("a.b");

  expect((await owner.info("a.b")).id).toBe(activator.id);
});

test("NAME-037 a message with descriptors is lost on the way to an owner that takes none", covers("NAME-037"), async ({ bus, root }) => {
  await bus.connectActivator("a.b");
  const [sender, owner] = [await bus.connect(), await bus.connect({ flags: 0n })];
  const { read } = await root.pipe();
  await sender.send("a.b", { cookie: 1, fds: [read] });
  await sender.send("a.b", { cookie: 2 });

  await owner.acquire("a.b");

  const { errno, command } = await owner.tryRecv();
  expect({ errno, lost: command.dropped_msgs, flags: command.return_flags & abi.RECV_RETURN.DROPPED_MSGS }).toEqual({ errno: null, lost: 1n, flags: abi.RECV_RETURN.DROPPED_MSGS });
  await expectErrno(owner.recv(), "EAGAIN");
});

test("NAME-037 a message larger than the pool of the new owner is lost", covers("NAME-037"), async ({ bus }) => {
  await bus.connectActivator("a.b");
  const [sender, owner] = [await bus.connect(), await bus.connect({ pool: 4096 })];
  await sender.send("a.b", { cookie: 1, payload: "x".repeat(8192) });

  await owner.acquire("a.b");

  const { errno, command } = await owner.tryRecv();
  expect({ errno, lost: command.dropped_msgs, flags: command.return_flags & abi.RECV_RETURN.DROPPED_MSGS }).toEqual({ errno: "EAGAIN", lost: 1n, flags: abi.RECV_RETURN.DROPPED_MSGS });
});

test("NAME-037 a message beyond the sender's quota at the new owner is lost", covers("NAME-037"), async ({ bus }) => {
  await bus.connectActivator("a.b");
  const [sender, owner] = [await bus.connect(), await bus.connect()];
  await sender.send("a.b", { cookie: 4711 });
  const { sent, errno } = await sender.flood(owner, 1000);
  expect(errno).toBe("ENOBUFS");

  await owner.acquire("a.b");

  const first = await owner.recv();
  expect(first.droppedMsgs).toBe(1n);
  const rest = await cookies(owner);
  expect([first.header.cookie, ...rest].filter((cookie) => cookie === 4711n)).toEqual([]);
  expect(rest).toHaveLength(sent - 1);
});

test("NAME-038 the new owner answers what was asked of the activator", covers("NAME-038"), async ({ bus }) => {
  await bus.connectActivator("a.b");
  const [client, owner] = [await bus.connect(), await bus.connect()];
  const { cookie } = await client.send("a.b", { expectReplyMs: 600_000 });

  await owner.acquire("a.b");
  await owner.reply(await owner.recv(), { payload: "answer" });

  const reply = await client.recv();
  expect([reply.header.src_id, reply.header.cookie_reply]).toEqual([owner.id, cookie]);
});

test("NAME-038 a synchronous call of the name is answered by the new owner", covers("NAME-038"), async ({ bus }) => {
  const activator = await bus.connectActivator("a.b");
  const [client, owner] = [await bus.connect(), await bus.connect()];
  const call = await client.startCall("a.b", { expectReplyMs: 600_000, at: activator });

  await owner.acquire("a.b");
  await owner.reply(await owner.recv());

  expect((await call.done).header.src_id).toBe(owner.id);
});

test("NAME-039 the end of a fallback activator leaves the name with its owner", covers("NAME-039"), async ({ bus }) => {
  const activator = await bus.connectActivator("a.b");
  const [owner, watcher] = [await bus.connect(), await bus.connect()];
  await owner.acquire("a.b");
  await watch(watcher, nameRules());

  await activator.close();
  expect(await heard(watcher)).toEqual([]);
  expect(await ownerOf(watcher, "a.b")).toBe(owner.id);
  await owner.release("a.b");

  const notes = await heard(watcher);
  expect(notes.map((note) => ("old" in note ? [note.kind, note.old[0], note.new[0]] : [note.kind]))).toEqual([["NAME_REMOVE", owner.id, 0n]]);
});

test("NAME-040 the end of an activator that owns its name removes the name", covers("NAME-040"), async ({ bus }) => {
  const activator = await bus.connectActivator("a.b");
  const watcher = await bus.connect();
  await watch(watcher, nameRules());

  await activator.close();

  const notes = await heard(watcher);
  expect(notes.map((note) => ("old" in note ? [note.kind, note.name, note.old[0], note.new[0]] : [note.kind]))).toEqual([["NAME_REMOVE", "a.b", activator.id, 0n]]);
  expectResult(await tryRelease(watcher, "a.b"), "ESRCH");
});

test("NAME-067 an activator is PRIMARY while it owns the name and IN_QUEUE otherwise", covers("NAME-067"), async ({ bus }) => {
  const activator = await bus.connectActivator("a.b");
  const [owner, watcher] = [await bus.connect(), await bus.connect()];
  await watch(watcher, nameRules());
  const listed = (): Promise<unknown> => entries(watcher, abi.LIST.ACTIVATORS);

  expect(await listed()).toEqual([{ id: activator.id, name: "a.b", flags: ACTIVATOR | PRIMARY }]);
  await owner.acquire("a.b");
  expect(await listed()).toEqual([{ id: activator.id, name: "a.b", flags: ACTIVATOR | IN_QUEUE }]);
  await owner.release("a.b");
  expect(await listed()).toEqual([{ id: activator.id, name: "a.b", flags: ACTIVATOR | PRIMARY }]);

  expect(await heard(watcher)).toEqual([
    { kind: "NAME_CHANGE", name: "a.b", old: [activator.id, ACTIVATOR | PRIMARY], new: [owner.id, PRIMARY] },
    { kind: "NAME_CHANGE", name: "a.b", old: [owner.id, PRIMARY], new: [activator.id, ACTIVATOR | PRIMARY] },
  ]);
});
