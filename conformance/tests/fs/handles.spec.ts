import { abi, covers, encodeCommand, expect, expectErrno, expectResult, forkOf, grant, item, memory, prepareSend, Script, stat, test, together, type Bus, type Process } from "../../support/index.ts";

const POLL = { IN: 0x1, OUT: 0x4, ERR: 0x8, HUP: 0x10, RDNORM: 0x40, WRNORM: 0x100 } as const;
const WANTED = POLL.IN | POLL.OUT | POLL.RDNORM | POLL.WRNORM;
const DEAD = POLL.ERR | POLL.HUP;
const hello = (): ReturnType<typeof encodeCommand> => encodeCommand("HELLO", { pool_size: 65536, attach_flags_send: abi.ATTACH_ALL });
const busMake = (name: string): ReturnType<typeof encodeCommand> => encodeCommand("BUS_MAKE", {}, [item.makeName(name), item.bloomParameter(64, 1)]);
const endpointMake = (name: string): ReturnType<typeof encodeCommand> => encodeCommand("ENDPOINT_MAKE", {}, [item.makeName(name)]);

/** Errors of all commands but some, each with an argument of zeros. */
async function refused(process: Process, fd: number, except: readonly abi.CommandName[] = []): Promise<Record<string, string | null>> {
  const seen: Record<string, string | null> = {};
  for (const name of abi.COMMAND_NAMES) if (!except.includes(name)) seen[name] = (await process.command(fd, name, memory(96))).errno;
  return seen;
}

const all = (except: readonly abi.CommandName[], errno: string): Record<string, string> => Object.fromEntries(abi.COMMAND_NAMES.filter((name) => !except.includes(name)).map((name) => [name, errno]));

for (const [label, flags] of [["O_RDONLY", 0], ["O_WRONLY", 1], ["O_RDWR", 2]] as const) {
  test(`FS-021 commands work on handles opened with ${label}`, covers("FS-021"), async ({ bus, domain, root }) => {
    const [control, connection, owner] = [await root.open(domain.control, flags), await root.open(bus.path, flags), await root.open(bus.path, flags)];

    expectResult(await root.command(control, "BUS_MAKE", busMake("0-opened")), null);
    expectResult(await root.command(connection, "HELLO", hello()), null);
    expectResult(await root.command(connection, "NAME_ACQUIRE", encodeCommand("NAME_ACQUIRE", {}, [item.name("a.b")])), null);
    expectResult(await root.command(connection, "LIST", encodeCommand("LIST", { flags: abi.LIST.NAMES })), null);
    expectResult(await root.command(owner, "ENDPOINT_MAKE", endpointMake("0-opened")), null);
    expectResult(await root.command(owner, "ENDPOINT_UPDATE", encodeCommand("ENDPOINT_UPDATE", {})), null);
  });
}

test("FS-022 control takes BUS_MAKE only", covers("FS-022"), async ({ domain, root }) => {
  const fd = await root.open(domain.control);

  expect(await refused(root, fd, ["BUS_MAKE"])).toEqual(all(["BUS_MAKE"], "EBADFD"));
  expectResult(await root.command(fd, "BUS_MAKE", busMake("0-made")), null);
});

test("FS-023 an endpoint takes HELLO and ENDPOINT_MAKE only", covers("FS-023"), async ({ bus, root }) => {
  const fd = await root.open(bus.path);

  expect(await refused(root, fd, ["HELLO", "ENDPOINT_MAKE"])).toEqual(all(["HELLO", "ENDPOINT_MAKE"], "EBADFD"));
  expectResult(await root.command(fd, "HELLO", hello()), null);
});

test("FS-024 a handle gets one role for good", covers("FS-024"), async ({ bus, root }) => {
  const connection = await bus.connect();
  const endpoint = await bus.makeEndpoint();

  for (const fd of [bus.ownerFd, endpoint.ownerFd, connection.fd]) {
    expectResult(await root.command(fd, "BUS_MAKE", busMake("0-second")), "EBADFD");
    expectResult(await root.command(fd, "ENDPOINT_MAKE", endpointMake("0-second")), "EBADFD");
    expectResult(await root.command(fd, "HELLO", hello()), "EBADFD");
  }
  expect((await connection.list(abi.LIST.UNIQUE)).map(({ id }) => id)).toEqual([connection.id]);
});

