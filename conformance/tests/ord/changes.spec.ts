import { abi, covers, encodeCommand, expect, expectOrdered, History, item, memory, MESSAGE_AT, prepareSend, Script, ScriptResult, test, type Connection, type Message } from "../../support/index.ts";

/** What a watcher saw, in words. */
const story = (messages: readonly Message[]): string[] => messages.map(({ header, notification }) => (notification === undefined ? `message ${header.cookie}` : `${notification.kind}${"name" in notification ? ` ${notification.name}` : ""}`));
const cookies = (messages: readonly Message[]): number[] => messages.filter(({ notification }) => notification === undefined).map(({ header }) => Number(header.cookie));

test("ORD-011 messages and name changes of one caller keep their order", covers("ORD-011"), async ({ bus }) => {
  const [watcher, sender] = [await bus.connect(), await bus.connect()];
  await watcher.addMatch();
  const bloom = { filter: sender.bloomOnes() };
  const [one, two, three, four] = [
    await prepareSend(sender, watcher, { cookie: 1 }),
    await prepareSend(sender, "broadcast", { cookie: 2, bloom }),
    await prepareSend(sender, watcher, { cookie: 3 }),
    await prepareSend(sender, "broadcast", { cookie: 4, bloom }),
  ];
  const script = new Script();
  const name = memory(encodeCommand("NAME_ACQUIRE", {}, [item.name("test.name")]));
  script.repeat(10, () => {
    for (const send of [one, two]) send.step(script);
    script.ioctl(sender.fd, abi.COMMANDS.NAME_ACQUIRE, name);
    for (const send of [three, four]) send.step(script);
    return script.ioctl(sender.fd, abi.COMMANDS.NAME_RELEASE, name);
  }, { add: [one, two, three, four].map(({ message }) => ({ memory: message, at: MESSAGE_AT.cookie, by: 4 })) }); // prettier-ignore
  await sender.process.run(script);

  const received = await watcher.recvAll();
  const history = new History();
  const log = history.thread("sender");
  for (let cookie = 1; cookie <= 40; cookie += 4) {
    log.send(sender, watcher, cookie).send(sender, "everybody", cookie + 1).announce(["NAME_ADD test.name"]);
    log.send(sender, watcher, cookie + 2).send(sender, "everybody", cookie + 3).announce(["NAME_REMOVE test.name"]);
  }
  expectOrdered(history.view(watcher, received));
  expect(story(received)).toEqual(
    Array.from({ length: 10 }, (_, turn) => {
      const pair = (from: number): string[] => [`message ${4 * turn + from}`, `message ${4 * turn + from + 1}`];
      return [...pair(1), "NAME_ADD test.name", ...pair(3), "NAME_REMOVE test.name"];
    }).flat(),
  );
});

for (const end of ["close", "SIGKILL"] as const) {
  test(`ORD-012 what a connection sent comes before its end by ${end}`, covers("ORD-012"), async ({ bus, spawn }) => {
    const watcher = await bus.connect();
    const sender = await bus.connect({ by: await spawn({ label: "sender" }) });
    await sender.acquire("test.name");
    await watcher.addMatch();
    await sender.flood("broadcast", 50, { bloom: { filter: sender.bloomOnes() } });
    await sender.flood(watcher, 50, { cookie: 51 });

    if (end === "close") await sender.close();
    else await sender.process.kill();

    const received = await watcher.recvAll();
    const history = new History();
    const log = history.thread("sender");
    for (let cookie = 1; cookie <= 100; cookie++) log.send(sender, cookie <= 50 ? "everybody" : watcher, cookie);
    log.ends(sender, { names: ["NAME_REMOVE test.name"] });
    expectOrdered(history.view(watcher, received));
    const seen = story(received);
    expect(seen).toEqual([...Array.from({ length: 100 }, (_, index) => `message ${index + 1}`), "NAME_REMOVE test.name", "ID_REMOVE"]);
  });
}

test("ORD-013 a peer hears of names, then of its request, then of the id", covers("ORD-013"), async ({ bus, spawn }) => {
  const client = await bus.connect();
  const service = await bus.connect({ by: await spawn({ label: "service" }) });
  const heir = await bus.connect();
  await service.acquire("test.lost");
  await service.acquire("test.inherited");
  await heir.acquire("test.inherited", abi.NAME.QUEUE);
  const { cookie } = await client.send(service, { expectReplyMs: 600_000 });
  await client.addMatch();

  await service.process.kill();

  const received = await client.recvAll();
  const history = new History();
  history.thread("service").ends(service, { names: ["NAME_REMOVE test.lost", "NAME_CHANGE test.inherited"], requests: [cookie] });
  expectOrdered(history.view(client, received));
  const seen = story(received);
  expect([...seen].sort()).toEqual(["ID_REMOVE", "NAME_CHANGE test.inherited", "NAME_REMOVE test.lost", "REPLY_DEAD"]);
  expect(seen.slice(2)).toEqual(["REPLY_DEAD", "ID_REMOVE"]);
});

