import { abi, covers, encodeCommand, expect, expectOrdered, expectReads, History, item, memory, MESSAGE_AT, prepareSend, Script, takeLoop, test, together, type Connection, type Message, type QueueRead, type ScriptResult } from "../../support/index.ts";

type Step = ReturnType<Script["ioctl"]>;
const cookies = (messages: readonly Message[]): bigint[] => messages.filter((message) => message.notification === undefined).map((message) => message.header.cookie);
const upTo = (count: number, from = 1): bigint[] => Array.from({ length: count }, (_, index) => BigInt(from + index));

test("ORD-001 one sender's messages of every kind come in the order sent", covers("ORD-001"), async ({ bus }) => {
  const TURNS = 25;
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await receiver.addMatch([item.id(sender.id)]);
  const bloom = { filter: sender.bloomOnes() };
  for (let batch = 0; batch < 4; batch++) {
    // the receiver's requests that the sender answers within its stream
    await receiver.flood(sender, TURNS, { cookie: 1000, flags: abi.MSG.EXPECT_REPLY, timeoutNs: await receiver.process.deadlineNs(600_000) });
    const kinds = [
      await prepareSend(sender, receiver, { cookie: 1, payload: "one-way" }),
      await prepareSend(sender, receiver, { cookie: 2, bloom }),
      await prepareSend(sender, receiver, { cookie: 3, expectReplyMs: 600_000 }),
      await prepareSend(sender, "broadcast", { cookie: 4, bloom }),
      await prepareSend(sender, receiver, { cookie: 5, cookieReply: 1000, payload: "x".repeat(700) }),
      await prepareSend(sender, receiver, { cookie: 6 }),
    ];
    const script = new Script();
    const steps: Step[] = [];
    script.repeat(TURNS, () => {
      steps.push(...kinds.map((kind) => kind.step(script).call));
      return steps[0] as Step;
    }, { add: [...kinds.map(({ message }) => ({ memory: message, at: MESSAGE_AT.cookie, by: kinds.length })), { memory: kinds[4]?.message as NonNullable<(typeof kinds)[4]>["message"], at: MESSAGE_AT.cookieReply, by: 1 }] }); // prettier-ignore

    const result = await sender.process.run(script);

    expect(steps.flatMap((step) => result.all(step)).filter(({ errno }) => errno !== null)).toEqual([]);
    const received = await receiver.recvAll();
    const history = new History();
    const log = history.thread("sender");
    for (let cookie = 1; cookie <= TURNS * kinds.length; cookie++) log.send(sender, cookie % kinds.length === 4 ? "everybody" : receiver, cookie, { signal: cookie % kinds.length === 2 });
    expectOrdered(history.view(receiver, received));
    expect(cookies(received)).toEqual(upTo(TURNS * kinds.length));
    for (const request of received.filter(({ header }) => header.flags === abi.MSG.EXPECT_REPLY)) await receiver.reply(request);
    expect(await sender.recvAll()).toHaveLength(2 * TURNS);
  }
});

test("ORD-002 order holds across addressing by id and name, sizes and memfds", covers("ORD-002"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ pool: 8 << 20 })];
  await receiver.acquire("test.name");
  const memfd = await root.memfd("0123456789");
  const payloads = [undefined, "x", "y".repeat(20_000), item.memfd(memfd, 0, 10), { zeros: 100_000 }, "z".repeat(300), item.memfd(memfd, 3, 1)] as const;
  const kinds: Awaited<ReturnType<typeof prepareSend>>[] = [];
  for (let index = 0; index < 14; index++) {
    const payload = payloads[(index * 5) % payloads.length];
    kinds.push(await prepareSend(sender, index % 3 === 0 ? "test.name" : receiver, { cookie: index + 1, ...(payload === undefined ? {} : { payload }) }));
  }
  const script = new Script();
  const steps: Step[] = [];
  script.repeat(8, () => {
    steps.push(...kinds.map((kind) => kind.step(script).call));
    return steps[0] as Step;
  }, { add: kinds.map(({ message }) => ({ memory: message, at: MESSAGE_AT.cookie, by: kinds.length })) }); // prettier-ignore

  const result = await sender.process.run(script);

  expect(steps.flatMap((step) => result.all(step)).filter(({ errno }) => errno !== null)).toEqual([]);
  const received = await receiver.recvAll();
  const history = new History();
  const log = history.thread("sender").takes(receiver, "test.name");
  for (let cookie = 1; cookie <= 8 * kinds.length; cookie++) log.send(sender, ((cookie - 1) % kinds.length) % 3 === 0 ? "test.name" : receiver, cookie);
  expectOrdered(history.view(receiver, received));
  expect(cookies(received)).toEqual(upTo(8 * kinds.length));
});

