import { abi, cookies, covers, decodeItems, decodeWords, encodeCommand, expect, expectErrno, expectResult, item, itemOf, memory, prepareSend, Script, STRUCTS, test, together, UNMAPPED, type Item } from "../../support/index.ts";

const ANY = abi.MATCH_ID_ANY;
const { NAME_ADD } = abi.ITEM;

test("MATCH-016 matches may share a cookie and are removed together", covers("MATCH-016"), async ({ bus }) => {
  const [one, two, three, receiver] = [await bus.connect(), await bus.connect(), await bus.connect(), await bus.connect()];
  await receiver.addMatch([item.id(one.id)], { cookie: 7n });
  await receiver.addMatch([item.id(two.id)], { cookie: 7n });
  await receiver.addMatch([item.id(three.id)], { cookie: 8n });

  for (const [index, sender] of [one, two, three].entries()) await sender.broadcast({ cookie: index + 1 });
  expect(await cookies(receiver)).toEqual([1n, 2n, 3n]);
  await receiver.removeMatch(7n);
  for (const [index, sender] of [one, two, three].entries()) await sender.broadcast({ cookie: index + 1 });

  expect(await cookies(receiver)).toEqual([3n]);
});

test("MATCH-017 REPLACE puts a match in the place of all with its cookie", covers("MATCH-017"), async ({ bus }) => {
  const [one, two, three, receiver] = [await bus.connect(), await bus.connect(), await bus.connect(), await bus.connect()];
  const broadcastAll = async (): Promise<bigint[]> => {
    for (const [index, sender] of [one, two, three].entries()) await sender.broadcast({ cookie: index + 1 });
    return cookies(receiver);
  };

  await receiver.addMatch([item.id(one.id)], { cookie: 0n, flags: abi.MATCH.REPLACE });
  expect(await broadcastAll()).toEqual([1n]);
  await receiver.addMatch([item.id(two.id)], { cookie: 0n });
  expect(await broadcastAll()).toEqual([1n, 2n]);
  await receiver.addMatch([item.id(three.id)], { cookie: 0n, flags: abi.MATCH.REPLACE });
  expect(await broadcastAll()).toEqual([3n]);
});

test("MATCH-018 an unknown cookie cannot be removed", covers("MATCH-018"), async ({ bus }) => {
  const [connection, other] = [await bus.connect(), await bus.connect()];
  await other.addMatch([], { cookie: 9n }); // cookies are private
  await expectErrno(connection.removeMatch(9n), "EBADSLT");

  await connection.addMatch([], { cookie: 9n });
  await connection.removeMatch(9n);

  await expectErrno(connection.removeMatch(9n), "EBADSLT");
});

for (const kind of ["activator", "monitor", "policy holder"] as const) {
  test(`MATCH-019 a connection that is a ${kind} has no matches`, covers("MATCH-019"), async ({ bus }) => {
    const special = kind === "activator" ? await bus.connectActivator("a.b") : kind === "monitor" ? await bus.connectMonitor() : await bus.connectPolicyHolder("a.b", []);

    for (const command of ["MATCH_ADD", "MATCH_REMOVE"] as const) {
      expectResult(await special.ioctl(command, encodeCommand(command, { cookie: 1 })), "EOPNOTSUPP");
      for (const pointer of [0, UNMAPPED]) expectResult(await special.ioctl(command, pointer), "EOPNOTSUPP");
    }
  });
}

test("MATCH-020 a faulty match is refused and changes nothing", covers("MATCH-020"), async ({ bus }) => {
  const [wanted, unwanted, receiver] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await unwanted.acquire("a.b");
  await receiver.addMatch([item.id(wanted.id)], { cookie: 1n });
  const { REPLACE } = abi.MATCH;
  const faults: Record<string, readonly [bigint, readonly Item[]]> = {
    CREDS: [REPLACE, [item.creds({})]],
    FDS: [REPLACE, [item.fds([])]],
    PAYLOAD_VEC: [REPLACE, [item.vec(0, 8)]],
    DST_NAME: [REPLACE, [item.dstName("a.b")]],
    REPLY_DEAD: [REPLACE, [item.raw(abi.ITEM.REPLY_DEAD)]],
    "type 0": [REPLACE, [item.raw(0)]],
    "type 0x7777": [REPLACE, [item.raw(0x7777, new Uint8Array(8))]],
    "a good rule and a bad one": [REPLACE, [item.id(ANY), item.creds({})]],
    "invalid name": [REPLACE, [item.name("a..b")]],
    "one element": [REPLACE, [item.name("foo")]],
    "empty name": [REPLACE, [item.name("")]],
    "wildcard name": [REPLACE, [item.name("a.*")]],
    "invalid name after a good one": [REPLACE, [item.name("a.b"), item.name("1.b")]],
    "short ID": [REPLACE, [item.raw(abi.ITEM.ID, new Uint8Array(4))]],
    "flag 0x2": [REPLACE | 0x2n, [item.id(ANY)]],
    "flag 1 << 62": [1n << 62n, [item.id(ANY)]],
  };

  const accepted: string[] = [];
  for (const [fault, [flags, items]] of Object.entries(faults)) {
    const { errno } = await receiver.ioctl("MATCH_ADD", encodeCommand("MATCH_ADD", { cookie: 1, flags }, items));
    if (errno !== "EINVAL") accepted.push(`${fault}: ${errno ?? "success"}`);
  }

  expect(accepted).toEqual([]);
  await unwanted.broadcast({ cookie: 1 });
  await wanted.broadcast({ cookie: 2 });
  expect(await cookies(receiver)).toEqual([2n]);
});

