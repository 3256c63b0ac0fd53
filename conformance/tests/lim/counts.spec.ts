import { abi, address, covers, decodeStruct, encodeCommand, expect, expectErrno, expectResult, item, memory, openToWorld, pageBeforeHole, prepareSend, readableAt, resultOf, Script, test, type Connection, type Process } from "../../support/index.ts";

const MANY_FILES = [{ resource: 7, soft: 4096n, hard: 4096n }]; // RLIMIT_NOFILE
const LATER = 600_000;
const NAME_AT = 24 + 16;

/** Requests of one connection to this many peers. */
async function request(client: Connection, servers: readonly Connection[], each: number, ms = LATER): Promise<number> {
  let sent = 0;
  for (const server of servers) sent += (await client.flood(server, each, { cookie: 1, expectReplyMs: ms })).sent;
  return sent;
}

test("LIM-013 a connection can have 128 open requests, to whomever", covers("LIM-013"), async ({ bus }) => {
  const client = await bus.connect();
  const servers: Connection[] = [];
  for (let count = 0; count < 8; count++) servers.push(await bus.connect());
  expect(await request(client, servers, 16)).toBe(128);

  const server = servers[0] as Connection;
  await expectErrno(client.send(server, { expectReplyMs: LATER }), "EMLINK");
  await expectErrno(client.call(server), "EMLINK");
  await client.send(server, { cookie: 4711 });

  expect((await server.recvAll()).at(-1)?.header.cookie, "a message that expects nothing").toBe(4711n);
});

for (const how of ["an answer", "its deadline", "the end of its destination"] as const) {
  test(`LIM-014 a request counts until ${how}`, covers("LIM-014"), async ({ bus }) => {
    const [client, server, other] = [await bus.connect(), await bus.connect(), await bus.connect()];
    expect(await request(client, [other], 127)).toBe(127);
    await client.send(server, { cookie: 500, expectReplyMs: how === "its deadline" ? 200 : LATER });
    const open = await server.recv();
    if (how !== "its deadline") await expectErrno(client.send(other, { expectReplyMs: LATER }), "EMLINK");

    if (how === "an answer") await server.reply(open);
    if (how === "the end of its destination") await server.close();
    expect(await readableAt(client, 5000), "the outcome").toBeDefined();
    await client.recv();

    await client.send(other, { cookie: 900, expectReplyMs: LATER });
    await expectErrno(client.send(other, { expectReplyMs: LATER }), "EMLINK");
  });
}

test("LIM-015 a request that timed out counts no longer although it is still queued", covers("LIM-015"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  expect(await request(client, [server], 128, 400)).toBe(128);
  for (let seen = 0; seen < 128; ) {
    expect(await readableAt(client, 5000)).toBeDefined();
    seen += (await client.recvAll()).length;
  }

  await client.send(server, { expectReplyMs: LATER });
});

test("LIM-017 a connection can own 256 names", covers("LIM-017"), async ({ bus }) => {
  const connection = await bus.connect();
  const script = new Script();
  const name = memory(encodeCommand("NAME_ACQUIRE", {}, [item.name("test.name.aaaa")]));
  const acquire: ReturnType<Script["ioctl"]>[] = [];
  const here = script.place(name).plus(NAME_AT + "test.name.".length);
  const turn = script.program.register();
  script.repeat(257, () => {
    // two letters count: a..p, a..p, and one more
    script.program.store(here, script.program.compute(script.program.compute(turn, "%", 16), "+", 97), 1);
    script.program.store(here.plus(1), script.program.compute(script.program.compute(script.program.compute(turn, "/", 16), "%", 32), "+", 97), 1);
    script.program.compute(turn, "+", 1, turn);
    return (acquire[0] = script.ioctl(connection.fd, abi.COMMANDS.NAME_ACQUIRE, name));
  });
  const outcomes = (await connection.process.run(script)).all(acquire[0] as ReturnType<Script["ioctl"]>).map(({ errno }) => errno);

  expect(outcomes).toEqual([...Array.from({ length: 256 }, () => null), "E2BIG"]);
  await connection.release("test.name.aaaa");
  await connection.acquire("one.more");
  await expectErrno(connection.acquire("and.another"), "E2BIG");
});

