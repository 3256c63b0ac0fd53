import { createHash } from "node:crypto";
import { abi, attachFlags, BinderEnd, binderDevice, covers, expect, expectErrno, forkOf, item, payloadBytes, test, type Connection } from "../../support/index.ts";

// One client, one server, the same observations over the bus and over binder.

const pattern = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, index) => (index * 31 + (index >> 8)) & 0xff);
const hash = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const NAME = "test.service";

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

    const device = await binderDevice(agent, root);
    const [serverEnd, clientEnd] = [await BinderEnd.open(server.process, device), await BinderEnd.open(client.process, device)];
    expect(await serverEnd.becomeManager()).toBeNull();
    const twin = await clientEnd.startCall(data);
    const transaction = (await serverEnd.take()).find((one) => one.kind === "transaction")!;
    const got = await serverEnd.bytes(transaction);
    await serverEnd.reply(transaction, got.toReversed());
    const { returns, data: back } = await twin.done;
    const overBinder = { outcome: returns.some((one) => one.kind === "reply") ? "answered" : "refused", asked: hash(got), answer: hash(back) };

    expect(overBus).toEqual({ outcome: "answered", asked: hash(data), answer: hash(data.toReversed()) });
    expect(overBinder).toEqual(overBus);
  });
}

test("SCN-002 a server is found by name and a second one refused, as with binder's context manager", covers("SCN-002"), async ({ bus, spawn, agent, root }) => {
  const [first, second, client] = [await bus.connect({ by: await spawn({ label: "first" }) }), await bus.connect({ by: await spawn({ label: "second" }) }), await bus.connect()];
  await first.acquire(NAME);
  const refusal = await second.acquire(NAME).then(() => null, (error: { errno?: string }) => error.errno); // prettier-ignore
  await client.send(NAME, { cookie: 7 });

  const device = await binderDevice(agent, root);
  const [firstEnd, secondEnd] = [await BinderEnd.open(first.process, device), await BinderEnd.open(second.process, device)];

  expect(refusal).toBe("EEXIST");
  expect((await first.recv()).header.cookie).toBe(7n);
  expect([await firstEnd.becomeManager(), await secondEnd.becomeManager()]).toEqual([null, "EBUSY"]);
});

test("SCN-003 1000 one-way messages return at once and are handled in order, as with binder", covers("SCN-003"), async ({ bus, spawn, agent, root }) => {
  const [server, client] = [await bus.connect({ by: await spawn({ label: "server" }), pool: 16 << 20 }), await bus.connect({ by: await spawn({ label: "client" }) })];
  const handled: bigint[] = [];
  for (let round = 0; round < 4; round++) {
    const { sent, errno } = await client.flood(server, 250, { cookie: BigInt(round * 250 + 1), payload: "one-way" });
    expect({ sent, errno }, "none waits for the server").toEqual({ sent: 250, errno: null });
    handled.push(...(await server.recvAll()).map((message) => message.header.cookie));
  }

  const device = await binderDevice(agent, root);
  const [serverEnd, clientEnd] = [await BinderEnd.open(server.process, device), await BinderEnd.open(client.process, device)];
  await serverEnd.becomeManager();
  const twin: bigint[] = [];
  for (let count = 1; count <= 50; count++) expect((await clientEnd.oneWay(Uint8Array.of(count))).map((one) => one.kind)).toEqual(["complete"]);
  while (twin.length < 50) {
    for (const one of (await serverEnd.take()).filter((entry) => entry.kind === "transaction")) {
      twin.push(BigInt((await serverEnd.bytes(one))[0] ?? 0));
      await serverEnd.free(one);
    }
  }

  expect(handled).toEqual(Array.from({ length: 1000 }, (_, index) => BigInt(index + 1)));
  expect(twin).toEqual(handled.slice(0, 50));
});

