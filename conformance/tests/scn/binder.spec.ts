import { createHash } from "node:crypto";
import {
  abi, attachFlags, BinderEnd, binderDevice, covers, dbusBroker, DbusEnd, expect, expectErrno, expectTwin, forkOf, item, payloadBytes, REQUEST_NAME, test,
  type Connection, type DbusReceived, type Process,
} from "../../support/index.ts"; // prettier-ignore

// One client, one server, the same observations over the bus, over binder, and over D-Bus where the scenario exists there.
// The bus is judged first: a kernel without binder still shows what its bus does wrong.

const pattern = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, index) => (index * 31 + (index >> 8)) & 0xff);
const hash = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const NAME = "test.service";
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
const bytesOf = (message: DbusReceived): Uint8Array => (message.args[0] instanceof Uint8Array ? message.args[0] : new Uint8Array(0));

/** Server, which is the context manager, and client at one binder device. */
async function binderEnds(device: string, server: Process, client: Process): Promise<readonly [BinderEnd, BinderEnd]> {
  const ends = [await BinderEnd.open(server, device), await BinderEnd.open(client, device)] as const;
  expect(await ends[0].becomeManager()).toBeNull();
  return ends;
}

/** The same at the system bus, where the server owns {@link NAME}. */
async function dbusEnds(server: Process, client: Process): Promise<readonly [DbusEnd, DbusEnd]> {
  const ends = [await DbusEnd.open(server), await DbusEnd.open(client)] as const;
  expect(await ends[0].requestName(NAME)).toBe(REQUEST_NAME.PRIMARY_OWNER);
  return ends;
}

for (const size of [0, 1, 4096, 512 * 1024]) {
  test(`SCN-001 a blocking call with ${size} bytes returns the server's answer, as with binder`, covers("SCN-001"), async ({ bus, spawn, agent, root }) => {
    const data = pattern(size);
    const payload = size === 0 ? {} : { payload: data };
    const pool = 16 << 20;
    const server = await bus.connect({ by: await spawn({ label: "server" }), pool });
    const client = await bus.connect({ by: await spawn({ label: "client" }), pool });
    await server.acquire(NAME);
    const call = await client.startCall(NAME, { ...payload, at: server });
    const request = await server.recv();
    const asked = payloadBytes(request);
    await server.reply(request, size === 0 ? {} : { payload: asked.toReversed() });
    const answer = payloadBytes(await call.done);
    const overBus = { outcome: "answered", asked: hash(asked), answer: hash(answer) };
    expect(overBus).toEqual({ outcome: "answered", asked: hash(data), answer: hash(data.toReversed()) });

    const [serverEnd, clientEnd] = await binderEnds(await binderDevice(agent, root), server.process, client.process);
    const twin = await clientEnd.startCall(data);
    const transaction = (await serverEnd.take()).find((one) => one.kind === "transaction")!;
    const got = await serverEnd.bytes(transaction);
    await serverEnd.reply(transaction, got.toReversed());
    const { returns, data: back } = await twin.done;
    expectTwin("binder", { outcome: returns.some((one) => one.kind === "reply") ? "answered" : "refused", asked: hash(got), answer: hash(back) }, overBus);

    if (!(await dbusBroker(agent, root, NAME))) return;
    const [dbusServer, dbusClient] = await dbusEnds(server.process, client.process);
    const serial = await dbusClient.call(NAME, [data]);
    const third = await dbusServer.receive();
    await dbusServer.reply(third, [bytesOf(third).toReversed()]);
    const end = await dbusClient.answerTo(serial);
    expectTwin("D-Bus", { outcome: end.type === "return" ? "answered" : "refused", asked: hash(bytesOf(third)), answer: hash(bytesOf(end)) }, overBus);
  });
}

