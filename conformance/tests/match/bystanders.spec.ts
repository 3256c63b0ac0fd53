import { abi, cookies, covers, encodeCommand, expect, expectErrno, grant, item, KernelTrace, memory, prepareSend, RUSAGE_BYTES, RUSAGE_THREAD, Script, test, usageCount, usagePlace, type Bus, type Connection, type Pending, type Process, type ScriptResult } from "../../support/index.ts";

const POLLIN = 0x1;

interface Sleeper {
  readonly pending: Pending<ScriptResult>;
  /** Voluntary context switches of the thread between before and after its one poll. */
  switches(): Promise<bigint>;
}

/** A thread that waits in one poll until the connection has something. */
async function sleeper(connection: Connection): Promise<Sleeper> {
  const [before, after] = [memory(RUSAGE_BYTES), memory(RUSAGE_BYTES)];
  const { offset, width } = usagePlace(connection.process, "voluntarySwitches");
  const script = new Script();
  for (const used of [before, after]) script.place(used);
  script.syscall("getrusage", RUSAGE_THREAD, before);
  script.program.poll(connection.fd, POLLIN, 60_000);
  script.syscall("getrusage", RUSAGE_THREAD, after);
  const reads = [script.load(before, offset, width), script.load(after, offset, width)] as const;
  const pending = await connection.process.start(script);
  await pending.started.blocked();
  return {
    pending,
    async switches() {
      const result = await pending.done;
      const [first, last] = reads.map((read) => usageCount(result.bytes(read)));
      return (last ?? 0n) - (first ?? 0n);
    },
  };
}

/** Fits no rule of a connection that only listens to itself. */
const onlyItself = (connection: Connection): Promise<bigint> => connection.addMatch([item.id(connection.id)]);

async function traced(trace: KernelTrace, process: Process, body: (script: Script) => void): Promise<string[]> {
  await trace.clear();
  const script = new Script();
  trace.around(script, () => {
    body(script);
  });
  await process.run(script);
  return trace.lines();
}

async function tidOf(pending: Pending<ScriptResult>): Promise<number> {
  const state = await pending.started.blocked();
  expect(state.running).toBe(true);
  return state.outerTid;
}

test("MATCH-023 signals and notifications that fit nothing do not wake a waiting thread", covers("MATCH-023"), async ({ bus, spawn }) => {
  const [sender, owner] = [await bus.connect(), await bus.connect()];
  const bystander = await bus.connect({ by: await spawn({ label: "bystander" }) });
  await onlyItself(bystander);
  await bystander.addMatch([item.nameChange(abi.ITEM.NAME_REMOVE, abi.MATCH_ID_ANY, abi.MATCH_ID_ANY, "other.name")]);
  const sleeping = await sleeper(bystander);

  expect((await sender.flood("broadcast", 1000, { bloom: { filter: sender.bloomOnes() } })).sent).toBe(1000);
  for (let turn = 0; turn < 20; turn++) {
    await owner.acquire("a.b");
    await owner.release("a.b");
  }
  await sender.send(bystander, { cookie: 4711 });

  const switches = await sleeping.switches();
  expect(switches).toBeGreaterThanOrEqual(1n);
  expect(switches).toBeLessThanOrEqual(3n);
  expect(await cookies(bystander)).toEqual([4711n]);
});

test("MATCH-024 the scheduler wakes nobody for signals that do not fit and messages to others", covers("MATCH-024"), async ({ agent, bus, root, spawn }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const bystander = await bus.connect({ by: await spawn({ label: "bystander" }) });
  await onlyItself(bystander);
  const sleeping = await sleeper(bystander);
  const tid = await tidOf(sleeping.pending);
  const trace = await KernelTrace.of(agent, root, ["sched/sched_waking"]);
  const signal = await prepareSend(sender, "broadcast", { bloom: { filter: sender.bloomOnes() } });
  const other = await prepareSend(sender, receiver);
  const own = await prepareSend(sender, bystander);
  const wakings = (lines: readonly string[]): number => lines.filter((line) => new RegExp(`sched_waking:.* pid=${tid} `).test(line)).length;

  const quiet = await traced(trace, root, (script) => {
    script.repeat(200, () => signal.step(script).call);
    script.repeat(50, () => other.step(script).call);
  });
  const loud = await traced(trace, root, (script) => void own.step(script));

  expect(wakings(quiet)).toBe(0);
  expect(wakings(loud), "the method sees a real wake-up").toBeGreaterThanOrEqual(1);
  await sleeping.pending.done;
});