test("MATCH-021 a match counts from MATCH_ADD on and its removal leaves the queue alone", covers("MATCH-021"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];

  await sender.broadcast({ cookie: 1 });
  const match = await receiver.addMatch([item.id(sender.id)]);
  await sender.broadcast({ cookie: 2 });
  await sender.broadcast({ cookie: 3 });
  await receiver.removeMatch(match);
  await sender.broadcast({ cookie: 4 });

  expect(await cookies(receiver)).toEqual([2n, 3n]);
});

test("MATCH-021 signals meet matches that come and go at that moment", covers({ cpus: 2 }, "MATCH-021"), async ({ agent, domain, root, spawn }) => {
  const [ROUNDS, TURNS, CHANGES, MATCHES] = [15, 100, 15, 14];
  const cpus = BigInt((await agent.exec(["nproc"])).stdout.trim());
  // Masks as long as can be: a signal takes its time with each match, and meets its removal.
  const bus = await domain.makeBus(root, { name: "wide", bloom: { size: 4096, hashes: 8 } });
  const sender = await bus.connect({ by: await spawn({ label: "sender", affinity: 1n }) });
  const fickle = await bus.connect({ by: await spawn({ label: "fickle", affinity: 1n << (cpus - 1n) }) });
  const steady = await bus.connect({ by: await spawn({ label: "steady" }), pool: 8 << 20 });
  await steady.addMatch([item.id(sender.id)]);
  // Everything fits but the last rule, so that a signal goes through all of them.
  const rules = [...Array.from({ length: 7 }, () => item.bloomMask(new Uint8Array(4096))), item.id(fickle.id)];
  const add = memory(encodeCommand("MATCH_ADD", { cookie: 1 }, rules));
  const remove = memory(encodeCommand("MATCH_REMOVE", { cookie: 1 }));
  const send = await prepareSend(sender, "broadcast", { cookie: 1, bloom: { filter: new Uint8Array(4096) } });

  for (let round = 0; round < ROUNDS; round++) {
    const steps: Record<"sends" | "adds" | "removes", ReturnType<Script["ioctl"]>[]> = { sends: [], adds: [], removes: [] };
    const [sent, changed] = await together(64 * round, [
      { process: sender.process, build: (script) => script.repeat(TURNS, () => (steps.sends[0] = send.step(script).call)) },
      {
        process: fickle.process,
        build: (script) =>
          script.repeat(CHANGES, () => {
            for (let index = 0; index < MATCHES; index++) steps.adds[index] = script.ioctl(fickle.fd, abi.COMMANDS.MATCH_ADD, add);
            return (steps.removes[0] = script.ioctl(fickle.fd, abi.COMMANDS.MATCH_REMOVE, remove));
          }),
      },
    ]);
    const failed = [sent?.all(steps.sends[0]!), ...steps.adds.map((step) => changed?.all(step)), changed?.all(steps.removes[0]!)].map((all) => all?.filter(({ errno }) => errno !== null).length);
    expect(failed, "SENDs, MATCH_ADDs and MATCH_REMOVEs that failed").toEqual(failed.map(() => 0));
    expect((await steady.recvAll()).filter(({ header }) => header.src_id === sender.id), "signals for a match that stays").toHaveLength(TURNS);
  }
});

test("MATCH-029 DST_ID carries eight bytes", covers("MATCH-029"), async ({ bus }) => {
  const connection = await bus.connect();

  for (const size of [0, 4, 12, 16]) expectResult(await connection.ioctl("MATCH_ADD", encodeCommand("MATCH_ADD", { cookie: 1 }, [item.raw(abi.ITEM.DST_ID, new Uint8Array(size))])), "EINVAL");
  expectResult(await connection.ioctl("MATCH_ADD", encodeCommand("MATCH_ADD", { cookie: 1 }, [item.dstId(connection.id)])), null);
});

test("MATCH-029 a DST_ID rule with the own id fits unicast signals and no broadcast", covers("MATCH-029"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await receiver.addMatch([item.dstId(receiver.id)]);

  await sender.broadcast({ cookie: 1 });
  await sender.send(receiver, { cookie: 2, bloom: { filter: sender.bloomOnes() } });
  await sender.acquire("a.b");
  await (await bus.connect()).close();

  expect(await cookies(receiver)).toEqual([2n]);
});

