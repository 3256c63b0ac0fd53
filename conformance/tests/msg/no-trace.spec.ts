import { covers, expect, expectErrno, item, memory, pageBeforeHole, pipeProbe, prepareSend, RUSAGE_BYTES, RUSAGE_THREAD, Script, test, usageCount, usagePlace, type Bus, type Connection, type ErrnoName, type MessageOptions, type Spawn } from "../../support/index.ts";

/** Two connections and what makes every SEND from one to the other fail late, although it carries a descriptor. */
interface Failure {
  readonly sender: Connection;
  readonly receiver: Connection;
  readonly errno: ErrnoName;
  /** Where generation 2015-03 has another one. */
  readonly older?: ErrnoName;
  readonly options: MessageOptions;
}

/** A sixth of it, 87381 bytes, is what one user may fill: 256 small messages, also with the 256 bytes more that an implementation may take for each. */
const POOL = 524_288;
const failures: Readonly<Record<string, (bus: Bus, spawn: Spawn) => Promise<Failure>>> = {
  "no right to talk": async (bus, spawn) => ({ sender: await bus.connect({ by: await spawn({ uid: 1000, gid: 1000 }) }), receiver: await bus.connect({ pool: POOL }), errno: "EPERM", options: {} }),
  "a reply without request": async (bus) => ({ sender: await bus.connect(), receiver: await bus.connect({ pool: POOL }), errno: "EBADSLT", older: "EPERM", options: { cookieReply: 5 } }),
  "a receiver that takes no descriptors": async (bus) => ({ sender: await bus.connect(), receiver: await bus.connect({ pool: POOL, flags: 0n }), errno: "ECOMM", options: {} }),
  "more than the quota": async (bus) => ({ sender: await bus.connect(), receiver: await bus.connect({ pool: POOL }), errno: "ENOBUFS", options: { payload: "x".repeat(100_000) } }),
  "memory that is not there": async (bus) => {
    const sender = await bus.connect();
    return { sender, receiver: await bus.connect({ pool: POOL }), errno: "EFAULT", options: { payload: ["x".repeat(4096)], items: [item.vec((await pageBeforeHole(sender.process)) + 96n, 4096)] } };
  },
  "a descriptor that is closed": async (bus) => ({ sender: await bus.connect(), receiver: await bus.connect({ pool: POOL }), errno: "EBADF", options: { items: [item.memfd(999, 0, 1)] } }),
  "a name that another one owns": async (bus) => {
    const [sender, receiver, other] = [await bus.connect(), await bus.connect({ pool: POOL }), await bus.connect()];
    await other.acquire("test.name");
    return { sender, receiver, errno: "EREMCHG", options: { dstName: "test.name" } };
  },
};

for (const [why, prepare] of Object.entries(failures)) {
  test(`MSG-085 a SEND that fails for ${why} leaves nothing behind`, covers("MSG-085"), async ({ bus, spawn }) => {
    const { sender, receiver, errno, older, options } = await prepare(bus, spawn);
    const probe = await pipeProbe(sender.process);
    for (let round = 0; round < 20; round++) await expectErrno(sender.send(receiver, { ...options, fds: [probe.write] }), errno, older ?? errno);

    expect(await receiver.poll() & 0x1, "readable").toBe(0);
    const { errno: empty, command } = await receiver.tryRecv();
    expect({ empty, lost: command.dropped_msgs }).toEqual({ empty: "EAGAIN", lost: 0n });
    expect(await probe.released(), "the descriptor").toBe(true);
    // what a fresh pool takes of one user it still takes: all of its bytes, and all 256 messages
    const user = await bus.connect();
    await user.send(receiver, { payload: "x".repeat(86_900) });
    await receiver.recv();
    expect(await user.flood(receiver, 256)).toEqual({ sent: 256, errno: null });
  });
}

test("MSG-085 failing SENDs do not wake who waits for messages", covers("MSG-085"), async ({ bus, spawn }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ by: await spawn({ label: "waiter" }) })];
  const failing = await prepareSend(sender, receiver, { payload: "x".repeat(200_000) }); // above the sixth of 1 MiB
  const usage = memory(RUSAGE_BYTES);
  const { offset, width } = usagePlace(receiver.process, "voluntarySwitches");
  const waiting = new Script();
  waiting.syscall("getrusage", RUSAGE_THREAD, usage);
  const before = waiting.load(usage, offset, width);
  waiting.program.poll(receiver.fd, 0x1, 5000);
  waiting.syscall("getrusage", RUSAGE_THREAD, usage);
  const after = waiting.load(usage, offset, width);
  const pending = await receiver.process.start(waiting);

  const script = new Script();
  const sends: ReturnType<Script["ioctl"]>[] = [];
  script.repeat(100, () => {
    const { call } = failing.step(script);
    sends.push(call);
    return call;
  });
  const errors = (await sender.process.run(script)).all(sends[0] as (typeof sends)[number]);
  await sender.send(receiver);

  const result = await pending.done;
  expect(errors.filter(({ errno }) => errno === "ENOBUFS")).toHaveLength(100);
  expect(Number(usageCount(result.bytes(after)) - usageCount(result.bytes(before))), "times the thread slept").toBeLessThanOrEqual(3);
});

test("MSG-085 the reply of a failed SEND is not written", covers("MSG-085"), async ({ bus }) => {
  const [sender, gone] = [await bus.connect(), await bus.connect()];
  await gone.close();
  const { command, message } = await sender.encodeSend(gone.id, {});
  command.bytes.fill(0x5a, 32, 56);

  const { errno, bytes } = await sender.rawSend(command, message);

  expect(errno).toBe("ENXIO");
  expect(bytes.slice(32, 56)).toEqual(new Uint8Array(24).fill(0x5a));
});