/** A loop in which one party sends whenever the number in the arena says it is its turn, and passes the turn on. */
function baton(place: number, part: number, parties: number, turns: number, connection: Connection, send: Awaited<ReturnType<typeof prepareSend>>): { readonly process: Connection["process"]; build(script: Script): void; errors(result: ScriptResult): (string | null)[] } {
  const steps: Step[] = [];
  return {
    process: connection.process,
    build(script) {
      const { program } = script;
      const here = program.arena(place);
      const mine = program.register(part);
      script.repeat(turns, () => {
        program.waitFor(here, "==", mine, { timeoutMs: 20_000 });
        program.store(script.place(send.message).plus(MESSAGE_AT.cookie), mine);
        steps.push(send.step(script).call);
        program.compute(mine, "+", parties, mine);
        program.fetchAdd(here, 1);
        return steps[0] as Step;
      });
    },
    errors: (result) => steps.flatMap((step) => result.all(step).map(({ errno }) => errno)),
  };
}

/** Fails with the first SEND that overtook an earlier one: number n is sent by party n modulo their count, and lets n + 1 go on. */
function expectTurns(received: readonly Message[], receiver: Connection, senders: readonly Connection[], turns: number): void {
  const history = new History();
  for (const [part, sender] of senders.entries()) {
    const log = history.thread(`sender${part}`, sender.process.label);
    for (let cookie = part; cookie < turns * senders.length; cookie += senders.length) {
      if (cookie > 0) log.take(`turn ${cookie}`);
      log.send(sender, receiver, cookie).give(`turn ${cookie + 1}`);
    }
  }
  expectOrdered(history.view(receiver, received));
}

test("ORD-003 connections of one process whose SENDs follow each other keep that order", covers("ORD-003"), async ({ bus }) => {
  const TURNS = 60;
  const receiver = await bus.connect();
  const senders: Connection[] = [];
  const parts: ReturnType<typeof baton>[] = [];
  for (let part = 0; part < 4; part++) {
    const connection = await bus.connect();
    senders.push(connection);
    parts.push(baton(512, part, 4, TURNS, connection, await prepareSend(connection, receiver)));
  }

  const results = await together(0, parts);

  expect(results.flatMap((result, index) => parts[index]?.errors(result)).filter((errno) => errno !== null)).toEqual([]);
  const received = await receiver.recvAll();
  expectTurns(received, receiver, senders, TURNS);
  expect(cookies(received)).toEqual(upTo(4 * TURNS, 0));
});

test("ORD-004 SENDs of different processes that follow each other keep that order", covers("ORD-004"), async ({ bus, spawn }) => {
  const TURNS = 60;
  const receiver = await bus.connect();
  const senders: Connection[] = [];
  const parts: ReturnType<typeof baton>[] = [];
  for (let part = 0; part < 4; part++) {
    const connection = await bus.connect({ by: await spawn({ label: `sender${part}` }) });
    senders.push(connection);
    parts.push(baton(512, part, 4, TURNS, connection, await prepareSend(connection, receiver)));
  }

  const results = await together(0, parts);

  expect(results.flatMap((result, index) => parts[index]?.errors(result)).filter((errno) => errno !== null)).toEqual([]);
  const received = await receiver.recvAll();
  expectTurns(received, receiver, senders, TURNS);
  expect(cookies(received)).toEqual(upTo(4 * TURNS, 0));
});

