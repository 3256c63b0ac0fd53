import { abi, covers, decodeStruct, encodeCommand, expect, expectResult, item, memory, payloadText, pipeProbe, prepareSend, Script, takeLoop, test, together, type Process, type ScriptResult } from "../../support/index.ts";

const POLL = { IN: 0x1, OUT: 0x4, ERR: 0x8, HUP: 0x10, RDNORM: 0x40, WRNORM: 0x100 } as const;
const O_NONBLOCK = 0o4000;
const ROUNDS = 6;

type Step = ReturnType<Script["ioctl"]>;

for (const mode of ["blocking", "non-blocking"] as const) {
  test(`MSG-070 RECV of a ${mode} handle with an empty queue gives EAGAIN and the empty marker`, covers("MSG-070"), async ({ bus }) => {
    const connection = await bus.connect();
    if (mode === "non-blocking") await connection.process.must("fcntl", connection.fd, 4, 2 | O_NONBLOCK);
    const command = encodeCommand("RECV", {});
    command.bytes.fill(0xaa, 32, 64); // dropped_msgs and msg, to be written

    const { errno, bytes } = await connection.ioctl("RECV", command);

    expect(errno).toBe("EAGAIN");
    expect(decodeStruct("cmd_recv", bytes)).toMatchObject({ return_flags: 0n, dropped_msgs: 0n, msg: { offset: BigInt(connection.poolSize), msg_size: 0n, return_flags: 0n } });
  });
}

test("MSG-071 RECV of a policy holder gives EOPNOTSUPP", covers("MSG-071"), async ({ bus }) => {
  const holder = await bus.connectPolicyHolder("test.name", []);

  expectResult(await holder.ioctl("RECV", encodeCommand("RECV", {})), "EOPNOTSUPP");
});

test("MSG-072 without USE_PRIORITY messages come in the order queued", covers("MSG-072"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const priorities = [3, -7, 0, 9, 9, -(1n << 63n), 5, (1n << 63n) - 1n, 1];
  for (const [index, priority] of priorities.entries()) await sender.send(receiver, { priority, cookie: index + 1 });

  const received = await receiver.recvAll();

  expect(received.map(({ header }) => [header.cookie, header.priority])).toEqual(priorities.map((priority, index) => [BigInt(index + 1), BigInt(priority)]));
});

test("MSG-073 USE_PRIORITY takes the lowest number up to the limit, the oldest among equals", covers("MSG-073"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  for (const [index, priority] of [10, -1, 0, -5, -1, 0, 20].entries()) await sender.send(receiver, { priority, cookie: index + 1 });
  const take = async (priority: number): Promise<bigint | string> => {
    const { errno, slice } = await receiver.tryRecv({ flags: abi.RECV.USE_PRIORITY, priority });
    return errno ?? decodeStruct("msg", slice).cookie;
  };

  expect([await take(-6), await take(100), await take(-1), await take(-1), await take(-1), await take(0), await take(9)]).toEqual(["EAGAIN", 4n, 2n, 5n, "EAGAIN", 3n, 6n]);
  expect([await take(9), await take(10), await take(19), await take(20), await take(100)]).toEqual(["EAGAIN", 1n, "EAGAIN", 7n, "EAGAIN"]);
});

test("MSG-074 PEEK leaves the message where it is", covers("MSG-074"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await sender.send(receiver, { cookie: 1, payload: "peeked" });
  await sender.send(receiver, { cookie: 2, payload: "behind it" });

  const [first, second, taken] = [await receiver.peek(), await receiver.peek(), await receiver.recv({ keep: true })];

  expect(payloadText(first)).toBe("peeked");
  expect([second.offset, taken.offset]).toEqual([first.offset, first.offset]);
  expect([second.msgSize, taken.msgSize]).toEqual([first.msgSize, first.msgSize]);
  expect([second.slice, taken.slice]).toEqual([first.slice, first.slice]);
  expect((await receiver.recvAll()).map((message) => message.header.cookie)).toEqual([2n]);
});

test("MSG-074 PEEK with USE_PRIORITY shows what RECV with it would take", covers("MSG-074", "MSG-073"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await sender.send(receiver, { cookie: 1, priority: 4 });
  await sender.send(receiver, { cookie: 2, priority: -4 });

  const peeked = await receiver.peek({ flags: abi.RECV.USE_PRIORITY, priority: 0 });

  expect(peeked.header.cookie).toBe(2n);
  expect((await receiver.recvAll()).map((message) => message.header.cookie)).toEqual([1n, 2n]);
});

