import { createHash } from "node:crypto";
import { abi, address, BinderEnd, binderDevice, covers, encodeCommand, encodeMessage, eventfd, expect, expectErrno, item, memory, payloadBytes, payloadText, Script, ScriptResult, SEALS, test, type Connection, type Received } from "../../support/index.ts";

const BIG_POOL = 16 << 20;
const hash = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

test("SCN-004 a call of 2 MiB works where binder refuses it", covers("SCN-004"), async ({ bus, spawn, agent, root }) => {
  const data = Uint8Array.from({ length: 2 << 20 }, (_, index) => (index * 13 + (index >> 12)) & 0xff);
  const server = await bus.connect({ by: await spawn({ label: "server" }), pool: BIG_POOL });
  const client = await bus.connect({ by: await spawn({ label: "client" }) });
  const call = await client.startCall(server, { payload: data });
  const request = await server.recv();
  await server.reply(request, { payload: "got it" });

  const device = await binderDevice(agent, root);
  const [serverEnd, clientEnd] = [await BinderEnd.open(server.process, device), await BinderEnd.open(client.process, device)];
  await serverEnd.becomeManager();
  const twin = await (await clientEnd.startCall(data)).done;

  expect(hash(payloadBytes(request))).toBe(hash(data));
  expect(payloadText(await call.done)).toBe("got it");
  expect(twin.returns.map((one) => one.kind)).toContain("failed reply");
});

test("SCN-004 a call with a memfd of 64 MiB works", covers("SCN-004"), async ({ bus, spawn }) => {
  const SIZE = 64 << 20;
  const PIECE = 1 << 20;
  const server = await bus.connect({ by: await spawn({ label: "server" }) });
  const client = await bus.connect({ by: await spawn({ label: "client" }) });
  const memfd = await client.process.memfd("", { seals: 0 });
  const fill = new Script();
  const piece = fill.program.buffer(PIECE);
  fill.program.fill(piece.at(0), 0x5a, PIECE);
  fill.program.loop(SIZE / PIECE, (turn) => {
    fill.program.store(piece.at(0), turn);
    fill.syscall("pwrite64", memfd, piece.at(0), PIECE, fill.program.compute(turn, "*", PIECE));
  });
  await client.process.run(fill);
  await client.process.must("fcntl", memfd, 1033, SEALS.ALL);

  const call = await client.startCall(server, { payload: [item.memfd(memfd, 0, SIZE)] });
  const request = await server.recv();
  await server.reply(request, { payload: "got it" });
  await call.done;

  const [chunk] = request.payload;
  if (chunk?.kind !== "memfd") throw new Error(`the payload came as ${chunk?.kind}`);
  expect(chunk).toMatchObject({ start: 0n, size: BigInt(SIZE) });
  const check = new Script();
  const [seen, wanted] = [check.program.buffer(PIECE), check.program.buffer(PIECE)];
  check.program.fill(wanted.at(0), 0x5a, PIECE);
  const wrong = check.program.compute(0, "+", 0);
  check.program.loop(SIZE / PIECE, (turn) => {
    check.program.store(wanted.at(0), turn);
    check.syscall("pread64", chunk.fd, seen.at(0), PIECE, check.program.compute(turn, "*", PIECE));
    check.program.if(check.program.compareMemory(seen.at(0), wanted.at(0), PIECE), "!=", -1, () => check.program.compute(wrong, "+", 1, wrong));
  });
  expect((await server.process.run(check)).result.number(wrong), "pieces that differ").toBe(0);
});

