import { abi, attached, attachFlag, attachFlags, covers, encodeCommand, expect, expectErrno, expectResult, initialModuleMask, item, METADATA, MODULE_MASK, setModuleMask, sorted, test, visibleHere, type Bus, type Connection, type Info, type MetadataKind } from "../../support/index.ts";

/** A sender that has something to tell of every kind. */
async function talkative(bus: Bus): Promise<Connection> {
  const sender = await bus.connect({ description: "described" });
  await sender.acquire("test.name");
  return sender;
}

for (const [place, clear] of [
  ["the module mask", (_sender: Connection, _receiver: Connection, mask: bigint, set: (mask: bigint) => Promise<unknown>) => set(mask)],
  ["the sender's mask", (sender: Connection, _receiver: Connection, mask: bigint) => sender.update([item.attachFlagsSend(mask)])],
  ["the receiver's mask", (_sender: Connection, receiver: Connection, mask: bigint) => receiver.update([item.attachFlagsRecv(mask)])],
] as const) {
  test(`META-001 a kind that ${place} lacks is not attached, every other one is`, covers("META-001"), async ({ bus, root, agent }) => {
    const [sender, receiver] = [await talkative(bus), await bus.connect({ attachRecv: abi.ATTACH_ALL })];
    const here: MetadataKind[] = ["TIMESTAMP", "CREDS", "PIDS", "AUXGROUPS", "OWNED_NAME", "CONN_DESCRIPTION", ...(await visibleHere(root))];
    await sender.send(receiver);
    expect(attached((await receiver.recv()).items), "with all three open").toEqual(sorted(here));

    const seen: Record<string, string[]> = {};
    for (const kind of METADATA) {
      await clear(sender, receiver, abi.ATTACH_ALL & ~attachFlag(kind), (mask) => setModuleMask(agent, mask));
      await sender.send(receiver);
      seen[kind] = attached((await receiver.recv()).items);
    }

    expect(seen).toEqual(Object.fromEntries(METADATA.map((kind) => [kind, sorted(here.filter((other) => other !== kind))])));
  });
}

test("META-002 the module mask is root's, has its default and limits every way out", covers("META-002"), async ({ domain, root, agent, machine, spawn }) => {
  const bus = await domain.makeBus(root, { attachFlagsSend: abi.ATTACH_ALL });
  const [sender, receiver] = [await talkative(bus), await bus.connect({ attachRecv: abi.ATTACH_ALL })];
  const user = await spawn({ uid: 1000, gid: 1000, label: "user" });
  const O_WRONLY = 1;

  await user.close(await user.open(MODULE_MASK, 0));
  await expectErrno(user.open(MODULE_MASK, O_WRONLY), "EACCES");
  await setModuleMask(agent, abi.ATTACH.CREDS);
  await sender.send(receiver);
  const seen = [await receiver.recv(), await receiver.info(sender), await receiver.creatorInfo()].map(({ items }) => attached(items));

  expect(initialModuleMask(machine), "before the run opened it").toBe(String(0x281f));
  expect(seen).toEqual([["CREDS"], ["CREDS"], ["CREDS"]]);
});

test("META-005 a bus requires flags of HELLO and UPDATE", covers("META-005"), async ({ domain, root }) => {
  const bus = await domain.makeBus(root, { items: [item.attachFlagsRecv(attachFlags(["CREDS", "EXE"]))] });
  const [connection, fd] = [await bus.connect(), await root.open(bus.path)];

  for (const kind of ["CREDS", "EXE"] as const) {
    expectResult(await root.command(fd, "HELLO", encodeCommand("HELLO", { pool_size: 4096, attach_flags_send: attachFlag(kind) })), "ECONNREFUSED");
    expectResult(await connection.ioctl("UPDATE", encodeCommand("UPDATE", {}, [item.attachFlagsSend(attachFlag(kind))])), "EINVAL");
  }

  expectResult(await root.command(fd, "HELLO", encodeCommand("HELLO", { pool_size: 4096, attach_flags_send: attachFlags(["CREDS", "EXE"]) })), null);
  expectResult(await connection.ioctl("UPDATE", encodeCommand("UPDATE", {}, [item.attachFlagsSend(attachFlags(["CREDS", "EXE"]))])), null);
});

test("META-023 numbers are unique in the domain and the same for all receivers of a message", covers("META-023"), async ({ bus, domain, root }) => {
  const seqnums = async (of: Connection): Promise<(bigint | undefined)[]> => (await of.recvAll()).filter(({ notification }) => notification === undefined).map(({ metadata }) => metadata.timestamp?.seqnum);
  const watching = async (on: Bus): Promise<Connection[]> => {
    const all = [await on.connect({ attachRecv: abi.ATTACH.TIMESTAMP }), await on.connect({ attachRecv: abi.ATTACH.TIMESTAMP }), await on.connectMonitor({ attachRecv: abi.ATTACH.TIMESTAMP })];
    for (const receiver of all.slice(0, 2)) await receiver.addMatch();
    return all;
  };
  const other = await domain.makeBus(root);
  const [here, there] = [await watching(bus), await watching(other)];
  const [sender, elsewhere] = [await bus.connect(), await other.connect()];

  for (let round = 0; round < 3; round++) {
    await sender.broadcast();
    await elsewhere.broadcast();
  }

  const [seenHere, seenThere] = [await Promise.all(here.map(seqnums)), await Promise.all(there.map(seqnums))];
  for (const [first, ...rest] of [seenHere, seenThere]) {
    expect(first).toHaveLength(3);
    expect(first).not.toContain(undefined);
    for (const same of rest) expect(same).toEqual(first);
  }
  expect(new Set([...(seenHere[0] ?? []), ...(seenThere[0] ?? [])]).size, "numbers of both buses").toBe(6);
});