test("SCN-005 the death of a watched server is told once, after its last message, as with binder", covers("SCN-005"), async ({ bus, spawn, agent, root }) => {
  const server = await bus.connect({ by: await spawn({ label: "server" }) });
  const client = await bus.connect({ by: await spawn({ label: "client" }) });
  await client.addMatch([item.idChange(abi.ITEM.ID_REMOVE, server.id)]);
  const device = await binderDevice(agent, root);
  const [serverEnd, clientEnd] = [await BinderEnd.open(server.process, device), await BinderEnd.open(client.process, device)];
  await serverEnd.becomeManager();
  await clientEnd.watchManager();
  await server.flood(client, 100, { payload: "last words" });

  await server.process.kill();
  await client.poll(5000, 1);
  const seen = await client.recvAll();
  const deaths = (await clientEnd.take()).filter((one) => one.kind === "dead binder");

  expect(seen.slice(0, 100).map((message) => message.header.cookie)).toEqual(Array.from({ length: 100 }, (_, index) => BigInt(index + 1)));
  expect(seen.slice(100).map((message) => message.notification)).toEqual([{ kind: "ID_REMOVE", id: server.id, flags: expect.anything() as unknown }]);
  expect(deaths).toHaveLength(1);
});

for (const when of ["before the call", "before it reads", "after it read"] as const) {
  test(`SCN-006 a server that dies ${when} gives the caller an error, as with binder`, covers("SCN-006"), async ({ bus, spawn, agent, root }) => {
    const server = await bus.connect({ by: await spawn({ label: "server" }) });
    const client = await bus.connect({ by: await spawn({ label: "client" }) });
    await server.acquire(NAME);
    const device = await binderDevice(agent, root);
    const [serverEnd, clientEnd] = [await BinderEnd.open(server.process, device), await BinderEnd.open(client.process, device)];
    await serverEnd.becomeManager();

    // the deadline is the limit: a caller that is not told of the death gets ETIMEDOUT after 5 s
    if (when === "before the call") {
      await server.process.kill();
      await expectErrno(client.call(server.id, { expectReplyMs: 5000 }), "ENXIO");
      await expectErrno(client.call(NAME, { expectReplyMs: 5000 }), "ESRCH");
      expect((await (await clientEnd.startCall(pattern(8))).done).returns.at(-1)?.kind).toMatch(/^(dead|failed) reply$/);
      return;
    }
    const call = await client.startCall(NAME, { expectReplyMs: 5000, at: server });
    const twin = await clientEnd.startCall(pattern(8));
    if (when === "after it read") {
      await server.recv();
      await serverEnd.take();
    }
    await server.process.kill();

    await expectErrno(call.done, "EPIPE");
    expect((await twin.done).returns.map((one) => one.kind)).toContain("dead reply");
  });
}

for (const where of ["in the same namespace", "in a child user namespace"] as const) {
  test(`SCN-007 the server sees uid and process of a caller ${where} as binder reports them`, covers("SCN-007"), async ({ bus, spawn, agent, root }) => {
    const server = await bus.connect({ by: await spawn({ label: "server" }), attachRecv: attachFlags(["CREDS", "PIDS"]) });
    const user = await spawn({ uid: 1234, gid: 1234, label: "user" });
    const device = await binderDevice(agent, root);
    const serverEnd = await BinderEnd.open(server.process, device);
    await serverEnd.becomeManager();
    await bus.connectPolicyHolder(NAME, [{ ...item.policyAccess(abi.POLICY_TYPE.WORLD, abi.POLICY.TALK) }]);
    await server.acquire(NAME);
    const process = where === "in the same namespace" ? await spawn({ label: "client" }) : await forkOf(user, { namespaces: ["user"], uidMap: [[0, 1234, 1]], gidMap: [[0, 1234, 1]], uid: 0, gid: 0, label: "client" });
    const client: Connection = await bus.connect({ by: process });
    if (where === "in the same namespace") await process.must("setresuid", 4321, 1234, 0);
    const clientEnd = await BinderEnd.open(process, device);

    const call = await client.startCall(NAME, { at: server });
    const request = await server.recv();
    await server.reply(request);
    await call.done;
    const twin = await clientEnd.startCall(pattern(8));
    const transaction = (await serverEnd.take()).find((one) => one.kind === "transaction")!;
    await serverEnd.reply(transaction, pattern(8));
    await twin.done;

    const overBus = { euid: Number(request.metadata.creds?.euid), pid: Number(request.metadata.pids?.pid) };
    expect(overBus).toEqual({ euid: 1234, pid: process.peer.pid });
    expect({ euid: transaction.euid, pid: transaction.pid }).toEqual(overBus);
  });
}