test("SCN-002 a server is found by name and a second one refused, as with binder's context manager", covers("SCN-002"), async ({ bus, spawn, agent, root }) => {
  const [first, second, client] = [await bus.connect({ by: await spawn({ label: "first" }) }), await bus.connect({ by: await spawn({ label: "second" }) }), await bus.connect()];
  await first.acquire(NAME);
  const refusal = await second.acquire(NAME).then(() => null, (error: { errno?: string }) => error.errno); // prettier-ignore
  await client.send(NAME, { cookie: 7 });
  const overBus = { found: (await first.recv()).header.cookie === 7n ? "the first" : "another", second: refusal };
  expect(overBus).toEqual({ found: "the first", second: "EEXIST" });

  const [firstEnd, clientEnd] = await binderEnds(await binderDevice(agent, root), first.process, client.process);
  const secondEnd = await BinderEnd.open(second.process, "/dev/binderfs/twin");
  const refused = await secondEnd.becomeManager();
  await clientEnd.oneWay(Uint8Array.of(7));
  const came = (await firstEnd.take()).find((one) => one.kind === "transaction");
  expectTwin("binder", { found: came === undefined ? "another" : "the first", second: refused }, overBus, { second: { shows: "EBUSY", because: "a second context manager is refused with EBUSY" } });

  if (!(await dbusBroker(agent, root, NAME))) return;
  const [dbusFirst, dbusClient] = await dbusEnds(first.process, client.process);
  const answer = await (await DbusEnd.open(second.process)).requestName(NAME);
  await dbusClient.call(NAME, [7]);
  const found = (await dbusFirst.receive()).args[0] === 7 ? "the first" : "another";
  expectTwin("D-Bus", { found, second: answer }, overBus, { second: { shows: REQUEST_NAME.EXISTS, because: "RequestName answers with a number of its own" } });
});

test("SCN-003 1000 one-way messages return at once and are handled in order, as with binder", covers("SCN-003"), async ({ bus, spawn, agent, root }) => {
  const [server, client] = [await bus.connect({ by: await spawn({ label: "server" }), pool: 16 << 20 }), await bus.connect({ by: await spawn({ label: "client" }) })];
  const handled: number[] = [];
  for (let round = 0; round < 4; round++) {
    const { sent, errno } = await client.flood(server, 250, { cookie: BigInt(round * 250 + 1), payload: "one-way" });
    expect({ sent, errno }, "none waits for the server").toEqual({ sent: 250, errno: null });
    handled.push(...(await server.recvAll()).map((message) => Number(message.header.cookie)));
  }
  expect(handled).toEqual(upTo(1000));

  const [serverEnd, clientEnd] = await binderEnds(await binderDevice(agent, root), server.process, client.process);
  const twin: number[] = [];
  for (let count = 1; count <= 50; count++) expect((await clientEnd.oneWay(Uint8Array.of(count))).map((one) => one.kind)).toEqual(["complete"]);
  while (twin.length < 50) {
    for (const one of (await serverEnd.take()).filter((entry) => entry.kind === "transaction")) {
      twin.push((await serverEnd.bytes(one))[0] ?? 0);
      await serverEnd.free(one);
    }
  }
  expectTwin("binder", { order: twin }, { order: handled.slice(0, 50) });

  if (!(await dbusBroker(agent, root, NAME))) return;
  const [dbusServer, dbusClient] = await dbusEnds(server.process, client.process);
  await dbusClient.flood(NAME, 1000, "call");
  const third: number[] = [];
  while (third.length < 1000) third.push(Number((await dbusServer.receive()).args[0]));
  expectTwin("D-Bus", { order: third }, { order: handled });
});

test("SCN-005 the death of a watched server is told once, after its last message, as with binder", covers("SCN-005"), async ({ bus, spawn, agent, root }) => {
  const server = await bus.connect({ by: await spawn({ label: "server" }) });
  const client = await bus.connect({ by: await spawn({ label: "client" }) });
  await client.addMatch([item.idChange(abi.ITEM.ID_REMOVE, server.id)]);
  await server.flood(client, 100, { payload: "last words" });
  await server.process.kill();
  await client.poll(5000, 1);
  const seen = await client.recvAll();
  const overBus = { before: seen.slice(0, 100).map((message) => Number(message.header.cookie)), deaths: seen.slice(100).length };
  expect(overBus).toEqual({ before: upTo(100), deaths: 1 });
  expect(seen.slice(100).map((message) => message.notification)).toEqual([{ kind: "ID_REMOVE", id: server.id, flags: expect.anything() as unknown }]);

  const binderServer = await spawn({ label: "binder server" });
  const [, clientEnd] = await binderEnds(await binderDevice(agent, root), binderServer, client.process);
  await clientEnd.watchManager();
  await binderServer.kill();
  const deaths = (await clientEnd.take()).filter((one) => one.kind === "dead binder").length;
  expectTwin("binder", { deaths }, { deaths: overBus.deaths });

  if (!(await dbusBroker(agent, root, NAME))) return;
  const dbusServerProcess = await spawn({ label: "D-Bus server" });
  const [dbusServer, dbusClient] = await dbusEnds(dbusServerProcess, client.process);
  await dbusClient.watch(dbusServer.name);
  await dbusServer.flood(dbusClient.name, 100, "signal");
  await dbusServerProcess.kill();
  const heard: DbusReceived[] = [];
  while (heard.at(-1)?.member !== "NameOwnerChanged") heard.push(await dbusClient.receive());
  await dbusClient.ask("GetId"); // what the driver had to say before is here now
  heard.push(...dbusClient.received());
  const third = { before: heard.filter(({ member }) => member === "Count").map(({ args }) => args[0]), deaths: heard.slice(100).filter(({ args }) => args[0] === dbusServer.name && args[2] === "").length };
  expectTwin("D-Bus", third, overBus);
});

