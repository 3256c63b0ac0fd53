import { abi, callInVain, covers, eventfd, expect, expectErrno, expectResult, item, memory, encodeCommand, payloadText, prepareSend, readableAt, Script, takeLoop, test } from "../../support/index.ts";

const SIGUSR1 = 10;

test("MSG-039 SYNC_REPLY without EXPECT_REPLY gives EINVAL", covers("MSG-039"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];

  await expectErrno(client.send(server, { sendFlags: abi.SEND.SYNC_REPLY }), "EINVAL");

  await expectErrno(server.recv(), "EAGAIN");
});

test("MSG-057 a synchronous call returns with the reply in the pool, not in the queue", covers("MSG-057", "MSG-081"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  const call = await client.startCall(server, { cookie: 57, payload: "ping", keep: true });
  const request = await server.recv();
  expect([payloadText(request), request.header.flags]).toEqual(["ping", abi.MSG.EXPECT_REPLY]);
  expect(await client.poll() & 0x1, "readable before the reply").toBe(0);

  await server.reply(request, { payload: "pong", cookie: 58 });

  const reply = await call.done;
  expect([payloadText(reply), reply.header.timeout_ns, reply.header.cookie, reply.header.src_id]).toEqual(["pong", 57n, 58n, server.id]);
  expect(reply.msgSize % 8n).toBe(0n);
  expect(reply.msgSize).toBeGreaterThanOrEqual(reply.header.size);
  expect(await client.poll() & 0x1, "readable after the reply").toBe(0);
  await expectErrno(client.recv(), "EAGAIN");
});

test("MSG-058 other threads use the connection while one waits", covers("MSG-058"), async ({ bus }) => {
  const [client, server, other] = [await bus.connect(), await bus.connect(), await bus.connect()];
  const call = await client.startCall(server, { cookie: 1 });
  const script = new Script();
  const [there, back] = [await prepareSend(client, other, { cookie: 1 }), await prepareSend(other, client, { cookie: 1 })];
  const free = memory(encodeCommand("FREE", {}));
  const steps: ReturnType<Script["ioctl"]>[] = [];
  script.repeat(250, () => {
    steps.push(there.step(script).call);
    steps.push(back.step(script).call);
    for (const receiver of [other, client]) {
      const recv = memory(encodeCommand("RECV", {}));
      steps.push(script.ioctl(receiver.fd, abi.COMMANDS.RECV, recv));
      script.copy({ memory: recv, at: 40 }, { memory: free, at: 24 });
      steps.push(script.ioctl(receiver.fd, abi.COMMANDS.FREE, free));
    }
    return steps.at(-1) as (typeof steps)[number];
  }, { untilError: true }); // prettier-ignore
  const result = await client.process.run(script);

  const outcomes = steps.flatMap((step) => result.all(step).map(({ errno }) => errno));
  expect(outcomes.length).toBe(250 * steps.length);
  expect(outcomes.filter((errno) => errno !== null)).toEqual([]);
  await server.reply(await server.recv(), { payload: "done" });
  expect(payloadText(await call.done)).toBe("done");
});

test("MSG-059 a synchronous call ends at its deadline, without a notification", covers("MSG-059"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  const script = new Script();
  const deadline = await client.process.deadlineNs(150);
  const send = await prepareSend(client, server, { flags: abi.MSG.EXPECT_REPLY, timeoutNs: deadline, sendFlags: abi.SEND.SYNC_REPLY });
  const { call } = send.step(script);
  const now = script.program.clock(1);
  const result = await (await client.process.start(script)).done;

  expectResult(result.of(call), "ETIMEDOUT");
  expect(Number(result.result.unsigned(now) - deadline), "ns behind the deadline").toBeGreaterThanOrEqual(0);
  expect(await readableAt(client, 300), "a notification").toBeUndefined();
  await expectErrno(client.recv(), "EAGAIN");
});

test("MSG-059 a synchronous call whose deadline has passed sends nothing", covers("MSG-059"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];

  await expectErrno(client.call(server, { timeoutNs: 1n }), "ETIMEDOUT");

  await expectErrno(server.recv(), "EAGAIN");
});