test("SCN-009 eight threads on one connection serve eight blocking clients, every call once", covers({ cpus: 2 }, "SCN-009"), async ({ bus, spawn }) => {
  const [THREADS, CALLS] = [8, 1000];
  const server = await bus.connect({ by: await spawn({ label: "server" }), pool: BIG_POOL });
  const caller = await spawn({ label: "clients" });
  const clients: Connection[] = [];
  for (let count = 0; count < THREADS; count++) clients.push(await bus.connect({ by: caller }));
  const served = 0; // place in the arena that counts the calls served

  const serve = (): Script => {
    const script = new Script();
    const { program } = script;
    const recv = memory(encodeCommand("RECV", {}));
    const answer = memory(encodeMessage({ payload_type: abi.PAYLOAD.DBUS }, [item.vec(1, 8)]));
    const send = memory(encodeCommand("SEND", { msg_address: address(answer) }));
    const free = memory(encodeCommand("FREE", {}));
    program.loop(1 << 30, () => {
      program.breakIf(program.load(program.arena(served)), ">=", THREADS * CALLS);
      const { err } = script.ioctl(server.fd, abi.COMMANDS.RECV, recv);
      program.if(err, "==", 0, () => {
        const slice = program.compute(server.pool, "+", program.load(script.place(recv).plus(40)));
        program.store(script.place(answer).plus(24), program.load(slice.plus(32))); // dst_id = src_id
        program.store(script.place(answer).plus(56), program.load(slice.plus(48))); // cookie_reply = cookie
        program.store(script.place(answer).plus(88), program.compute(slice, "+", program.load(slice.plus(88)))); // the argument itself
        program.fetchAdd(program.arena(served), 1);
        script.ioctl(server.fd, abi.COMMANDS.SEND, send);
        script.copy({ memory: recv, at: 40 }, { memory: free, at: 24 });
        script.ioctl(server.fd, abi.COMMANDS.FREE, free);
      }, () => program.poll(server.fd, 1, 5)); // prettier-ignore
    });
    return script;
  };
  const ask = async (client: Connection, number: number): Promise<{ readonly script: Script; right(result: ScriptResult): number }> => {
    const script = new Script();
    const { program } = script;
    const argument = memory(8);
    const { message } = await client.encodeSend(server, { cookie: 1, timeoutNs: await caller.deadlineNs(600_000), flags: abi.MSG.EXPECT_REPLY, payload: [item.vec(address(argument), 8)] });
    const send = memory(encodeCommand("SEND", { flags: abi.SEND.SYNC_REPLY, msg_address: address(message) }));
    const free = memory(encodeCommand("FREE", {}));
    const right = program.compute(0, "+", 0);
    program.loop(CALLS, (turn) => {
      program.store(script.place(argument), program.compute(turn, "+", number * 1_000_000));
      program.store(script.place(message).plus(48), program.compute(turn, "+", 1));
      const { err } = script.ioctl(client.fd, abi.COMMANDS.SEND, send);
      program.if(err, "==", 0, () => {
        const slice = program.compute(client.pool, "+", program.load(script.place(send).plus(32)));
        const at = program.compute(slice, "+", program.load(slice.plus(88)));
        program.if(program.load(at.plus(0)), "==", program.load(script.place(argument)), () => program.compute(right, "+", 1, right));
        script.copy({ memory: send, at: 32 }, { memory: free, at: 24 });
        script.ioctl(client.fd, abi.COMMANDS.FREE, free);
      });
    });
    return { script, right: (result) => result.result.number(right) };
  };

  const asks = await Promise.all(clients.map((client, number) => ask(client, number + 1)));
  const servers = Array.from({ length: THREADS }, () => server.process.peer.start(serve().program));
  const results = await Promise.all(asks.map(({ script }) => caller.peer.start(script.program).result));
  const count = new Script();
  const total = count.program.load(count.program.arena(served));

  expect(results.map((result, index) => asks[index]?.right(new ScriptResult(result)))).toEqual(Array.from({ length: THREADS }, () => CALLS));
  expect((await caller.run(count)).result.number(total)).toBe(THREADS * CALLS);
  await Promise.all(servers.map(({ result }) => result));
  expect(await server.recvAll(), "nothing is left over").toEqual([]);
});

for (const depth of [1, 3]) {
  test(`SCN-010 a server calls back into its waiting client, depth ${depth}`, covers("SCN-010"), async ({ bus, spawn }) => {
    const [client, server] = [await bus.connect({ by: await spawn({ label: "client" }) }), await bus.connect({ by: await spawn({ label: "server" }) })];
    const calls: { readonly answer: Promise<Received>; readonly request: Received; readonly by: Connection }[] = [];
    for (let level = 0; level <= depth; level++) {
      const [from, to] = level % 2 === 0 ? [client, server] : [server, client];
      const { done } = await from.startCall(to, { payload: `call ${level}` });
      calls.push({ answer: done, request: await to.recv(), by: to });
    }

    const answers: string[] = [];
    for (const { answer, request, by } of calls.toReversed()) {
      await by.reply(request, { payload: `answer to ${payloadText(request)}` });
      answers.push(payloadText(await answer));
    }

    expect(answers).toEqual(Array.from({ length: depth + 1 }, (_, level) => `answer to call ${depth - level}`));
  });
}

test("SCN-012 blocked clients are served by priority, then by arrival, each with its own answer", covers("SCN-012"), async ({ bus, spawn }) => {
  const server = await bus.connect({ by: await spawn({ label: "server" }) });
  const priorities = [5, -3, 0, 5, -3, 0];
  const waiting = [];
  for (const [index, priority] of priorities.entries()) {
    const client = await bus.connect({ by: await spawn({ label: `client ${index}` }) });
    waiting.push(await client.startCall(server, { priority, payload: `client ${index}` }));
  }

  const order: string[] = [];
  for (let count = 0; count < priorities.length; count++) {
    const request = await server.recv({ flags: abi.RECV.USE_PRIORITY, priority: 0x7fff_ffff_ffff_ffffn });
    order.push(payloadText(request));
    await server.reply(request, { payload: `for ${payloadText(request)}` });
  }
  const answers = await Promise.all(waiting.map(async ({ done }) => payloadText(await done)));

  expect(order).toEqual(["client 1", "client 4", "client 2", "client 5", "client 0", "client 3"]);
  expect(answers).toEqual(priorities.map((_, index) => `for client ${index}`));
});

const RELEASES = {
  "its timeout": "ETIMEDOUT",
  "its cancellation descriptor": "ECANCELED",
  "a signal": "EINTR",
  "the death of the server": "EPIPE",
} as const;

for (const [cause, errno] of Object.entries(RELEASES)) {
  test(`SCN-013 a blocked client is released by ${cause}`, covers("SCN-013"), async ({ bus, spawn, root }) => {
    const SIGUSR1 = 10;
    const server = await bus.connect({ by: await spawn({ label: "server" }) });
    const client = await bus.connect();
    const cancel = await eventfd(root);
    const handler = new Script();
    handler.program.onSignal(SIGUSR1, "count");
    await root.run(handler);

    const call = await client.startCall(server, { expectReplyMs: errno === "ETIMEDOUT" ? 300 : 60_000, sendItems: [item.cancelFd(cancel)] });
    if (errno === "ECANCELED") await root.write(cancel, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0));
    if (errno === "EINTR") await call.started.signal(SIGUSR1);
    if (errno === "EPIPE") await server.process.kill();

    await expectErrno(call.done, errno);
  });
}