test("FS-025 a bus owner takes no command", covers("FS-025"), async ({ bus, root }) => {
  expect(await refused(root, bus.ownerFd)).toEqual(all([], "EBADFD"));
});

test("FS-026 an endpoint owner takes ENDPOINT_UPDATE only", covers("FS-026"), async ({ bus, root }) => {
  const endpoint = await bus.makeEndpoint();

  expect(await refused(root, endpoint.ownerFd, ["ENDPOINT_UPDATE"])).toEqual(all(["ENDPOINT_UPDATE"], "EBADFD"));
  await endpoint.update([]);
});

test("FS-027 a connection takes no ENDPOINT_UPDATE", covers("FS-027"), async ({ bus }) => {
  const connection = await bus.connect();

  expectResult(await connection.ioctl("ENDPOINT_UPDATE", encodeCommand("ENDPOINT_UPDATE", {})), "EBADFD");
});

test("FS-028 after a failed set-up the handle can be set up", covers("FS-028"), async ({ bus, domain, root }) => {
  const [control, connection, owner] = [await root.open(domain.control), await root.open(bus.path), await root.open(bus.path)];

  expectResult(await root.command(control, "BUS_MAKE", busMake("1-foreign")), "EINVAL");
  expectResult(await root.command(control, "BUS_MAKE", busMake("0-own")), null);
  expectResult(await root.command(connection, "HELLO", encodeCommand("HELLO", { pool_size: 0 })), "EINVAL");
  expectResult(await root.command(connection, "HELLO", hello()), null);
  expectResult(await root.command(owner, "ENDPOINT_MAKE", endpointMake("0-")), "EINVAL");
  expectResult(await root.command(owner, "ENDPOINT_MAKE", endpointMake("0-own")), null);
});

test("FS-028 a set-up whose name is taken leaves the handle usable", covers("FS-028"), async ({ bus, domain, root }) => {
  const [control, owner] = [await root.open(domain.control), await root.open(bus.path)];
  const activator = (name: string): ReturnType<typeof encodeCommand> => encodeCommand("HELLO", { flags: abi.HELLO.ACTIVATOR, pool_size: 4096 }, [item.name(name)]);
  const holder = (name: string): ReturnType<typeof encodeCommand> => encodeCommand("HELLO", { flags: abi.HELLO.POLICY_HOLDER, pool_size: 4096 }, [item.name(name), grant.world(abi.POLICY.OWN)]);
  await bus.makeEndpoint({ name: "taken" });
  expectResult(await root.command(await root.open(bus.path), "HELLO", activator("act.taken")), null);
  expectResult(await root.command(await root.open(bus.path), "HELLO", holder("policy.taken")), null);

  expectResult(await root.command(control, "BUS_MAKE", busMake(bus.name)), "EEXIST");
  expectResult(await root.command(control, "BUS_MAKE", busMake("0-free")), null);
  expectResult(await root.command(owner, "ENDPOINT_MAKE", endpointMake("0-taken")), "EEXIST");
  expectResult(await root.command(owner, "ENDPOINT_MAKE", endpointMake("0-free")), null);
  for (const [taken, free] of [[activator("act.taken"), activator("act.free")], [holder("policy.taken"), holder("policy.free")], [holder("policy.taken"), hello()]] as const) {
    const fd = await root.open(bus.path);
    expectResult(await root.command(fd, "HELLO", taken), "EEXIST");
    expectResult(await root.command(fd, "HELLO", free), null);
  }
});

test("FS-029 poll calls every handle dead that is no live connection", covers("FS-029"), async ({ bus, domain, root }) => {
  const [gone, cut] = [await bus.connect(), await (await domain.makeBus(root, { name: "cut" })).connect()];
  await gone.byebye();
  const endpoint = await bus.makeEndpoint();
  const handles = { control: await root.open(domain.control), untyped: await root.open(bus.path), owner: bus.ownerFd, endpoint: endpoint.ownerFd, disconnected: gone.fd };

  const seen: Record<string, number> = {};
  for (const [what, fd] of Object.entries(handles)) seen[what] = (await root.poll(fd, WANTED, 0)) & DEAD;

  expect(seen).toEqual(Object.fromEntries(Object.keys(handles).map((what) => [what, DEAD])));
  expect((await cut.poll(0, WANTED)) & DEAD).toBe(0);
});

