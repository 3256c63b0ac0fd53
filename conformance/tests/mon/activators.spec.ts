import { abi, cookies, covers, encodeCommand, expect, expectErrno, expectResult, heard, item, memory, nameRules, ownerOf, payloadText, pipeProbe, test, UNMAPPED, watch } from "../../support/index.ts";

const { ACTIVATOR, POLICY_HOLDER, MONITOR } = abi.HELLO;
const POLLIN = 0x1;

test("MON-013 a name belongs to the HELLO of activators and policy holders only", covers("MON-013"), async ({ bus }) => {
  for (const flags of [ACTIVATOR, POLICY_HOLDER]) {
    await expectErrno(bus.connect({ flags }), "EINVAL");
    await (await bus.connect({ flags, items: [item.name("a.b")] })).close();
  }
  for (const flags of [0n, MONITOR]) {
    await expectErrno(bus.connect({ flags, items: [item.name("a.b")] }), "EINVAL");
    await (await bus.connect({ flags })).close();
  }
});

test("MON-014 messages to the name queue at the activator, which may peek, take and drop them", covers("MON-014"), async ({ bus }) => {
  const activator = await bus.connectActivator("a.b");
  const sender = await bus.connect();
  expect((await activator.poll()) & POLLIN).toBe(0);

  for (const cookie of [1, 2, 3]) await sender.send("a.b", { cookie });

  expect((await activator.poll()) & POLLIN).toBe(POLLIN);
  expect((await activator.peek()).header.cookie).toBe(1n);
  expect((await activator.recv()).header.cookie).toBe(1n);
  await activator.drop();
  expect((await activator.recv()).header.cookie).toBe(3n);
  await expectErrno(activator.recv(), "EAGAIN");
  expect((await activator.poll()) & POLLIN).toBe(0);
});

test("MON-015 what an activator cannot do", covers("MON-015"), async ({ bus }) => {
  const activator = await bus.connectActivator("a.b");

  for (const name of ["SEND", "MATCH_ADD", "MATCH_REMOVE", "NAME_ACQUIRE", "NAME_RELEASE", "BYEBYE"] as const) {
    expectResult(await activator.ioctl(name, UNMAPPED), "EOPNOTSUPP");
    expectResult(await activator.ioctl(name, encodeCommand(name, {}, name.startsWith("NAME") ? [item.name("a.b")] : [])), "EOPNOTSUPP");
  }
  await expectErrno(activator.update([item.attachFlagsSend(abi.ATTACH_ALL)]), "EOPNOTSUPP");
  await activator.update([item.attachFlagsRecv(abi.ATTACH_ALL)]);
});

for (const holder of ["the activator", "an implementer"] as const) {
  test(`MON-016 a second activator is refused while ${holder} holds the name`, covers("MON-016"), async ({ bus }) => {
    const first = await bus.connectActivator("a.b");
    const [sender, owner, watcher] = [await bus.connect(), await bus.connect(), await bus.connect()];
    if (holder === "an implementer") await owner.acquire("a.b");
    await watcher.addMatch();

    await expectErrno(bus.connectActivator("a.b"), "EEXIST");

    expect(await heard(watcher)).toEqual([]);
    await sender.send("a.b", { cookie: 1 });
    expect(await cookies(holder === "an implementer" ? owner : first)).toEqual([1n]);
    if (holder === "an implementer") await owner.release("a.b");
    await sender.send("a.b", { cookie: 2 });
    expect(await cookies(first)).toEqual([2n]);
  });
}

test("MON-017 a service takes the name and everything that waited for it", covers("MON-017"), async ({ bus }) => {
  const activator = await bus.connectActivator("a.b");
  const [sender, owner] = [await bus.connect(), await bus.connect()];
  for (let cookie = 1; cookie <= 10; cookie++) await sender.send("a.b", { cookie });
  await activator.peek();

  await owner.acquire("a.b");

  expect(await cookies(owner)).toEqual(Array.from({ length: 10 }, (_, index) => BigInt(index + 1)));
  expect(await cookies(activator)).toEqual([]);
});

test("MON-018 moved messages keep all they have and can be answered", covers("MON-018"), async ({ bus, root }) => {
  const masks = { attachRecv: abi.ATTACH.CREDS | abi.ATTACH.CONN_DESCRIPTION };
  await bus.connectActivator("a.b", masks);
  const [sender, owner] = [await bus.connect({ description: "asking" }), await bus.connect(masks)];
  const probe = await pipeProbe(root);

  await sender.send("a.b", { cookie: 4711, priority: 5, payload: "with a pipe", fds: [probe.write], expectReplyMs: 600_000 });
  await owner.acquire("a.b");

  const message = await owner.recv();
  const { header, metadata, fds } = message;
  expect([header.src_id, header.cookie, header.priority, payloadText(message)]).toEqual([sender.id, 4711n, 5n, "with a pipe"]);
  expect([metadata.creds?.uid, metadata.description, message.dstName]).toEqual([0n, "asking", "a.b"]);
  expect(fds).toHaveLength(1);
  await root.must("write", fds?.[0] ?? -1, memory("through"), 7);
  expect(new TextDecoder().decode(await root.read(probe.read, 7))).toBe("through");
  await owner.reply(message, { payload: "answer" });
  const reply = await sender.recv();
  expect([reply.header.cookie_reply, reply.header.src_id, payloadText(reply)]).toEqual([4711n, owner.id, "answer"]);
});