/** Opens an endpoint and says HELLO up to `count` times in one round trip; ends at the first error. Descriptors stay open. */
async function helloLoop(process: Process, path: string, count: number): Promise<{ readonly fds: number[]; readonly errno: string | null }> {
  const script = new Script();
  const fresh = encodeCommand("HELLO", { flags: 0, pool_size: 4096 });
  const [hello, file] = [memory(fresh), memory(`${path}\0`)];
  const steps: { open?: ReturnType<Script["ioctl"]>; hello?: ReturnType<Script["ioctl"]> } = {};
  script.repeat(count, () => {
    steps.open = process.openStep(script, file);
    steps.hello = script.ioctl(resultOf(steps.open), abi.COMMANDS.HELLO, hello);
    return steps.hello;
  }, { untilError: true }); // prettier-ignore
  const result = await process.run(script);
  const { open, hello: last } = steps as Required<typeof steps>;
  const outcomes = result.all(last);
  const fds = result.all(open).flatMap(({ value }, index) => (outcomes[index]?.errno === null ? [Number(value)] : []));
  return { fds, errno: outcomes.at(-1)?.errno ?? null };
}

test("LIM-018 a user can have 1024 connections in a domain", covers("LIM-018"), async ({ bus, spawn }) => {
  const user = await spawn({ uid: 1000, gid: 1000, rlimits: MANY_FILES, label: "user" });
  const other = await spawn({ uid: 2000, gid: 2000, label: "other" });
  const { fds, errno } = await helloLoop(user, bus.path, 1100);
  expect([fds.length, errno]).toEqual([1024, "EMFILE"]);

  expect((await helloLoop(other, bus.path, 1)).errno, "another user").toBeNull();
  const [first, second] = fds as [number, number];
  expectResult(await user.command(first, "BYEBYE", encodeCommand("BYEBYE", {})), null);
  expect((await helloLoop(user, bus.path, 1)).errno, "after BYEBYE").toBe("EMFILE");
  await user.close(second);
  expect((await helloLoop(user, bus.path, 1)).errno, "after close").toBeNull();
});

test("LIM-019 connections through a custom endpoint do not count for the user", covers("LIM-019"), async ({ bus, spawn }) => {
  const user = await spawn({ uid: 1000, gid: 1000, rlimits: MANY_FILES, label: "user" });
  const endpoint = await bus.makeEndpoint();
  expect((await helloLoop(user, bus.path, 1100)).fds).toHaveLength(1024);

  const { fds, errno } = await helloLoop(user, endpoint.path, 20);

  expect([fds.length, errno]).toEqual([20, null]);
});

test("LIM-020 a user can have 16 buses in a domain", covers("LIM-020"), async ({ domain, spawn }) => {
  const user = await spawn({ uid: 1000, gid: 1000, label: "user" });
  const buses = [];
  for (let count = 0; count < 16; count++) buses.push(await domain.makeBus(user));

  await expectErrno(domain.makeBus(user), "EMFILE");
  await domain.makeBus(await spawn({ uid: 2000, gid: 2000, label: "other" }));
  await buses[7]?.close();
  await domain.makeBus(user);
  await expectErrno(domain.makeBus(user), "EMFILE");
});

test("LIM-021 commands of up to 32768 bytes are accepted", covers("LIM-021"), async ({ bus }) => {
  const connection = await bus.connect();
  const rules = (count: number): ReturnType<typeof item.id>[] => Array.from({ length: count }, () => item.id(connection.id));
  const filled = encodeCommand("MATCH_ADD", { cookie: 1 }, rules(1364)); // 32 bytes and 24 for each rule
  expect(filled.bytes.length).toBe(32768);

  expectResult(await connection.ioctl("MATCH_ADD", filled), null);
  expectResult(await connection.ioctl("MATCH_ADD", encodeCommand("MATCH_ADD", { cookie: 1 }, rules(1365))), "EMSGSIZE");
  expectResult(await connection.ioctl("MATCH_ADD", encodeCommand("MATCH_ADD", { cookie: 1, size: 32769 }, rules(1365))), "EMSGSIZE");
});