test("MSG-075 DROP takes the oldest message away and returns nothing", covers("MSG-075"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const probe = await pipeProbe(root);
  await sender.send(receiver, { cookie: 1, fds: [probe.write] });
  await sender.send(receiver, { cookie: 2 });

  const command = await receiver.drop();

  expect(command.msg).toEqual({ offset: BigInt(receiver.poolSize), msg_size: 0n, return_flags: 0n });
  expect(await probe.released(), "the descriptor of the dropped message").toBe(true);
  expect((await receiver.recvAll()).map((message) => message.header.cookie)).toEqual([2n]);
});

test("MSG-075 dropped messages leave no pool memory behind", covers("MSG-075"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ pool: 65536 })];
  const script = new Script();
  const send = await prepareSend(sender, receiver, { payload: "x".repeat(8000) }); // of the 10922 that a user may queue
  const drop = memory(encodeCommand("RECV", { flags: abi.RECV.DROP }));
  const steps: ReturnType<Script["ioctl"]>[] = [];
  script.repeat(1000, () => {
    steps.push(send.step(script).call);
    steps.push(script.ioctl(receiver.fd, abi.COMMANDS.RECV, drop));
    return steps[0] as (typeof steps)[number];
  }, { untilError: true }); // prettier-ignore

  const result = await receiver.process.run(script);

  for (const step of steps) {
    expect(result.all(step)).toHaveLength(1000);
    expect(result.all(step).filter(({ errno }) => errno !== null)).toEqual([]);
  }
});

test("MSG-076 DROP with USE_PRIORITY gives EINVAL and changes nothing", covers("MSG-076"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await sender.send(receiver, { cookie: 1 });
  await sender.send(receiver, { cookie: 2, priority: -1 });

  expectResult(await receiver.ioctl("RECV", encodeCommand("RECV", { flags: abi.RECV.DROP | abi.RECV.USE_PRIORITY, priority: 10 })), "EINVAL");

  expect((await receiver.recvAll()).map((message) => message.header.cookie)).toEqual([1n, 2n]);
});

test("MSG-077 a peeked and dropped message keeps its slice until it is freed", covers("MSG-077"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await sender.send(receiver, { payload: "peeked, then dropped" });
  const peeked = await receiver.peek();
  await receiver.drop();
  await sender.send(receiver, { payload: "z".repeat(20) });

  expect(await receiver.poolBytes(Number(peeked.offset), peeked.slice.length)).toEqual(peeked.slice);

  expectResult(await receiver.ioctl("FREE", encodeCommand("FREE", { offset: peeked.offset })), null);
  expectResult(await receiver.ioctl("FREE", encodeCommand("FREE", { offset: peeked.offset })), "ENXIO");
});

test("MSG-078 lost signals are counted once and the counter starts again", covers("MSG-078"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await receiver.addMatch([item.id(sender.id)]);
  expect((await sender.flood("broadcast", 256 + 7, { bloom: { filter: sender.bloomOnes() } })).sent).toBe(263);

  const first = await receiver.tryRecv();
  const second = await receiver.tryRecv();

  expect(first.command).toMatchObject({ dropped_msgs: 7n, return_flags: abi.RECV_RETURN.DROPPED_MSGS });
  expect(second.command).toMatchObject({ dropped_msgs: 0n, return_flags: 0n });
  expect(decodeStruct("msg", second.slice).cookie).toBe(2n);

  await sender.flood("broadcast", 5, { bloom: { filter: sender.bloomOnes() } }); // 254 are queued
  expect((await receiver.tryRecv()).command).toMatchObject({ dropped_msgs: 3n, return_flags: abi.RECV_RETURN.DROPPED_MSGS });
});

test("MSG-079 a lost message makes an empty queue readable, and EAGAIN tells the number", covers("MSG-079", "MSG-078"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ pool: 65536 })];
  await receiver.addMatch([item.id(sender.id)]);
  expect(await receiver.poll() & POLL.IN).toBe(0);

  await sender.broadcast({ payload: "x".repeat(32768) }); // more than the sixth of the pool

  expect(await receiver.poll() & POLL.IN).toBe(POLL.IN);
  const { errno, command } = await receiver.tryRecv();
  expect({ errno, lost: command.dropped_msgs, flags: command.return_flags, offset: command.msg.offset }).toEqual({ errno: "EAGAIN", lost: 1n, flags: abi.RECV_RETURN.DROPPED_MSGS, offset: BigInt(receiver.poolSize) });
  expect(await receiver.poll() & POLL.IN).toBe(0);
  expect((await receiver.tryRecv()).command).toMatchObject({ dropped_msgs: 0n, return_flags: 0n });
});