for (const when of ["before the call", "before it reads", "after it read"] as const) {
  test(`SCN-006 a server that dies ${when} gives the caller an error, as with binder`, covers("SCN-006"), async ({ bus, spawn, agent, root }) => {
    const server = await bus.connect({ by: await spawn({ label: "server" }) });
    const client = await bus.connect({ by: await spawn({ label: "client" }) });
    await server.acquire(NAME);
    // the deadline is the limit: a caller that is not told of the death gets ETIMEDOUT after 5 s
    if (when === "before the call") {
      await server.process.kill();
      await expectErrno(client.call(server.id, { expectReplyMs: 5000 }), "ENXIO");
      await expectErrno(client.call(NAME, { expectReplyMs: 5000 }), "ESRCH");
    } else {
      const call = await client.startCall(NAME, { expectReplyMs: 5000, at: server });
      if (when === "after it read") await server.recv();
      await server.process.kill();
      await expectErrno(call.done, "EPIPE");
    }
    const overBus = { caller: "is told" };

    const binderServer = await spawn({ label: "binder server" });
    const [serverEnd, clientEnd] = await binderEnds(await binderDevice(agent, root), binderServer, client.process);
    if (when === "before the call") await binderServer.kill();
    const twin = await clientEnd.startCall(pattern(8));
    if (when === "after it read") await serverEnd.take();
    if (when !== "before the call") await binderServer.kill();
    const end = (await twin.done).returns.at(-1)?.kind ?? "nothing";
    expectTwin("binder", { caller: /^(dead|failed) reply$/.test(end) ? "is told" : `gets ${end}` }, overBus);

    if (!(await dbusBroker(agent, root, NAME))) return;
    const dbusServerProcess = await spawn({ label: "D-Bus server" });
    const [dbusServer, dbusClient] = await dbusEnds(dbusServerProcess, client.process);
    if (when === "before the call") await dbusServerProcess.kill();
    const serial = await dbusClient.call(NAME);
    if (when === "after it read") await dbusServer.receive();
    if (when !== "before the call") await dbusServerProcess.kill();
    const { type, errorName } = await dbusClient.answerTo(serial);
    const told = type === "error" && /\.(ServiceUnknown|NameHasNoOwner|NoReply)$/.test(errorName ?? "");
    expectTwin("D-Bus", { caller: told ? "is told" : `gets ${type} ${errorName ?? ""}` }, overBus);
  });
}

for (const where of ["in the same namespace", "in a child user namespace"] as const) {
  test(`SCN-007 the server sees uid and process of a caller ${where} as binder reports them`, covers("SCN-007"), async ({ bus, spawn, agent, root }) => {
    const server = await bus.connect({ by: await spawn({ label: "server" }), attachRecv: attachFlags(["CREDS", "PIDS"]) });
    const user = await spawn({ uid: 1234, gid: 1234, label: "user" });
    await bus.connectPolicyHolder(NAME, [{ ...item.policyAccess(abi.POLICY_TYPE.WORLD, abi.POLICY.TALK) }]);
    await server.acquire(NAME);
    const process = where === "in the same namespace" ? await spawn({ label: "client" }) : await forkOf(user, { namespaces: ["user"], uidMap: [[0, 1234, 1]], gidMap: [[0, 1234, 1]], uid: 0, gid: 0, label: "client" });
    const client: Connection = await bus.connect({ by: process });
    if (where === "in the same namespace") await process.must("setresuid", 4321, 1234, 0);
    const call = await client.startCall(NAME, { at: server });
    const request = await server.recv();
    await server.reply(request);
    await call.done;
    const overBus = { euid: Number(request.metadata.creds?.euid), pid: Number(request.metadata.pids?.pid) };
    expect(overBus).toEqual({ euid: 1234, pid: process.peer.pid });

    const [serverEnd, clientEnd] = await binderEnds(await binderDevice(agent, root), server.process, process);
    const twin = await clientEnd.startCall(pattern(8));
    const transaction = (await serverEnd.take()).find((one) => one.kind === "transaction")!;
    await serverEnd.reply(transaction, pattern(8));
    await twin.done;
    expectTwin("binder", { euid: transaction.euid, pid: transaction.pid }, overBus);

    if (!(await dbusBroker(agent, root, NAME))) return;
    const [dbusServer, dbusClient] = await dbusEnds(server.process, process);
    await dbusClient.call(NAME);
    const { sender = "" } = await dbusServer.receive();
    const asked = async (what: string): Promise<unknown> => (await dbusServer.ask(what, sender)).args[0];
    expectTwin("D-Bus", { euid: await asked("GetConnectionUnixUser"), pid: await asked("GetConnectionUnixProcessID") }, overBus);
  });
}