test("LIM-025 a connection can have 4096 matches, and REPLACE makes room", covers("LIM-025"), async ({ bus }) => {
  const connection = await bus.connect();
  const script = new Script();
  const add = memory(encodeCommand("MATCH_ADD", { cookie: 1 }, [item.id(connection.id)]));
  const calls: ReturnType<Script["ioctl"]>[] = [];
  script.repeat(4097, () => (calls[0] = script.ioctl(connection.fd, abi.COMMANDS.MATCH_ADD, add)), { untilError: true, add: [{ memory: add, at: 24, by: 1 }] });
  const outcomes = (await connection.process.run(script)).all(calls[0] as ReturnType<Script["ioctl"]>);
  expect([outcomes.length, outcomes.filter(({ errno }) => errno === null).length, outcomes.at(-1)?.errno]).toEqual([4097, 4096, "EMFILE"]);

  await connection.addMatch([], { cookie: 7n, flags: abi.MATCH.REPLACE });
  await expectErrno(connection.addMatch([], { cookie: 9999n, flags: abi.MATCH.REPLACE }), "EMFILE");
  await connection.removeMatch(8n);
  await connection.addMatch([], { cookie: 9999n });
});

for (const how of ["REPLACE", "MATCH_REMOVE"] as const) {
  test(`LIM-025 all matches of a cookie make room when ${how} takes them`, covers("LIM-025"), async ({ bus }) => {
    const connection = await bus.connect();
    const add = async (cookie: bigint): Promise<number> => {
      const script = new Script();
      const command = memory(encodeCommand("MATCH_ADD", { cookie }, [item.id(connection.id)]));
      const calls: ReturnType<Script["ioctl"]>[] = [];
      script.repeat(4097, () => (calls[0] = script.ioctl(connection.fd, abi.COMMANDS.MATCH_ADD, command)), { untilError: true });
      const outcomes = (await connection.process.run(script)).all(calls[0] as ReturnType<Script["ioctl"]>);
      expect(outcomes.at(-1)?.errno).toBe("EMFILE");
      return outcomes.length - 1;
    };
    expect(await add(1n)).toBe(4096);

    if (how === "REPLACE") await connection.addMatch([], { cookie: 1n, flags: abi.MATCH.REPLACE });
    else await connection.removeMatch(1n);

    expect(await add(2n)).toBe(how === "REPLACE" ? 4095 : 4096);
  });
}

test("LIM-026 a SEND that fails changes no quota", covers("LIM-026"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ pool: 65536 })];
  const offsets: bigint[] = [];
  const full = { payload: "x".repeat(9000) };
  while ((await sender.flood(receiver, 1, full)).sent === 1) offsets.push((await receiver.recv({ keep: true })).offset);
  const hole = await pageBeforeHole(root);
  const fd = await root.open("/dev/null");
  const failing = [
    ["EXFULL", await prepareSend(sender, receiver, { ...full, fds: [fd] })],
    ["ENOBUFS", await prepareSend(sender, receiver, { payload: "x".repeat(12_000) })],
    ["EMFILE", await prepareSend(sender, receiver, { fds: Array.from({ length: 17 }, () => fd) })],
    ["EFAULT", await prepareSend(sender, receiver, { items: [item.vec(hole + 4000n, 100)], fds: [fd] })],
  ] as const;
  const script = new Script();
  const steps: ReturnType<Script["ioctl"]>[] = [];
  script.repeat(1000, () => (steps.push(...failing.map(([, send]) => send.step(script).call)), steps[0] as ReturnType<Script["ioctl"]>));
  const result = await sender.process.run(script);
  for (const [index, [errno]] of failing.entries()) expect(new Set(result.all(steps[index] as ReturnType<Script["ioctl"]>).map((outcome) => outcome.errno))).toEqual(new Set([errno]));

  for (const offset of offsets) await receiver.free(offset);

  await sender.send(receiver, { payload: "y".repeat(Math.floor(65536 / 6) - 96 - 256) });
  await receiver.recv();
  await sender.send(receiver, { fds: Array.from({ length: 16 }, () => fd) });
  await receiver.drop();
  const roomy = await bus.connect();
  await sender.flood(roomy, 1000, full); // refused at last, with ENOBUFS
  await roomy.recvAll();
  expect(await sender.flood(roomy, 300)).toEqual({ sent: 256, errno: "ENOBUFS" });
});