for (const how of ["reads and closes", "closes unread", "drops the request", "is killed"] as const) {
  test(`MSG-060 a synchronous call gives EPIPE when its destination ${how}`, covers("MSG-060"), async ({ bus, spawn }) => {
    const client = await bus.connect();
    const server = await bus.connect({ by: await spawn({ label: "server" }) });
    const call = await client.startCall(server);

    if (how === "reads and closes") await server.recv();
    if (how === "is killed") await server.process.kill();
    else if (how === "drops the request") await server.drop();
    else await server.close();

    await expectErrno(call.done, "EPIPE");
    await expectErrno(client.recv(), "EAGAIN");
  });
}

test("MSG-061 a synchronous call gives ECONNRESET when its own connection is shut down", covers("MSG-061"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  const call = await client.startCall(server);

  await client.byebye();

  await expectErrno(call.done, "ECONNRESET");
});

test("MSG-062 a synchronous call is cancelled by its descriptor", covers("MSG-062"), async ({ bus, root }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  const cancel = await eventfd(root);
  const call = await client.startCall(server, { sendItems: [item.cancelFd(cancel)] });

  await root.write(cancel, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0));

  await expectErrno(call.done, "ECANCELED");
});

test("MSG-062 a descriptor that is readable before the call cancels it after the request was sent", covers("MSG-062"), async ({ bus, root }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];

  await expectErrno(client.call(server, { cookie: 62, sendItems: [item.cancelFd(await eventfd(root, 1))] }), "ECANCELED");

  expect((await server.recv()).header.cookie).toBe(62n);
});

test("MSG-062 a silent cancel descriptor has no effect", covers("MSG-062"), async ({ bus, root }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  const call = await client.startCall(server, { sendItems: [item.cancelFd(await eventfd(root))] });

  await server.reply(await server.recv(), { payload: "undisturbed" });

  expect(payloadText(await call.done)).toBe("undisturbed");
});

test("MSG-063 a cancel descriptor that is closed gives EBADF", covers("MSG-063"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];

  await expectErrno(client.call(server, { sendItems: [item.cancelFd(999)] }), "EBADF");
  await expectErrno(client.call(server, { sendItems: [item.cancelFd(-1)] }), "EBADF");
  await expectErrno(client.send(server, { sendItems: [item.cancelFd(999)] }), "EBADF");

  await expectErrno(server.recv(), "EAGAIN");
});

test("MSG-063 a cancel descriptor that cannot be polled, or a second one, gives EINVAL", covers("MSG-063"), async ({ bus, root }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  const file = await root.open("/etc/passwd", 0o2000000);
  const event = await eventfd(root);

  await expectErrno(client.call(server, { sendItems: [item.cancelFd(file)] }), "EINVAL");
  await expectErrno(client.call(server, { sendItems: [item.cancelFd(event), item.cancelFd(event)] }), "EINVAL");

  await expectErrno(server.recv(), "EAGAIN");
});

for (const end of ["cancelled", "timed out"] as const) {
  test(`MSG-096 the request of a call that was ${end} stays queued and cannot be answered`, covers("MSG-096"), async ({ bus, root }) => {
    const [client, server] = [await bus.connect(), await bus.connect()];
    if (end === "cancelled") await expectErrno(client.call(server, { cookie: 96, sendItems: [item.cancelFd(await eventfd(root, 1))] }), "ECANCELED");
    else expect(await callInVain(client, server, 96)).toBe("ETIMEDOUT");

    const request = await server.recv();

    expect(request.header.cookie).toBe(96n);
    await expectErrno(server.reply(request), "EBADSLT");
    await expectErrno(client.recv(), "EAGAIN");
  });
}

test("MSG-065 a call interrupted by a signal with SA_RESTART goes on waiting", covers("MSG-065"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  const script = new Script();
  script.program.onSignal(SIGUSR1, "count", { restart: true });
  await client.process.run(script);
  const call = await client.startCall(server, { cookie: 65 });

  for (let round = 0; round < 5; round++) {
    await call.started.signal("SIGUSR1");
    await call.started.blocked();
  }

  const counter = new Script();
  const count = counter.program.signalCount(SIGUSR1);
  expect((await client.process.run(counter)).result.number(count), "signals handled").toBeGreaterThan(0);
  const requests = await server.recvAll();
  expect(requests.map((request) => request.header.cookie)).toEqual([65n]);
  await server.reply(requests[0] as (typeof requests)[number], { payload: "after signals" });
  expect(payloadText(await call.done)).toBe("after signals");
  expect(await server.recvAll(), "a request sent again").toEqual([]);
});