test("SCN-008 pipes travel in a call and in its answer, close-on-exec, as with binder", covers("SCN-008"), async ({ bus, spawn, agent, root }) => {
  const server = await bus.connect({ by: await spawn({ label: "server" }) });
  const client = await bus.connect({ by: await spawn({ label: "client" }) });
  const [there, back] = [await client.process.pipe(), await server.process.pipe()];
  /** What came out of each pipe at the other side. */
  const travelled = async (atServer: number, atClient: number): Promise<Record<string, string>> => {
    const seen: Record<string, string> = {};
    for (const [side, process, fd] of [["server", server.process, atServer], ["client", client.process, atClient]] as const) {
      const closed = ((await process.must("fcntl", fd, 1)) & 1n) === 1n;
      seen[side] = `${new TextDecoder().decode(await process.read(fd, 32))}${closed ? ", close-on-exec" : ""}`;
    }
    return seen;
  };
  const fill = async (): Promise<void> => {
    await client.process.write(there.write, "to the server");
    await server.process.write(back.write, "to the client");
  };

  await fill();
  const call = await client.startCall(server, { fds: [there.read] });
  const request = await server.recv();
  await server.reply(request, { fds: [back.read] });
  const answer = await call.done;
  const overBus = await travelled(request.fds?.[0] ?? -1, answer.fds?.[0] ?? -1);
  expect(overBus).toEqual({ server: "to the server, close-on-exec", client: "to the client, close-on-exec" });

  const [serverEnd, clientEnd] = await binderEnds(await binderDevice(agent, root), server.process, client.process);
  await fill();
  const twin = await clientEnd.startCall(pattern(8), [there.read]);
  const transaction = (await serverEnd.take()).find((one) => one.kind === "transaction")!;
  const twinAtServer = await serverEnd.descriptor(transaction);
  await serverEnd.reply(transaction, pattern(8), [back.read]);
  const reply = (await twin.done).returns.find((one) => one.kind === "reply")!;
  expectTwin("binder", await travelled(twinAtServer, await clientEnd.descriptor(reply)), overBus);

  if (!(await dbusBroker(agent, root, NAME))) return;
  const [dbusServer, dbusClient] = await dbusEnds(server.process, client.process);
  await fill();
  const serial = await dbusClient.call(NAME, [{ fd: 0 }], [there.read]);
  const third = await dbusServer.receive();
  await dbusServer.reply(third, [{ fd: 0 }], [back.read]);
  const { descriptors } = await dbusClient.answerTo(serial);
  expectTwin("D-Bus", await travelled(third.descriptors[0] ?? -1, descriptors[0] ?? -1), overBus);
});

test("SCN-011 a server that does not read makes senders fail at once, as with binder, until it reads", covers("SCN-011"), async ({ bus, spawn, agent, root }) => {
  const server = await bus.connect({ by: await spawn({ label: "server" }) });
  const client = await bus.connect({ by: await spawn({ label: "client" }) });
  const full = await client.flood(server, 1000, { payload: pattern(4096) });
  await server.recvAll();
  const call = await client.startCall(server);
  await server.reply(await server.recv());
  await call.done;
  expect(["ENOBUFS", "EXFULL"]).toContain(full.errno);
  expect(full.sent).toBeGreaterThan(0);

  // no D-Bus here: its daemon takes half a gigabyte for a user before it refuses anything
  const [, clientEnd] = await binderEnds(await binderDevice(agent, root), server.process, client.process);
  let last = "complete";
  for (let count = 0; count < 300 && last === "complete"; count++) last = (await clientEnd.oneWay(pattern(65536))).at(-1)?.kind ?? "nothing";
  expectTwin("binder", { sender: last === "failed reply" ? "is refused" : `gets ${last}` }, { sender: "is refused" });
});