test("META-026 CONN_INFO shows what module, target and request allow, never a TIMESTAMP", covers("META-026"), async ({ bus, agent }) => {
  const [target, asker] = [await talkative(bus), await bus.connect()];
  const masks: MetadataKind[][] = [["CREDS", "TIMESTAMP"], ["PIDS", "CREDS", "OWNED_NAME", "TIMESTAMP"], ["OWNED_NAME", "CONN_DESCRIPTION", "PIDS", "TIMESTAMP"]];

  const wrong: string[] = [];
  for (const module of masks) {
    await setModuleMask(agent, attachFlags(module));
    for (const allowed of masks) {
      await target.update([item.attachFlagsSend(attachFlags(allowed))]);
      for (const wanted of masks) {
        const seen = attached((await asker.info(target, attachFlags(wanted))).items);
        const expected = sorted(module.filter((kind) => kind !== "TIMESTAMP" && allowed.includes(kind) && wanted.includes(kind)));
        if (seen.join() !== expected.join()) wrong.push(`module ${module.join()}, target ${allowed.join()}, request ${wanted.join()}: ${seen.join()} and not ${expected.join()}`);
      }
    }
  }

  expect(wrong).toEqual([]);
});

for (const [what, creatorMask] of [["no mask", undefined], ["mask 0", []], ["CREDS and CAPS", ["CREDS", "CAPS"]], ["all", METADATA]] as const) {
  test(`META-028 BUS_CREATOR_INFO has the name, and what module, creator and request allow: ${what}`, covers("META-028"), async ({ domain, root, agent }) => {
    const bus = await domain.makeBus(root, creatorMask === undefined ? {} : { attachFlagsSend: attachFlags(creatorMask) });
    const asker = await bus.connect({ description: "asker" });
    const here: readonly MetadataKind[] = ["CREDS", "PIDS", "AUXGROUPS", ...(await visibleHere(root))];
    const allowed = here.filter((kind) => (creatorMask ?? []).some((other) => other === kind));

    const seen: unknown[] = [];
    const modules: MetadataKind[][] = [[...METADATA], ["CREDS", "EXE"]];
    for (const module of modules) {
      await setModuleMask(agent, attachFlags(module));
      for (const wanted of [abi.ATTACH_ALL, attachFlags(["CREDS", "PIDS"]), 0n]) {
        const { items } = await asker.creatorInfo(wanted);
        seen.push([items.filter(({ type }) => type === abi.ITEM.MAKE_NAME).map(({ payload }) => new TextDecoder().decode(payload)), attached(items)]);
      }
    }

    const name = [`${bus.name}\0`];
    const expected = modules.flatMap((module) => [allowed, allowed.filter((kind) => kind === "CREDS" || kind === "PIDS"), []].map((kinds) => [name, sorted(kinds.filter((kind) => module.includes(kind)))]));
    expect(seen).toEqual(expected);
  });
}

test("META-044 the flags of an owned name are those it was acquired with", covers("META-044"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ attachRecv: abi.ATTACH.NAMES })];
  const { ALLOW_REPLACEMENT, QUEUE, REPLACE_EXISTING, ACTIVATOR } = abi.NAME;
  const expected = { "name.plain": 0n, "name.replaceable": ALLOW_REPLACEMENT, "name.both": ALLOW_REPLACEMENT | QUEUE, "name.taken": REPLACE_EXISTING | QUEUE };
  for (const [name, flags] of Object.entries(expected)) await sender.acquire(name, flags);
  const activator = await bus.connectActivator("name.activated");

  await sender.send(receiver);

  const flags = (info: Pick<Info, "metadata">): Record<string, bigint> => Object.fromEntries(info.metadata.names.map((entry) => [entry.name, entry.flags]));
  expect(flags(await receiver.recv())).toEqual(expected);
  expect(flags(await receiver.info(sender))).toEqual(expected);
  expect(flags(await receiver.info(activator))).toEqual({ "name.activated": ACTIVATOR });
});

test("META-047 UPDATE of the send mask counts for messages sent afterwards", covers("META-047"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ attachRecv: attachFlags(["CREDS", "PIDS"]) })];

  await sender.send(receiver);
  await sender.update([item.attachFlagsSend(abi.ATTACH.PIDS)]);
  await sender.send(receiver);
  await sender.update([item.attachFlagsSend(0)]);
  await sender.send(receiver);

  expect((await receiver.recvAll()).map(({ items }) => attached(items))).toEqual([["CREDS", "PIDS"], ["PIDS"], []]);
});
