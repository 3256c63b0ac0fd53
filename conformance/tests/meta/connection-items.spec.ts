import { abi, attached, attachFlags, attachFlag, covers, expect, item, METADATA, prepareSend, PROCESS_METADATA, Script, sorted, test, visibleHere, type Info, type MetadataKind } from "../../support/index.ts";

const owned = (info: Pick<Info, "metadata">): string[] => info.metadata.names.map((entry) => entry.name).sort();

test("META-020 OWNED_NAME lists the names owned when the message is sent", covers("META-020"), async ({ bus }) => {
  const receiver = await bus.connect({ attachRecv: abi.ATTACH.NAMES });
  const [sender, rival] = [await bus.connect(), await bus.connect()];
  await rival.acquire("name.third");
  await sender.acquire("name.first");
  await sender.acquire("name.second", abi.NAME.ALLOW_REPLACEMENT);
  await sender.acquire("name.third", abi.NAME.QUEUE);

  await sender.send(receiver);
  await sender.release("name.first");
  await rival.release("name.third");
  await sender.send(receiver);

  const messages = await receiver.recvAll();
  expect(messages.map(owned)).toEqual([["name.first", "name.second"], ["name.second", "name.third"]]);
});

test("META-043 the flags of an owned name are PRIMARY and what it was acquired with", covers({ generation: "2015-08" }, "META-043", "META-020"), async ({ bus }) => {
  const receiver = await bus.connect({ attachRecv: abi.ATTACH.NAMES });
  const sender = await bus.connect();
  await sender.acquire("name.plain");
  await sender.acquire("name.replaceable", abi.NAME.ALLOW_REPLACEMENT);
  await sender.acquire("name.both", abi.NAME.ALLOW_REPLACEMENT | abi.NAME.QUEUE);
  await sender.acquire("name.taken", abi.NAME.REPLACE_EXISTING | abi.NAME.QUEUE);
  const activator = await bus.connectActivator("name.activated");

  await sender.send(receiver);

  const flags = (info: Pick<Info, "metadata">): Record<string, bigint> => Object.fromEntries(info.metadata.names.map((entry) => [entry.name, entry.flags]));
  const expected = { "name.plain": 0x20n, "name.replaceable": 0x22n, "name.both": 0x26n, "name.taken": 0x24n };
  expect(flags(await receiver.recv())).toEqual(expected);
  expect(flags(await receiver.info(sender))).toEqual(expected);
  expect(flags(await receiver.info(activator))).toEqual({ "name.activated": 0x30n });
});

test("META-021 CONN_DESCRIPTION is the description given at HELLO", covers("META-021"), async ({ bus }) => {
  const receiver = await bus.connect({ attachRecv: abi.ATTACH.CONN_DESCRIPTION });
  const [described, plain] = [await bus.connect({ description: "a-description" }), await bus.connect()];

  await described.send(receiver);
  await plain.send(receiver);

  expect((await receiver.recvAll()).map((message) => message.metadata.description)).toEqual(["a-description", undefined]);
  expect((await receiver.info(described)).metadata.description).toBe("a-description");
  expect((await receiver.info(plain)).metadata.description).toBeUndefined();
});

test("META-022 TIMESTAMP lies between the clocks read before and after SEND", covers("META-022"), async ({ bus, root }) => {
  const receiver = await bus.connect({ attachRecv: abi.ATTACH.TIMESTAMP });
  const sender = await bus.connect();
  const prepared = await prepareSend(sender, receiver);
  const script = new Script();
  const clocks = [script.program.clock(1), script.program.clock(0)];
  const { call } = prepared.step(script);
  clocks.push(script.program.clock(1), script.program.clock(0));
  const result = await root.run(script);
  expect(result.of(call).errno).toBeNull();

  const stamp = (await receiver.recv()).metadata.timestamp;

  const [monotonicBefore = 0n, realBefore = 0n, monotonicAfter = 0n, realAfter = 0n] = clocks.map((clock) => result.result.unsigned(clock));
  expect(stamp !== undefined && stamp.monotonic_ns >= monotonicBefore && stamp.monotonic_ns <= monotonicAfter, `monotonic ${stamp?.monotonic_ns} in ${monotonicBefore}..${monotonicAfter}`).toBe(true);
  expect(stamp !== undefined && stamp.realtime_ns >= realBefore && stamp.realtime_ns <= realAfter, `realtime ${stamp?.realtime_ns} in ${realBefore}..${realAfter}`).toBe(true);
});

test("META-027 CONN_INFO returns the names owned at the time of the query", covers("META-027"), async ({ bus }) => {
  const [asker, owner] = [await bus.connect(), await bus.connect()];
  const seen: string[][] = [];
  const look = async (): Promise<void> => void seen.push(owned(await asker.info(owner, abi.ATTACH.NAMES)));

  await look();
  await owner.acquire("name.first");
  await look();
  await owner.acquire("name.second");
  await owner.release("name.first");
  await look();

  expect(seen).toEqual([[], ["name.first"], ["name.second"]]);
});