for (const end of ["releases the name", "ends"] as const) {
  test(`MON-019 the activator gets unread messages to the name when the implementer ${end}`, covers("MON-019"), async ({ bus }) => {
    const activator = await bus.connectActivator("a.b");
    const [sender, owner] = [await bus.connect(), await bus.connect()];
    await owner.acquire("a.b");
    for (let cookie = 1; cookie <= 6; cookie++) await sender.send(cookie % 2 === 0 ? "a.b" : owner, { cookie });

    if (end === "ends") await owner.close();
    else await owner.release("a.b");

    expect(await cookies(activator)).toEqual([2n, 4n, 6n]);
    if (end !== "ends") expect(await cookies(owner)).toEqual([1n, 3n, 5n]);
    await sender.send("a.b", { cookie: 7 });
    expect(await cookies(activator)).toEqual([7n]);
  });
}

test("MON-020 who waits for the name comes before the activator", covers("MON-020"), async ({ bus }) => {
  const activator = await bus.connectActivator("a.b");
  const [sender, owner, waiter] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await owner.acquire("a.b");
  await waiter.acquire("a.b", abi.NAME.QUEUE);
  await sender.send("a.b", { cookie: 1 });

  await owner.release("a.b");
  await sender.send("a.b", { cookie: 2 });

  expect(await ownerOf(sender, "a.b")).toBe(waiter.id);
  expect([await cookies(owner), await cookies(waiter), await cookies(activator)]).toEqual([[1n], [2n], []]);
});

test("MON-021 what the new owner cannot take is lost there and counted", covers("MON-021"), async ({ bus, root }) => {
  for (const name of ["small.pool", "no.descriptors"]) await bus.connectActivator(name);
  const [sender, small, without] = [await bus.connect(), await bus.connect({ pool: 4096 }), await bus.connect({ flags: 0n })];
  const { read } = await root.pipe();
  await sender.send("small.pool", { cookie: 1, payload: "x".repeat(8192) });
  await sender.send("small.pool", { cookie: 2, payload: "small" });
  await sender.send("no.descriptors", { cookie: 3, fds: [read] });
  await sender.send("no.descriptors", { cookie: 4 });

  await small.acquire("small.pool");
  await without.acquire("no.descriptors");

  for (const [owner, cookie] of [[small, 2n], [without, 4n]] as const) {
    const { header, droppedMsgs } = await owner.recv();
    expect([header.cookie, droppedMsgs]).toEqual([cookie, 1n]);
    await expectErrno(owner.recv(), "EAGAIN");
  }
});

test("MON-022 the sender of a request lost on the way is told", covers("MON-022"), async ({ bus }) => {
  const activator = await bus.connectActivator("a.b");
  const [client, caller, owner] = [await bus.connect(), await bus.connect(), await bus.connect({ pool: 4096 })];
  const large = { payload: "x".repeat(8192), expectReplyMs: 600_000 };
  const { cookie } = await client.send("a.b", large);
  const call = await caller.startCall("a.b", { ...large, at: activator });

  await owner.acquire("a.b");

  const told = await client.recvWithin(5000);
  expect([told.notification?.kind, told.header.cookie_reply]).toEqual(["REPLY_DEAD", cookie]);
  await expectErrno(call.done, "EPIPE");
});

test("MON-023 the end of an activator that holds the name is told to all who wait", covers("MON-023"), async ({ bus }) => {
  const activator = await bus.connectActivator("a.b");
  const [client, caller, watcher] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await watch(watcher, nameRules());
  const { cookie } = await client.send("a.b", { expectReplyMs: 600_000 });
  const call = await caller.startCall("a.b", { expectReplyMs: 600_000, at: activator });

  await activator.close();

  expect(await heard(watcher)).toMatchObject([{ kind: "NAME_REMOVE", name: "a.b", new: [0n, 0n] }]);
  const told = await client.recv();
  expect([told.notification?.kind, told.header.cookie_reply]).toEqual(["REPLY_DEAD", cookie]);
  await expectErrno(call.done, "EPIPE");
});

test("MON-023 the end of a fallback activator leaves the implementer alone", covers("MON-023"), async ({ bus }) => {
  const activator = await bus.connectActivator("a.b");
  const [client, owner, watcher] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await client.send("a.b", { cookie: 11, expectReplyMs: 600_000 });
  await owner.acquire("a.b");
  await watch(watcher, nameRules());

  await activator.close();

  expect(await heard(watcher)).toEqual([]);
  await expectErrno(client.recv(), "EAGAIN");
  await client.send("a.b", { cookie: 12 });
  const [request, plain] = await owner.recvAll();
  expect([request?.header.cookie, plain?.header.cookie]).toEqual([11n, 12n]);
  if (request !== undefined) await owner.reply(request);
  expect((await client.recv()).header.cookie_reply).toBe(11n);
});