test("FS-030 a connection is always writable, and readable with a message or a loss", covers("FS-030"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ pool: 4096 })];
  const idle = POLL.OUT | POLL.WRNORM;
  await receiver.addMatch([item.id(sender.id)]);

  expect(await receiver.poll(0, WANTED)).toBe(idle);
  await sender.send(receiver);
  expect(await receiver.poll(0, WANTED)).toBe(WANTED);
  await receiver.recv();
  expect(await receiver.poll(0, WANTED)).toBe(idle);
  await sender.broadcast({ payload: "x".repeat(8192) }); // larger than the pool
  expect(await receiver.poll(0, WANTED)).toBe(WANTED);
  expect(await receiver.tryRecv()).toMatchObject({ errno: "EAGAIN", command: { dropped_msgs: 1n } });
  expect(await receiver.poll(0, WANTED)).toBe(idle);
});

for (const [event, expected] of [["a message", POLL.IN], ["a disconnect", DEAD]] as const) {
  test(`FS-031 a waiting poll is woken by ${event}`, covers("FS-031"), async ({ bus, root, spawn }) => {
    const sender = await bus.connect();
    const receiver = await bus.connect({ by: await spawn({ label: "receiver" }) });
    const pending = await receiver.process.startPoll(receiver.fd, POLL.IN, 30_000);
    expect((await pending.started.blocked()).running).toBe(true);

    if (event === "a message") await sender.send(receiver);
    else await root.close(bus.ownerFd);

    expect((await pending.done) & (POLL.IN | DEAD)).toBe(expected);
  });
}

test("FS-031 of messages that come one by one none is slept through", covers({ cpus: 2 }, "FS-031", "MSG-002"), async ({ agent, bus, spawn }) => {
  const [TURNS, LIMIT_NS] = [400, 10_000_000_000n];
  const cpus = BigInt((await agent.exec(["nproc"])).stdout.trim());
  const sides = [await bus.connect({ by: await spawn({ label: "here", affinity: 1n }) }), await bus.connect({ by: await spawn({ label: "there", affinity: 1n << (cpus - 1n) }) })] as const;
  const sends = [await prepareSend(sides[0], sides[1], { cookie: 1 }), await prepareSend(sides[1], sides[0], { cookie: 1 })] as const;
  const slept: ReturnType<Script["program"]["clock"]>[] = [];
  const results = await together(0, sides.map((side, index) => ({
    process: side.process,
    build: (script: Script) => {
      const { program } = script;
      const missed = program.compute(0, "+", 0);
      slept[index] = missed;
      const wait = (): void => {
        const began = program.clock(1);
        program.poll(side.fd, POLL.IN, Number(LIMIT_NS / 1_000_000n));
        const ended = program.clock(1);
        program.if(program.compute(ended, "-", began), ">=", LIMIT_NS, () => program.compute(missed, "+", 1, missed));
        script.ioctl(side.fd, abi.COMMANDS.RECV, memory(encodeCommand("RECV", { flags: abi.RECV.DROP })));
      };
      program.loop(TURNS, () => {
        if (index === 1) wait();
        sends[index]!.step(script);
        if (index === 0) wait();
        program.breakIf(missed, "!=", 0);
      });
    },
  }))); // prettier-ignore

  expect(results.map(({ result }, index) => result.number(slept[index]!)), "messages that woke nobody").toEqual([0, 0]);
});