test("MSG-065 signals do not move the deadline of a call", covers("MSG-065"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  const handler = new Script();
  handler.program.onSignal(SIGUSR1, "count", { restart: true });
  await client.process.run(handler);
  const script = new Script();
  const deadline = await client.process.deadlineNs(600);
  const send = await prepareSend(client, server, { flags: abi.MSG.EXPECT_REPLY, timeoutNs: deadline, sendFlags: abi.SEND.SYNC_REPLY });
  const { call } = send.step(script);
  const now = script.program.clock(1);
  const pending = await client.process.start(script);

  // each signal would give the call its whole time again, so it would not end as long as signals come
  let ended = false;
  pending.done.then(() => (ended = true), () => (ended = true));
  while (!ended && (await client.process.monotonicNs()) < deadline + 20_000_000_000n) await pending.started.signal("SIGUSR1").catch(() => undefined);

  expect(ended, "the call ended while signals came").toBe(true);
  const result = await pending.done;
  expectResult(result.of(call), "ETIMEDOUT");
  expect(Number(result.result.unsigned(now) - deadline), "ns behind the deadline").toBeGreaterThanOrEqual(0);
});

test("MSG-066 a call interrupted by a handler without SA_RESTART gives EINTR", covers("MSG-066"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  const script = new Script();
  script.program.onSignal(SIGUSR1, "count");
  await client.process.run(script);
  const call = await client.startCall(server);

  await call.started.signal("SIGUSR1");

  await expectErrno(call.done, "EINTR");
});

test("MSG-067 the same call again after EINTR waits for the first request", covers("MSG-067"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  const script = new Script();
  script.program.onSignal(SIGUSR1, "count");
  const send = await prepareSend(client, server, { cookie: 67, expectReplyMs: 10_000, sendFlags: abi.SEND.SYNC_REPLY });
  const [first, second] = [send.step(script).call, send.step(script).call];
  const pending = await client.process.start(script);
  await pending.started.signal("SIGUSR1");
  await pending.started.blocked();

  const requests = await server.recvAll();
  for (const request of requests.slice(0, 1)) await server.reply(request);

  const result = await pending.done;
  expect([result.of(first).errno, result.of(second).errno]).toEqual(["EINTR", null]);
  expect(requests.map((request) => request.header.cookie)).toEqual([67n]);
  expect(await server.recvAll()).toEqual([]);
});

test("MSG-068 a reply that arrives while the caller is stopped is returned by the restarted call", covers("MSG-068"), async ({ bus, spawn }) => {
  const client = await bus.connect({ by: await spawn({ label: "client" }) });
  const server = await bus.connect();
  const call = await client.startCall(server, { cookie: 68 });
  await client.process.peer.kill("SIGSTOP");
  while ((await client.process.peer.state()).some((thread) => thread.state !== "T")); // each look is a round trip

  await server.reply(await server.recv(), { payload: "kept" });
  await client.process.peer.kill("SIGCONT");

  expect(payloadText(await call.done)).toBe("kept");
  expect(await server.recvAll(), "a request sent again").toEqual([]);
});

test("MSG-069 descriptors for a synchronous caller that takes none fail on both sides", covers("MSG-069"), async ({ bus, root }) => {
  const [client, server] = [await bus.connect({ flags: 0n }), await bus.connect()];
  const call = await client.startCall(server);
  const { read } = await root.pipe();

  await expectErrno(server.reply(await server.recv(), { fds: [read] }), "ECOMM");

  await expectErrno(call.done, "EREMOTEIO");
});

test("MSG-102 a call to the own id times out and is found in the own queue", covers("MSG-102"), async ({ bus }) => {
  const connection = await bus.connect();

  expect(await callInVain(connection, connection, 102)).toBe("ETIMEDOUT");

  expect((await connection.recvAll()).map((message) => message.header.cookie)).toEqual([102n]);
});

test("MSG-058 another thread receives what comes while one waits", covers("MSG-058"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  const call = await client.startCall(server);
  expect((await server.flood(client, 100)).errno).toBeNull();

  const script = new Script();
  const taken = takeLoop(script, client, 101);
  const messages = taken.messages(await client.process.run(script));

  expect(messages.map((message) => message.header.cookie)).toEqual(Array.from({ length: 100 }, (_, index) => BigInt(index + 1)));
  await server.reply(await server.recv());
  expect((await call.done).header.src_id).toBe(server.id);
});