test("META-040 every receiver of one message sees the same number", covers("META-040"), async ({ bus }) => {
  const sender = await bus.connect();
  const receivers = [await bus.connect({ attachRecv: abi.ATTACH.TIMESTAMP }), await bus.connect({ attachRecv: abi.ATTACH.TIMESTAMP }), await bus.connectMonitor({ attachRecv: abi.ATTACH.TIMESTAMP })];
  for (const receiver of receivers.slice(0, 2)) await receiver.addMatch([item.id(sender.id)]);

  for (const cookie of [11n, 12n, 13n]) await sender.broadcast({ cookie });

  const seen = await Promise.all(receivers.map(async (receiver) => (await receiver.recvAll()).filter((message) => message.header.src_id === sender.id).map(({ metadata }) => metadata.timestamp?.seqnum)));
  expect(seen[0]).toHaveLength(3);
  expect(new Set(seen[0]).size).toBe(3);
  expect(seen[0]).not.toContain(undefined);
  expect(seen[1]).toEqual(seen[0]);
  expect(seen[2]).toEqual(seen[0]);
});

test("META-040 numbers of a bus are not moved by other buses", covers("META-040"), async ({ bus, domain, root }) => {
  const other = await domain.makeBus(root);
  const [sender, receiver] = [await bus.connect(), await bus.connect({ attachRecv: abi.ATTACH.TIMESTAMP })];
  const elsewhere = await other.connect();

  await sender.send(receiver);
  await sender.send(receiver);
  for (let round = 0; round < 3; round++) {
    await elsewhere.send(elsewhere);
    await (await other.connect()).close();
  }
  await sender.send(receiver);

  const [first = 0n, second = 0n, third = 0n] = (await receiver.recvAll()).map(({ metadata }) => metadata.timestamp?.seqnum ?? 0n);
  expect(first).toBeGreaterThan(0n);
  expect(second).toBeGreaterThan(first);
  expect(third - second, "the step over traffic elsewhere").toBe(second - first);
});

test("META-041 CONN_INFO returns what both the target's mask and the request have", covers("META-041"), async ({ bus, root }) => {
  const target = await bus.connect({ description: "described" });
  const asker = await bus.connect();
  await target.acquire("test.name");
  const here: MetadataKind[] = ["CREDS", "PIDS", "AUXGROUPS", "OWNED_NAME", "CONN_DESCRIPTION", ...(await visibleHere(root))];
  const masks: MetadataKind[][] = [[], ["CREDS"], ["CREDS", "OWNED_NAME", "EXE"], ["TIMESTAMP", "CONN_DESCRIPTION", "CAPS"], [...METADATA]];

  for (const allowed of masks) {
    await target.update([item.attachFlagsSend(attachFlags(allowed))]);
    const seen: string[][] = [];
    for (const wanted of masks) seen.push(attached((await asker.info(target, attachFlags(wanted))).items));
    expect(seen, `target's mask ${allowed.join(", ")}`).toEqual(masks.map((wanted) => sorted(here.filter((kind) => allowed.includes(kind) && wanted.includes(kind)))));
  }
});

test("META-046 UPDATE of the send mask counts for CONN_INFO afterwards", covers("META-046"), async ({ bus }) => {
  const [target, asker] = [await bus.connect(), await bus.connect()];

  const before = attached((await asker.info(target, attachFlags(["CREDS", "PIDS"]))).items);
  await target.update([item.attachFlagsSend(abi.ATTACH.PIDS)]);
  const between = attached((await asker.info(target, attachFlags(["CREDS", "PIDS"]))).items);
  await target.update([item.attachFlagsSend(0)]);
  const after = attached((await asker.info(target, attachFlags(["CREDS", "PIDS"]))).items);

  expect([before, between, after]).toEqual([["CREDS", "PIDS"], ["PIDS"], []]);
});

for (const [what, creatorMask] of [["no mask", undefined], ["mask 0", []], ["CREDS and CAPS", ["CREDS", "CAPS"]], ["all", METADATA]] as const) {
  test(`META-042 BUS_CREATOR_INFO shows what the creator allowed: ${what}`, covers("META-042"), async ({ domain, root }) => {
    const bus = await domain.makeBus(root, creatorMask === undefined ? {} : { attachFlagsSend: attachFlags(creatorMask) });
    const asker = await bus.connect({ description: "asker" });
    const here: readonly MetadataKind[] = ["CREDS", "PIDS", "AUXGROUPS", ...(await visibleHere(root))];
    const allowed: readonly string[] = creatorMask ?? [];

    const all = await asker.creatorInfo(abi.ATTACH_ALL);
    const nothing = await asker.creatorInfo(0);
    const each: Record<string, string[]> = {};
    for (const kind of PROCESS_METADATA) each[kind] = attached((await asker.creatorInfo(attachFlag(kind))).items);

    expect([all.makeName, nothing.makeName]).toEqual([bus.name, bus.name]);
    expect(attached(all.items)).toEqual(sorted(here.filter((kind) => allowed.includes(kind))));
    expect(attached(nothing.items)).toEqual([]);
    expect(each).toEqual(Object.fromEntries(PROCESS_METADATA.map((kind) => [kind, here.includes(kind) && allowed.includes(kind) ? [kind] : []])));
    if (creatorMask === METADATA) expect(all.metadata.pids?.pid).toBe(BigInt(root.peer.pid));
  });
}