test("FS-031 a message that comes while its receiver begins to wait is not slept through", covers({ cpus: 2 }, "FS-031", "MSG-002"), async ({ agent, bus, spawn }) => {
  const [TURNS, DELAYS, LIMIT_NS] = [1500, 500, 10_000_000_000n];
  const cpus = BigInt((await agent.exec(["nproc"])).stdout.trim());
  const receiver = await bus.connect({ by: await spawn({ label: "receiver", affinity: 1n }) });
  const sender = await bus.connect({ by: await spawn({ label: "sender", affinity: 1n << (cpus - 1n) }) });
  const send = await prepareSend(sender, receiver, { cookie: 1 });
  const [SENDING, TAKEN] = [8, 16]; // places of the arena: turns begun by the sender and ended by the receiver
  const seen: ReturnType<Script["program"]["clock"]>[] = [];
  const waiting = (script: Script): void => {
    const { program } = script;
    const missed = program.compute(0, "+", 0);
    program.loop(TURNS, (turn) => {
      program.breakIf(program.waitFor(program.arena(SENDING), ">", turn, { timeoutMs: 10_000 }), "==", 0);
      // SEND takes longer than poll() does to look at the queue: in some of the turns both come to the same moment
      program.loop(program.compute(turn, "%", DELAYS), () => undefined);
      const began = program.clock(1);
      program.poll(receiver.fd, POLL.IN, Number(LIMIT_NS / 1_000_000n));
      const ended = program.clock(1);
      program.if(program.compute(ended, "-", began), ">=", LIMIT_NS, () => program.compute(missed, "+", 1, missed));
      script.ioctl(receiver.fd, abi.COMMANDS.RECV, memory(encodeCommand("RECV", { flags: abi.RECV.DROP })));
      program.fetchAdd(program.arena(TAKEN), 1);
      program.breakIf(missed, "!=", 0);
    });
    seen.push(missed, program.fetchAdd(program.arena(TAKEN), 0));
  };
  const sending = (script: Script): void => {
    const { program } = script;
    program.loop(TURNS, (turn) => {
      program.breakIf(program.waitFor(program.arena(TAKEN), ">=", turn, { timeoutMs: 20_000 }), "==", 0);
      program.fetchAdd(program.arena(SENDING), 1);
      send.step(script);
    });
  };
  const [took] = await together(0, [{ process: receiver.process, build: waiting }, { process: sender.process, build: sending }]);

  expect(took?.result.number(seen[0]!), "messages that woke nobody").toBe(0);
  expect(took?.result.number(seen[1]!), "turns").toBe(TURNS);
});

test("FS-032 only a connection has something to map", covers("FS-032"), async ({ bus, domain, root }) => {
  const endpoint = await bus.makeEndpoint();

  for (const fd of [await root.open(bus.path), await root.open(domain.control), bus.ownerFd, endpoint.ownerFd]) {
    const script = new Script();
    const map = script.map(fd, 4096, root.peer.reserve(0));
    expect((await root.run(script)).of(map).errno).toBe("EBADFD");
  }
});

test("FS-033 nothing is read from or written to the files", covers("FS-033"), async ({ bus, domain, root }) => {
  const connection = await bus.connect();
  await connection.send(connection);

  for (const fd of [await root.open(domain.control), await root.open(bus.path), bus.ownerFd, connection.fd]) {
    expectResult(await root.syscall("read", fd, memory(64), 64), "EINVAL");
    expectResult(await root.syscall("write", fd, memory("hello"), 5), "EINVAL");
  }
});

for (const way of ["dup", "fork", "descriptor passing"] as const) {
  test(`FS-035 a handle shared by ${way} lives until its last reference is closed`, covers("FS-035"), async ({ domain, root, spawn }) => {
    const [owner, other] = [await spawn({ label: "owner" }), await spawn({ label: "other" })];
    const bus: Bus = await domain.makeBus(owner);
    const holder = way === "dup" ? owner : way === "fork" ? await forkOf(owner, { label: "child" }) : other;
    const fd = way === "dup" ? Number(await owner.must("dup", bus.ownerFd)) : way === "fork" ? bus.ownerFd : await owner.giveFd(bus.ownerFd, other);

    await owner.close(bus.ownerFd);
    const connection = await bus.connect({ by: root });
    expect((await stat(root, bus.path)).kind).toBe("file");
    await holder.close(fd);

    await expectErrno(stat(root, bus.path), "ENOENT");
    await expectErrno(connection.list(abi.LIST.UNIQUE), "ECONNRESET");
  });
}

test("FS-036 a handle of a vanished endpoint cannot be set up", covers("FS-036"), async ({ bus, root }) => {
  const endpoint = await bus.makeEndpoint();
  const [early, custom] = [await root.open(bus.path), await root.open(endpoint.path)];

  await endpoint.close();
  expectResult(await root.command(custom, "HELLO", hello()), "ESHUTDOWN");
  await bus.close();

  expectResult(await root.command(early, "HELLO", hello()), "ESHUTDOWN");
  expectResult(await root.command(early, "ENDPOINT_MAKE", endpointMake("0-late")), "ESHUTDOWN");
});

test("FS-037 an endpoint of an ended bus cannot be updated", covers("FS-037"), async ({ bus, root }) => {
  const endpoint = await bus.makeEndpoint();
  const update = encodeCommand("ENDPOINT_UPDATE", {});
  expectResult(await root.command(endpoint.ownerFd, "ENDPOINT_UPDATE", update), null);

  await bus.close();

  expectResult(await root.command(endpoint.ownerFd, "ENDPOINT_UPDATE", update), "ESHUTDOWN");
});