test("MATCH-026 one fitting message wakes a waiting thread once", covers("MATCH-026"), async ({ agent, bus, root, spawn }) => {
  const TURNS = 4;
  const sender = await bus.connect();
  const receiver = await bus.connect({ by: await spawn({ label: "receiver" }) });
  await receiver.addMatch();
  const trace = await KernelTrace.of(agent, root, ["sched/sched_waking"]);
  const signal = await prepareSend(sender, "broadcast", { bloom: { filter: sender.bloomOnes() } });
  // It waits again at once: a second wake-up that comes late would find it asleep.
  const waiting = new Script();
  waiting.program.loop(TURNS + 1, () => {
    waiting.program.poll(receiver.fd, POLLIN, 60_000);
    waiting.ioctl(receiver.fd, abi.COMMANDS.RECV, memory(encodeCommand("RECV", { flags: abi.RECV.DROP })));
  });
  const pending = await receiver.process.start(waiting);

  const wakeUps: number[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    const tid = await tidOf(pending);
    const lines = await traced(trace, root, (script) => {
      signal.step(script);
      script.program.sleepNs(100_000_000);
    });
    wakeUps.push(lines.filter((line) => new RegExp(`sched_waking:.* pid=${tid} `).test(line)).length);
  }
  await sender.broadcast();
  await pending.done;

  expect(wakeUps).toEqual(wakeUps.map(() => 1));
});

test("MATCH-025 a signal that policy holds back neither wakes nor counts as lost", covers("MATCH-025"), async ({ bus, spawn }) => {
  const sender = await bus.connect();
  const bystander = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "bystander" }) });
  await bystander.addMatch();
  const sleeping = await sleeper(bystander);

  expect((await sender.flood("broadcast", 1000, { bloom: { filter: sender.bloomOnes() } })).sent).toBe(1000);
  await sender.send(bystander, { cookie: 4711 });

  const switches = await sleeping.switches();
  expect(switches).toBeGreaterThanOrEqual(1n);
  expect(switches).toBeLessThanOrEqual(3n);
  const message = await bystander.recv();
  expect([message.header.cookie, message.droppedMsgs]).toEqual([4711n, 0n]);
});

test("MATCH-027 signals that do not fit cost no room and are not lost, even where no room is", covers("MATCH-027"), async ({ bus }) => {
  const sender = await bus.connect();
  const [bystander, listener] = [await fullConnection(bus, sender), await fullConnection(bus, sender)];
  await onlyItself(bystander);
  await listener.addMatch([item.id(sender.id)]);

  for (let turn = 0; turn < 10; turn++) await sender.broadcast({ payload: "x".repeat(2000) });

  expect((await listener.tryRecv()).command.dropped_msgs, "a listener does lose them").toBe(10n);
  expect((await bystander.tryRecv()).command.dropped_msgs).toBe(0n);
});

test("MATCH-022 a broadcast reaches who may talk to its sender, whatever the sender may", covers("MATCH-022"), async ({ bus, spawn }) => {
  const [alice, bob] = [await spawn({ uid: 1000, gid: 1000, label: "alice" }), await spawn({ uid: 2000, gid: 2000, label: "bob" })];
  const [one, two, privileged] = [await bus.connect({ by: alice }), await bus.connect({ by: bob }), await bus.connect()];
  await two.addMatch();
  await privileged.addMatch([item.id(one.id)]);
  await expectErrno(one.send(two), "EPERM");
  await expectErrno(one.send(privileged), "EPERM");

  await one.broadcast({ cookie: 1 });
  expect(await cookies(two)).toEqual([]);
  expect(await cookies(privileged)).toEqual([1n]);

  await bus.connectPolicyHolder("one.name", [grant.user(1000, abi.POLICY.OWN), grant.user(2000, abi.POLICY.TALK)]);
  await one.acquire("one.name");
  await two.recvAll(); // its NAME_ADD and the holder's ID_ADD
  await one.broadcast({ cookie: 2 });
  await expectErrno(one.send(two), "EPERM");
  expect(await cookies(two)).toEqual([2n]);
});

/** A connection whose pool has no room left for another 2000 bytes of this sender. */
async function fullConnection(bus: Bus, sender: Connection): Promise<Connection> {
  const connection = await bus.connect({ pool: 8192 });
  const { errno } = await sender.flood(connection, 300, { payload: "x".repeat(1000) });
  expect(errno).not.toBeNull();
  return connection;
}