test("ORD-014 a replacement splits the messages to a name at its moment", covers("ORD-014"), async ({ bus, spawn }) => {
  const [sender, old, heir] = [await bus.connect({ by: await spawn({ label: "sender" }) }), await bus.connect(), await bus.connect()];
  await old.acquire("test.name", abi.NAME.ALLOW_REPLACEMENT);
  await sender.flood("test.name", 20, { cookie: 1 });
  await heir.acquire("test.name", abi.NAME.REPLACE_EXISTING);
  await sender.flood("test.name", 20, { cookie: 21 });

  const [toOld, toHeir] = [await old.recvAll(), await heir.recvAll()];
  const history = new History();
  const log = history.thread("test").takes(old, "test.name");
  for (let cookie = 1; cookie <= 20; cookie++) log.send(sender, "test.name", cookie);
  log.takes(heir, "test.name");
  for (let cookie = 21; cookie <= 40; cookie++) log.send(sender, "test.name", cookie);
  expectOrdered(history.view(old, toOld).view(heir, toHeir));
  expect(cookies(toOld)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
  expect(cookies(toHeir)).toEqual(Array.from({ length: 20 }, (_, index) => index + 21));
});

test("ORD-014 a replacement during a stream splits it once", covers({ cpus: 2 }, "ORD-014"), async ({ bus, spawn }) => {
  const TURNS = 200;
  const [sender, old, heir] = [await bus.connect({ by: await spawn({ label: "sender" }) }), await bus.connect(), await bus.connect()];
  await old.acquire("test.name", abi.NAME.ALLOW_REPLACEMENT);
  const send = await prepareSend(sender, "test.name", { cookie: 1 });
  const sending = new Script();
  const counter = sending.program.arena(64);
  sending.repeat(TURNS, () => {
    const { call } = send.step(sending);
    sending.program.fetchAdd(counter, 1);
    return call;
  }, { add: [{ memory: send.message, at: MESSAGE_AT.cookie, by: 1 }] }); // prettier-ignore
  const replacing = new Script();
  const [begun, done] = [replacing.program.arena(64), memory(encodeCommand("NAME_ACQUIRE", { flags: abi.NAME.REPLACE_EXISTING }, [item.name("test.name")]))];
  replacing.program.waitFor(begun, ">=", 30, { timeoutMs: 10_000 });
  const before = replacing.program.load(begun);
  replacing.ioctl(heir.fd, abi.COMMANDS.NAME_ACQUIRE, done);
  const after = replacing.program.load(begun);

  const [started, replaced] = [sender.process.peer.start(sending.program), await heir.process.run(replacing)];
  await started.result;

  const [oldView, heirView] = [await old.recvAll(), await heir.recvAll()];
  const history = new History();
  const [stream, change] = [history.thread("sender").takes(old, "test.name"), history.thread("heir")];
  const [finished, seenAfter] = [Number(replaced.result.value(before)), Number(replaced.result.value(after))];
  for (let cookie = 1; cookie <= TURNS; cookie++) {
    if (cookie === seenAfter + 2) stream.take("replaced"); // one SEND may have been under way when the command returned
    stream.send(sender, "test.name", cookie);
    if (cookie === finished) stream.give("finished");
  }
  change.take("finished").takes(heir, "test.name").give("replaced");
  expectOrdered(history.view(old, oldView).view(heir, heirView));
  const [toOld, toHeir] = [cookies(oldView), cookies(heirView)];
  expect([...toOld, ...toHeir]).toEqual(Array.from({ length: TURNS }, (_, index) => index + 1));
  // finished before the command began: the old owner's; begun after it returned: the heir's (one SEND may have been under way)
  expect(toOld.length).toBeGreaterThanOrEqual(Number(replaced.result.value(before)));
  expect(toOld.length).toBeLessThanOrEqual(Number(replaced.result.value(after)) + 1);
});

const numbered = async (from: Connection, first: number, count: number): Promise<void> => void expect((await from.flood("test.name", count, { cookie: BigInt(first) })).sent).toBe(count);

test("ORD-015 messages waiting at an activator reach the implementer first and in order", covers("ORD-015"), async ({ bus }) => {
  const activator = await bus.connectActivator("test.name");
  const [sender, implementer] = [await bus.connect(), await bus.connect()];
  await numbered(sender, 1, 30);

  await implementer.acquire("test.name");
  await numbered(sender, 31, 10);

  const [moved, left] = [await implementer.recvAll(), await activator.recvAll()];
  const history = new History();
  const log = history.thread("test").takes(activator, "test.name");
  for (let cookie = 1; cookie <= 30; cookie++) log.send(sender, "test.name", cookie);
  log.takes(implementer, "test.name", { moves: true });
  for (let cookie = 31; cookie <= 40; cookie++) log.send(sender, "test.name", cookie);
  expectOrdered(history.view(implementer, moved).view(activator, left));
  expect(cookies(moved)).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
  expect(left).toEqual([]);
});

test("ORD-015 a stream to a name goes on in order while the implementer takes over", covers({ cpus: 2 }, "ORD-015", "ORD-006"), async ({ bus, spawn }) => {
  const TURNS = 200;
  const activator = await bus.connectActivator("test.name");
  const [sender, implementer] = [await bus.connect({ by: await spawn({ label: "sender" }) }), await bus.connect()];
  const send = await prepareSend(sender, "test.name", { cookie: 1 });
  const sending = new Script();
  const counter = sending.program.arena(64);
  const calls: ReturnType<Script["ioctl"]>[] = [];
  sending.repeat(TURNS, () => {
    calls[0] = send.step(sending).call;
    sending.program.fetchAdd(counter, 1);
    return calls[0];
  }, { add: [{ memory: send.message, at: MESSAGE_AT.cookie, by: 1 }] }); // prettier-ignore
  const taking = new Script();
  taking.program.waitFor(taking.program.arena(64), ">=", 50, { timeoutMs: 10_000 });
  const acquire = taking.ioctl(implementer.fd, abi.COMMANDS.NAME_ACQUIRE, memory(encodeCommand("NAME_ACQUIRE", {}, [item.name("test.name")])));

  const [started, taken] = [sender.process.peer.start(sending.program), await implementer.process.run(taking)];
  const sent = new ScriptResult(await started.result);

  expect(taken.of(acquire).errno).toBeNull();
  expect(sent.all(calls[0] as ReturnType<Script["ioctl"]>).filter(({ errno }) => errno !== null)).toEqual([]);
  const [moved, left] = [await implementer.recvAll(), await activator.recvAll()];
  const history = new History();
  const [stream, change] = [history.thread("sender").takes(activator, "test.name"), history.thread("implementer")];
  for (let cookie = 1; cookie <= TURNS; cookie++) {
    stream.send(sender, "test.name", cookie);
    if (cookie === 50) stream.give("fifty are sent");
  }
  change.take("fifty are sent").takes(implementer, "test.name", { moves: true });
  expectOrdered(history.view(implementer, moved).view(activator, left));
  expect(cookies(moved)).toEqual(Array.from({ length: TURNS }, (_, index) => index + 1));
  expect(left).toEqual([]);
});

test("ORD-015 what was queued at the implementer before stays ahead of what moves to it", covers("ORD-015"), async ({ bus }) => {
  const activator = await bus.connectActivator("test.name");
  const [sender, implementer] = [await bus.connect(), await bus.connect()];
  await numbered(sender, 1, 3);
  await sender.send(implementer, { cookie: 100 });

  await implementer.acquire("test.name");

  const received = await implementer.recvAll();
  const history = new History();
  const log = history.thread("test").takes(activator, "test.name");
  for (let cookie = 1; cookie <= 3; cookie++) log.send(sender, "test.name", cookie);
  log.send(sender, implementer, 100).takes(implementer, "test.name", { moves: true });
  expectOrdered(history.view(implementer, received).view(activator, await activator.recvAll()));
  expect(cookies(received)).toEqual([100, 1, 2, 3]);
});

test("ORD-016 messages handed back to an activator keep their order", covers("ORD-016"), async ({ bus }) => {
  const activator = await bus.connectActivator("test.name");
  const [sender, implementer] = [await bus.connect(), await bus.connect()];
  await implementer.acquire("test.name");
  await numbered(sender, 1, 25);
  const read = [];
  for (let count = 0; count < 5; count++) read.push(await implementer.recv());

  await implementer.release("test.name");
  await numbered(sender, 26, 5);

  const [back, left] = [await activator.recvAll(), await implementer.recvAll()];
  const history = new History();
  const log = history.thread("test").takes(activator, "test.name", { moves: true }).takes(implementer, "test.name");
  for (let cookie = 1; cookie <= 25; cookie++) log.send(sender, "test.name", cookie);
  log.takes(activator, "test.name", { moves: true });
  for (let cookie = 26; cookie <= 30; cookie++) log.send(sender, "test.name", cookie);
  expectOrdered(history.view(implementer, [...read, ...left]).view(activator, back));
  expect(cookies(back)).toEqual(Array.from({ length: 25 }, (_, index) => index + 6));
  expect(left).toEqual([]);
});

test("ORD-019 a synchronous reply is returned without reading what came before", covers("ORD-019"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  const call = await client.startCall(server);
  const request = await server.recv();
  await server.send(client, { cookie: 1 });

  await server.reply(request, { cookie: 2 });

  expect((await call.done).header.cookie).toBe(2n);
  expect(cookies(await client.recvAll())).toEqual([1]);
});