test("ORD-005 what parallel senders send arrives once, in each one's order, and nothing accepted is lost", covers({ cpus: 2 }, "ORD-005", "ORD-006"), async ({ bus, spawn }) => {
  const TURNS = 250;
  const receivers = [await bus.connect({ by: await spawn({ label: "receiver0" }) }), await bus.connect({ by: await spawn({ label: "receiver1" }) })];
  const senders: Connection[] = [];
  for (let process = 0; process < 4; process++) {
    const by = await spawn({ label: `sender${process}` });
    for (let thread = 0; thread < 4; thread++) senders.push(await bus.connect({ by }));
  }
  const parts = [];
  const sends: Step[] = [];
  for (const [index, sender] of senders.entries()) {
    const send = await prepareSend(sender, receivers[index % 2] as Connection, { cookie: 1, payload: "p".repeat(index * 13 + 1) });
    parts.push({
      process: sender.process,
      build: (script: Script) =>
        script.repeat(TURNS, () => (sends[index] = send.step(script).call), { add: [{ memory: send.message, at: MESSAGE_AT.cookie, by: 1 }] }),
    });
  }
  const takes: ReturnType<typeof takeLoop>[] = [];
  for (const receiver of receivers) parts.push({ process: receiver.process, build: (script: Script) => void takes.push(takeLoop(script, receiver, 1500)) });

  const results = await together(0, parts);

  const views: Message[][] = [];
  for (const [which, receiver] of receivers.entries()) views.push([...(takes[which] as (typeof takes)[number]).messages(results[senders.length + which] as ScriptResult), ...(await receiver.recvAll())]);
  const history = new History();
  for (const [index, sender] of senders.entries()) {
    const log = history.thread(`sender${index}`, sender.process.label);
    for (const [turn, { errno }] of (results[index] as ScriptResult).all(sends[index] as Step).entries()) log.send(sender, receivers[index % 2] as Connection, turn + 1, { errno });
  }
  for (const [which, receiver] of receivers.entries()) history.view(receiver, views[which] ?? []);
  expectOrdered(history);
  let total = 0;
  for (const which of receivers.keys()) {
    const messages = views[which] ?? [];
    for (const [index, sender] of senders.entries()) {
      if (index % 2 !== which) continue;
      const accepted = (results[index] as ScriptResult).all(sends[index] as Step).flatMap(({ errno }, turn) => (errno === null ? [BigInt(turn + 1)] : []));
      expect(messages.filter(({ header }) => header.src_id === sender.id).map(({ header }) => header.cookie), `from sender ${index}`).toEqual(accepted);
      total += accepted.length;
    }
  }
  expect(total, "messages accepted").toBeGreaterThan(500);
});

test("ORD-006 under overload every accepted message arrives", covers("ORD-006"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ pool: 65536 })];
  const script = new Script();
  const send = await prepareSend(sender, receiver, { cookie: 1, payload: "x".repeat(1500) });
  const steps: Step[] = [];
  script.repeat(40, () => (steps[0] = send.step(script).call), { add: [{ memory: send.message, at: MESSAGE_AT.cookie, by: 1 }] });

  const outcomes = (await sender.process.run(script)).all(steps[0] as Step);
  const accepted = outcomes.flatMap(({ errno }, index) => (errno === null ? [BigInt(index + 1)] : []));

  expect(accepted.length).toBeGreaterThan(2);
  expect(accepted.length).toBeLessThan(40);
  const received = await receiver.recvAll();
  const history = new History();
  const log = history.thread("sender");
  for (const [index, { errno }] of outcomes.entries()) log.send(sender, receiver, index + 1, { errno });
  expectOrdered(history.view(receiver, received));
  expect(cookies(received)).toEqual(accepted);
});