test("MSG-080 RECV that fails with EINVAL keeps the lost counter", covers("MSG-080"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ pool: 65536 })];
  await receiver.addMatch([item.id(sender.id)]);
  await sender.broadcast({ payload: "x".repeat(32768) });

  for (const flags of [1n << 40n, abi.RECV.DROP | abi.RECV.USE_PRIORITY]) {
    const { errno, bytes } = await receiver.ioctl("RECV", encodeCommand("RECV", { flags }));
    expect([errno, decodeStruct("cmd_recv", bytes).return_flags, decodeStruct("cmd_recv", bytes).dropped_msgs]).toEqual(["EINVAL", 0n, 0n]);
  }

  expect((await receiver.tryRecv()).command.dropped_msgs).toBe(1n);
});

test("MSG-082 poll tells what can be received, and always that one can send", covers("MSG-082"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const all = POLL.IN | POLL.OUT | POLL.RDNORM | POLL.WRNORM;
  const idle = await receiver.poll(0, all);
  await sender.send(receiver);
  const queued = await receiver.poll(0, all);
  await receiver.peek();
  const peeked = await receiver.poll(0, all);
  await receiver.recv();
  const taken = await receiver.poll(0, all);

  expect({ idle, queued, peeked, taken }).toEqual({ idle: POLL.OUT | POLL.WRNORM, queued: all, peeked: all, taken: POLL.OUT | POLL.WRNORM });
});

test("MSG-082 poll before HELLO and after BYEBYE reports an error and a hang-up", covers("MSG-082"), async ({ bus, root }) => {
  const untyped = await root.open(bus.path);
  const left = await bus.connect();
  await left.byebye();

  const states = { untyped: await root.poll(untyped, 0, 0), left: await left.poll(0, 0) };

  expect(states).toEqual({ untyped: POLL.ERR | POLL.HUP, left: POLL.ERR | POLL.HUP });
});

test("MSG-082 a waiting poll ends when a message comes and when the connection ends", covers("MSG-082"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const wait = (): ReturnType<Process["startPoll"]> => root.startPoll(receiver.fd, POLL.IN, 30_000);

  const first = await wait();
  await sender.send(receiver);
  expect(await first.done).toBe(POLL.IN);
  await receiver.recv();
  const second = await wait();
  await receiver.byebye();
  expect((await second.done) & POLL.HUP).toBe(POLL.HUP);
});

test("MSG-083 threads and processes that share a handle get each message once", covers({ cpus: 2 }, "MSG-083"), async ({ bus, root, spawn }) => {
  const [sender, receiver] = [await bus.connect({ by: await spawn({ label: "sender" }) }), await bus.connect()];
  const helper = await spawn({ label: "helper" });
  const shared = await receiver.usedBy(helper, await root.giveFd(receiver.fd, helper));
  const users = [receiver, receiver, receiver, receiver, shared, shared, shared, shared];
  const everything: bigint[] = [];
  const accepted: bigint[] = [];

  // whether two of them meet in one place is up to the scheduler, so they get several chances
  for (let round = 0; round < ROUNDS; round++) {
    const first = 10_000 * round + 1;
    // There before the threads start: the scheduler may let all of them end before the sender gets its turn.
    const { sent } = await sender.flood(receiver, 100, { cookie: BigInt(first) });
    expect(sent, "messages queued before the threads start").toBe(100);
    const send = await prepareSend(sender, receiver, { cookie: first + sent });
    const taken: ReturnType<typeof takeLoop>[] = [];
    const sends: Step[] = [];

    const results = await together(64 * round, [
      {
        process: sender.process,
        build: (script) =>
          script.repeat(
            1500,
            () => {
              const { call } = send.step(script);
              sends.push(call);
              script.program.if(call.err, "!=", 0, () => script.syscall("sched_yield")); // a full queue: the others' turn
              return call;
            },
            { add: [{ memory: send.message, at: 48, by: 1 }] },
          ),
      },
      ...users.map((user) => ({ process: user.process, build: (script: Script) => void taken.push(takeLoop(script, user, 500)) })),
    ]);

    const [fromSender, ...fromUsers] = results as [ScriptResult, ...ScriptResult[]];
    const meanwhile = fromSender.all(sends[0] as Step).flatMap(({ errno }, index) => (errno === null ? [BigInt(first + sent + index)] : []));
    const got = fromUsers.flatMap((result, index) => (taken[index] as (typeof taken)[number]).messages(result).map((message) => message.header.cookie));
    const rest = (await receiver.recvAll()).map((message) => message.header.cookie);
    expect(got.length, "messages taken by the threads, of a queue that was not empty").toBeGreaterThan(0);
    accepted.push(...Array.from({ length: sent }, (_, index) => BigInt(first + index)), ...meanwhile);
    everything.push(...got, ...rest);
  }

  expect(everything.sort((a, b) => Number(a - b))).toEqual(accepted);
});