test("SCN-008 pipes travel in a call and in its answer, close-on-exec, as with binder", covers("SCN-008"), async ({ bus, spawn, agent, root }) => {
  const server = await bus.connect({ by: await spawn({ label: "server" }) });
  const client = await bus.connect({ by: await spawn({ label: "client" }) });
  const [there, back] = [await client.process.pipe(), await server.process.pipe()];
  const closeOnExec = async (of: Connection, fd: number): Promise<bigint> => (await of.process.must("fcntl", fd, 1)) & 1n;
  const text = async (of: Connection, fd: number): Promise<string> => new TextDecoder().decode(await of.process.read(fd, 32));
  await client.process.write(there.write, "to the server");
  await server.process.write(back.write, "to the client");

  const call = await client.startCall(server, { fds: [there.read] });
  const request = await server.recv();
  await server.reply(request, { fds: [back.read] });
  const answer = await call.done;
  const [atServer, atClient] = [request.fds?.[0] ?? -1, answer.fds?.[0] ?? -1];
  const overBus = [await text(server, atServer), await closeOnExec(server, atServer), await text(client, atClient), await closeOnExec(client, atClient)];

  const device = await binderDevice(agent, root);
  const [serverEnd, clientEnd] = [await BinderEnd.open(server.process, device), await BinderEnd.open(client.process, device)];
  await serverEnd.becomeManager();
  await client.process.write(there.write, "to the server");
  await server.process.write(back.write, "to the client");
  const twin = await clientEnd.startCall(pattern(8), [there.read]);
  const transaction = (await serverEnd.take()).find((one) => one.kind === "transaction")!;
  const twinAtServer = await serverEnd.descriptor(transaction);
  await serverEnd.reply(transaction, pattern(8), [back.read]);
  const reply = (await twin.done).returns.find((one) => one.kind === "reply")!;
  const twinAtClient = await clientEnd.descriptor(reply);

  expect(overBus).toEqual(["to the server", 1n, "to the client", 1n]);
  expect([await text(server, twinAtServer), await closeOnExec(server, twinAtServer), await text(client, twinAtClient), await closeOnExec(client, twinAtClient)]).toEqual(overBus);
});

test("SCN-011 a server that does not read makes senders fail at once, as with binder, until it reads", covers("SCN-011"), async ({ bus, spawn, agent, root }) => {
  const server = await bus.connect({ by: await spawn({ label: "server" }) });
  const client = await bus.connect({ by: await spawn({ label: "client" }) });
  const full = await client.flood(server, 1000, { payload: pattern(4096) });
  await server.recvAll();
  const call = await client.startCall(server);
  await server.reply(await server.recv());
  await call.done;

  const device = await binderDevice(agent, root);
  const [serverEnd, clientEnd] = [await BinderEnd.open(server.process, device), await BinderEnd.open(client.process, device)];
  await serverEnd.becomeManager();
  let last = "complete";
  for (let count = 0; count < 300 && last === "complete"; count++) last = (await clientEnd.oneWay(pattern(65536))).at(-1)?.kind ?? "nothing";

  expect(["ENOBUFS", "EXFULL"]).toContain(full.errno);
  expect(full.sent).toBeGreaterThan(0);
  expect(last).toBe("failed reply");
});