test("ORD-017 USE_PRIORITY takes equal priorities in the order queued, mixed with plain RECV", covers("ORD-017"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  let random = 12345;
  const next = (below: number): number => (random = (random * 1103515245 + 12345) & 0x7fffffff) % below;
  const queue: { readonly id: string; readonly priority: number }[] = [];
  const sending = new Script();
  for (let index = 1; index <= 200; index++) {
    const priority = (next(70) % 7) - 3;
    queue.push({ id: `message ${index}`, priority });
    (await prepareSend(sender, receiver, { cookie: index, priority })).step(sending);
  }
  await sender.process.run(sending);

  const seen: QueueRead[] = [];
  // 260 reads in pieces: a script of all of them has more steps than a program may.
  for (let piece = 0; piece < 4; piece++) {
    const script = new Script();
    const reads: { readonly call: Step; readonly slice: ReturnType<Script["load"]>; readonly limit: number | undefined; readonly peek: boolean }[] = [];
    for (let index = 0; index < 65; index++) {
      const [limit, peek] = [next(100) < 60 ? (next(90) % 9) - 4 : undefined, next(100) < 15];
      const flags = (limit === undefined ? 0n : abi.RECV.USE_PRIORITY) | (peek ? abi.RECV.PEEK : 0n);
      const command = memory(encodeCommand("RECV", limit === undefined ? { flags } : { flags, priority: limit }));
      const call = script.ioctl(receiver.fd, abi.COMMANDS.RECV, command);
      reads.push({ call, slice: script.loadSlice(receiver.pool, { memory: command, at: 40 }, 64), limit, peek });
    }
    const result = await receiver.process.run(script);
    for (const { call, slice, limit, peek } of reads) {
      const { errno } = result.of(call);
      expect([null, "EAGAIN"]).toContain(errno);
      seen.push({ how: peek ? "PEEK" : "RECV", ...(limit === undefined ? {} : { limit }), got: errno === null ? `message ${new DataView(result.bytes(slice).buffer).getBigUint64(48, true)}` : null });
    }
  }
  expectReads(queue, seen);
  expect(seen.filter(({ how, got }) => how === "RECV" && got !== null).length, "messages taken").toBeGreaterThan(100);
});

test("ORD-018 what follows from a message comes behind what its sender sent before", covers("ORD-018"), async ({ bus, spawn }) => {
  const TURNS = 120;
  const [a, b, c] = [await bus.connect({ by: await spawn({ label: "a" }) }), await bus.connect({ by: await spawn({ label: "b" }) }), await bus.connect({ by: await spawn({ label: "c" }) })];
  const [toC, toB, fromB] = [await prepareSend(a, c, { cookie: 1 }), await prepareSend(a, b, { cookie: 1001 }), await prepareSend(b, c, { cookie: 1 })];
  const steps: Step[] = [];
  const counts = { at: MESSAGE_AT.cookie, by: 1 } as const;

  const results = await together(0, [
    { process: a.process, build: (script) => script.repeat(TURNS, () => { steps.push(toC.step(script).call, toB.step(script).call); return steps[0] as Step; }, { add: [{ memory: toC.message, ...counts }, { memory: toB.message, ...counts }] }) }, // prettier-ignore
    {
      process: b.process,
      build: (script) => {
        const recv = memory(encodeCommand("RECV", {}));
        const free = memory(encodeCommand("FREE", {}));
        for (const each of [recv, free, fromB.command, fromB.message]) script.place(each);
        const { program } = script;
        program.loop(TURNS, () => {
          program.poll(b.fd, 0x1, 10_000);
          program.ioctl(b.fd, abi.COMMANDS.RECV, script.place(recv));
          program.ioctl(b.fd, abi.COMMANDS.SEND, script.place(fromB.command));
          program.store(script.place(fromB.message).plus(MESSAGE_AT.cookie), program.compute(program.load(script.place(fromB.message).plus(MESSAGE_AT.cookie)), "+", 1));
          script.copy({ memory: recv, at: 40 }, { memory: free, at: 24 });
          program.ioctl(b.fd, abi.COMMANDS.FREE, script.place(free));
        });
      },
    },
  ]);

  expect(steps.flatMap((step) => (results[0] as ScriptResult).all(step)).filter(({ errno }) => errno !== null)).toEqual([]);
  const received = await c.recvAll();
  const history = new History();
  const [causes, effects] = [history.thread("a"), history.thread("b")];
  for (let turn = 1; turn <= TURNS; turn++) {
    causes.send(a, c, turn).send(a, b, 1000 + turn);
    effects.receive({ header: { src_id: a.id, cookie: BigInt(1000 + turn) } }).send(b, c, turn);
  }
  expectOrdered(history.view(c, received));
  const seen = received.map(({ header }) => ({ from: header.src_id === a.id ? "a" : "b", cookie: Number(header.cookie) }));
  expect(seen).toHaveLength(2 * TURNS);
  const early = seen.filter(({ from, cookie }, index) => from === "b" && !seen.slice(0, index).some((before) => before.from === "a" && before.cookie === cookie));
  expect(early, "consequences ahead of their causes").toEqual([]);
});