test("MATCH-030 a DST_ID rule of all ones fits every signal", covers("MATCH-030"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await receiver.addMatch([item.dstId(ANY)]);

  await sender.broadcast({ cookie: 1 });
  await sender.send(receiver, { cookie: 2, bloom: { filter: sender.bloomOnes() } });
  await sender.acquire("a.b"); // a notification is no signal of a connection

  expect(await cookies(receiver)).toEqual([1n, 2n]);
});

test("MATCH-031 a DST_ID rule looks at the field as sent", covers("MATCH-031"), async ({ bus }) => {
  const [sender, byId, byZero] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await byId.acquire("by.id");
  await byId.addMatch([item.dstId(byId.id)]);
  await byZero.acquire("by.zero");
  await byZero.addMatch([item.dstId(0)]);

  for (const name of ["by.id", "by.zero"]) await sender.send(name, { cookie: 1, bloom: { filter: sender.bloomOnes() } });
  await sender.send(byId, { cookie: 2, dstName: "by.id", bloom: { filter: sender.bloomOnes() } });
  await sender.send(byZero, { cookie: 2, bloom: { filter: sender.bloomOnes() } });

  expect(await cookies(byId)).toEqual([2n]);
  expect(await cookies(byZero)).toEqual([1n]);
});

test("MATCH-034 several DST_ID rules in a match must all fit", covers("MATCH-034"), async ({ bus }) => {
  const [sender, never, both] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await never.addMatch([item.dstId(never.id), item.dstId(sender.id)]);
  await both.addMatch([item.dstId(both.id), item.dstId(ANY)]);

  for (const receiver of [never, both]) await sender.send(receiver, { cookie: 1, bloom: { filter: sender.bloomOnes() } });

  expect(await cookies(never)).toEqual([]);
  expect(await cookies(both)).toEqual([1n]);
});

test("MATCH-032 NEGOTIATE in MATCH_ADD is answered and is no rule", covers("MATCH-032"), async ({ bus, spawn }) => {
  const user = await spawn({ uid: 1000, gid: 1000, label: "user" });
  const [sender, receiver] = [await bus.connect({ by: user }), await bus.connect({ by: user })];
  const command = encodeCommand("MATCH_ADD", { cookie: 1 }, [item.negotiate([abi.ITEM.ID, abi.ITEM.FDS, abi.ITEM.BLOOM_MASK, 0x7777]), item.id(sender.id)]);

  const result = await receiver.ioctl("MATCH_ADD", command);
  expectResult(result, null);
  expect(decodeWords(itemOf(decodeItems(result.bytes, STRUCTS.cmd_match.size, result.bytes.length), "NEGOTIATE").payload)).toEqual([BigInt(abi.ITEM.ID), 0n, BigInt(abi.ITEM.BLOOM_MASK), 0n]);
  await sender.broadcast({ cookie: 1 });
  expect(await cookies(receiver)).toEqual([1n]);
  await receiver.removeMatch(1n);
  expectResult(await receiver.ioctl("MATCH_ADD", command), null);
  await receiver.close(); // with the match in force

  const next = await bus.connect({ by: user });
  await next.addMatch([item.id(sender.id)]);
  await sender.broadcast({ cookie: 2 });
  expect(await cookies(next)).toEqual([2n]);
});

test("MATCH-033 own broadcasts pass the own matches", covers("MATCH-033"), async ({ bus }) => {
  const other = await bus.connect();
  const own = async (fits: boolean, rule: (sender: bigint) => Item): Promise<void> => {
    const sender = await bus.connect({ pool: 65536 });
    await sender.addMatch([rule(sender.id)]);
    const filter = sender.bloomOnes().map((_, index) => (index === 0 ? 1 : 0));
    if (fits) await sender.acquire("own.name");
    await sender.broadcast({ cookie: 5, bloom: { filter } });
    if (fits) await sender.release("own.name");
    expect(await cookies(sender), fits ? "a fitting rule" : "a rule that does not fit").toEqual(fits ? [5n] : []);
  };
  const mask = (byte: number): Uint8Array => new Uint8Array(other.bloomSize()).map((_, index) => (index === 0 ? byte : 0));

  await own(true, (sender) => item.id(sender));
  await own(true, () => item.id(ANY));
  await own(true, () => item.name("own.name"));
  await own(true, () => item.bloomMask(mask(1)));
  await own(true, () => item.dstId(abi.DST_ID_BROADCAST));
  await own(false, () => item.id(other.id));
  await own(false, () => item.name("own.name"));
  await own(false, () => item.bloomMask(mask(2)));
  await own(false, (sender) => item.dstId(sender));
  await own(false, () => item.nameChange(NAME_ADD, ANY, ANY));
});