const creds = (uid: number): ReturnType<typeof item.creds> => item.creds({ uid, euid: uid, suid: uid, fsuid: uid, gid: uid, egid: uid, sgid: uid, fsgid: uid });

test("LIM-027 messages of faked credentials are charged to the faked user", covers("LIM-027"), async ({ bus }) => {
  const [own, faked, receiver] = [await bus.connect(), await bus.connect({ items: [creds(1000)] }), await bus.connect()];

  expect(await own.flood(receiver, 257)).toEqual({ sent: 256, errno: "ENOBUFS" });

  expect(await faked.flood(receiver, 257)).toEqual({ sent: 256, errno: "ENOBUFS" });
});

test("LIM-027 the faked user shares its quota with the real one", covers("LIM-027"), async ({ bus, spawn }) => {
  const [faked, receiver] = [await bus.connect({ items: [creds(1000)] }), await bus.connect()];
  await openToWorld(bus, receiver);
  const real = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "real" }) });
  expect((await real.flood(receiver, 200)).errno).toBeNull();

  expect(await faked.flood(receiver, 257)).toEqual({ sent: 56, errno: "ENOBUFS" });
});

test("LIM-027 without CAP_IPC_OWNER the opener is charged, faked or not", covers("LIM-027"), async ({ domain, spawn }) => {
  const CAP_IPC_OWNER = 15n;
  const owner = await spawn({ uid: 1000, gid: 1000, capabilities: { drop: 1n << CAP_IPC_OWNER }, label: "owner" });
  const bus = await domain.makeBus(owner); // its owner may fake credentials, by effective uid
  const [faked, own, receiver] = [await bus.connect({ items: [creds(2000)] }), await bus.connect(), await bus.connect()];
  expect((await own.flood(receiver, 200)).errno).toBeNull();

  expect(await faked.flood(receiver, 257)).toEqual({ sent: 56, errno: "ENOBUFS" });
});

test("LIM-029 connections are charged to who opened the file", covers("LIM-029"), async ({ bus, root, spawn }) => {
  const [own, receiver] = [await bus.connect(), await bus.connect()];
  const nobody = await spawn({ uid: 65534, gid: 65534, label: "nobody" });
  const opened = await root.open(bus.path);
  const there = await root.giveFd(opened, nobody);
  const { errno, bytes } = await nobody.command(there, "HELLO", encodeCommand("HELLO", { pool_size: 65536 }));
  expect(errno).toBeNull();
  expect(decodeStruct("cmd_hello", bytes).id).toBeGreaterThan(0n);
  expect((await own.flood(receiver, 200)).errno).toBeNull();

  // the handle is root's again, so the sender may talk; the charge is what counts
  const script = new Script();
  const { message } = await own.encodeSend(receiver, { cookie: 1 });
  const command = memory(encodeCommand("SEND", { msg_address: address(message) }));
  const calls: ReturnType<Script["ioctl"]>[] = [];
  script.repeat(257, () => (calls[0] = script.ioctl(opened, abi.COMMANDS.SEND, command)), { untilError: true });
  const outcomes = (await root.run(script)).all(calls[0] as ReturnType<Script["ioctl"]>);

  expect([outcomes.length - 1, outcomes.at(-1)?.errno]).toEqual([56, "ENOBUFS"]);
});
