import { abi, attached, attachFlag, attachFlags, BASIC_METADATA, covers, encodeCommand, expect, expectErrno, expectResult, item, METADATA, PROCESS_METADATA, sorted, test, VISIBLE_METADATA, visibleHere, type MetadataKind } from "../../support/index.ts";

test("META-003 UPDATE of the receive mask counts for messages sent afterwards", covers("META-003"), async ({ bus }) => {
  const sender = await bus.connect();
  const receiver = await bus.connect({ attachRecv: abi.ATTACH.CREDS });

  await sender.send(receiver);
  await receiver.update([item.attachFlagsRecv(abi.ATTACH.PIDS)]);
  await sender.send(receiver);
  await receiver.update([item.attachFlagsRecv(0)]);
  await sender.send(receiver);

  const sets = (await receiver.recvAll()).map((message) => attached(message.items));
  expect(sets).toEqual([["CREDS"], ["PIDS"], []]);
});

for (const [mask, errno] of [[0x4000n, "EINVAL"], [0x7fff_ffff_ffff_ffffn, "EINVAL"], [abi.ATTACH_ANY, null]] as const) {
  test(`META-004 attach mask 0x${mask.toString(16)} gives ${errno ?? "success"} wherever it stands`, covers("META-004"), async ({ bus, domain, root }) => {
    const connection = await bus.connect();
    const hello = async (fields: { attach_flags_send?: bigint; attach_flags_recv?: bigint }): Promise<string | null> => {
      const fd = await root.open(bus.path);
      return (await root.command(fd, "HELLO", encodeCommand("HELLO", { pool_size: 1 << 20, ...fields }))).errno;
    };
    const make = await root.command(await root.open(domain.control), "BUS_MAKE", encodeCommand("BUS_MAKE", {}, [item.makeName("0-masks"), item.bloomParameter(64, 1), item.attachFlagsSend(mask)]));

    const seen = {
      helloSend: await hello({ attach_flags_send: mask }),
      helloRecv: await hello({ attach_flags_recv: mask }),
      updateSend: (await connection.ioctl("UPDATE", encodeCommand("UPDATE", {}, [item.attachFlagsSend(mask)]))).errno,
      updateRecv: (await connection.ioctl("UPDATE", encodeCommand("UPDATE", {}, [item.attachFlagsRecv(mask)]))).errno,
      connInfo: (await connection.ioctl("CONN_INFO", encodeCommand("CONN_INFO", { id: connection.id, attach_flags: mask }))).errno,
      creatorInfo: (await connection.ioctl("BUS_CREATOR_INFO", encodeCommand("BUS_CREATOR_INFO", { attach_flags: mask }))).errno,
      busMake: make.errno,
    };

    expect(seen).toEqual({ helloSend: errno, helloRecv: errno, updateSend: errno, updateRecv: errno, connInfo: errno, creatorInfo: errno, busMake: errno });
  });
}

test("META-004 a mask of all ones asks for everything", covers({ generation: "2015-08" }, "META-004"), async ({ bus, root }) => {
  const sender = await bus.connect({ attachSend: abi.ATTACH_ANY, description: "described" });
  const receiver = await bus.connect({ attachRecv: abi.ATTACH_ANY });
  await sender.acquire("test.name");

  await sender.send(receiver);

  expect(attached((await receiver.recv()).items)).toEqual(sorted([...BASIC_METADATA, ...(await visibleHere(root))]));
});

for (const kind of BASIC_METADATA) {
  test(`META-034 ${kind} is attached whatever the sender's mask says`, covers("META-034"), async ({ bus }) => {
    const sender = await bus.connect({ attachSend: 0, description: "described" });
    const receiver = await bus.connect({ attachRecv: attachFlag(kind) });
    await sender.acquire("test.name");

    await sender.send(receiver);

    expect(attached((await receiver.recv()).items)).toEqual([kind]);
  });
}

test("META-034 items without content stay absent", covers("META-034", "META-021"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect({ attachSend: 0 }), await bus.connect({ attachRecv: attachFlags(["OWNED_NAME", "CONN_DESCRIPTION", "CREDS"]) })];

  await sender.send(receiver);

  expect(attached((await receiver.recv()).items)).toEqual(["CREDS"]);
});

test("META-035 visible items are attached without the sender's consent inside one pid namespace", covers("META-035"), async ({ bus, root }) => {
  const sender = await bus.connect({ attachSend: 0 });
  const receiver = await bus.connect({ attachRecv: attachFlags(VISIBLE_METADATA) });

  await sender.send(receiver);

  expect(attached((await receiver.recv()).items)).toEqual(sorted(await visibleHere(root)));
});

test("META-036 an unseen sender's mask decides about visible items", covers("META-036", "META-035"), async ({ bus, spawn, root }) => {
  const inside = await spawn({ namespaces: ["pid"], label: "inside" });
  const receiver = await bus.connect({ by: inside, attachRecv: attachFlags(VISIBLE_METADATA) });
  const sender = await bus.connect({ attachSend: 0 });
  const here = await visibleHere(root);

  const seen: string[][] = [];
  const masks: MetadataKind[][] = [[], here, ...here.map((kind) => [kind])];
  for (const mask of masks) {
    await sender.update([item.attachFlagsSend(attachFlags(mask))]);
    await sender.send(receiver);
    seen.push(attached((await receiver.recv()).items));
  }

  expect(seen).toEqual(masks.map((mask) => sorted(mask)));
});

test("META-036 CREDS, PIDS and AUXGROUPS of an unseen sender are attached all the same", covers("META-036", "META-034"), async ({ bus, spawn }) => {
  const receiver = await bus.connect({ by: await spawn({ namespaces: ["pid"], label: "inside" }), attachRecv: attachFlags(PROCESS_METADATA) });
  const sender = await bus.connect({ attachSend: 0 });

  await sender.send(receiver);

  expect(attached((await receiver.recv()).items)).toEqual(["AUXGROUPS", "CREDS", "PIDS"]);
});

test("META-037 an item that the receiver does not ask for is not attached", covers("META-037"), async ({ bus, root }) => {
  const sender = await bus.connect({ description: "described" });
  await sender.acquire("test.name");
  const receiver = await bus.connect();
  const here = [...BASIC_METADATA, ...(await visibleHere(root))];

  const seen: Record<string, string[]> = {};
  for (const kind of METADATA) {
    await receiver.update([item.attachFlagsRecv(abi.ATTACH_ALL & ~attachFlag(kind))]);
    await sender.send(receiver);
    seen[kind] = attached((await receiver.recv()).items);
  }

  expect(seen).toEqual(Object.fromEntries(METADATA.map((kind) => [kind, sorted(here.filter((other) => other !== kind))])));
});

test("META-038 nothing needs to be configured for any item", covers("META-038"), async ({ bus, agent }) => {
  const parameters = await agent.exec(["find", "/sys/module", "-maxdepth", "3", "-name", "attach_flags_mask"]);
  const sender = await bus.connect();
  const wanted = ["CGROUP", "CAPS", "EXE", "CMDLINE", "AUDIT"] as const;
  const receiver = await bus.connect({ attachRecv: attachFlags(wanted) });

  await sender.send(receiver);

  expect(parameters.stdout).toBe("");
  expect(parameters.exitCode).toBe(0);
  const here = await visibleHere(sender.process);
  expect(attached((await receiver.recv()).items)).toEqual(sorted(wanted.filter((kind) => here.includes(kind))));
});

test("META-039 a send mask of 0 is accepted on every bus", covers("META-039"), async ({ domain, root }) => {
  const outcomes: (string | null)[] = [];
  for (const attachFlagsSend of [undefined, 0n, abi.ATTACH_ALL]) {
    const bus = await domain.makeBus(root, attachFlagsSend === undefined ? {} : { attachFlagsSend });
    const fd = await root.open(bus.path);
    outcomes.push((await root.command(fd, "HELLO", encodeCommand("HELLO", { pool_size: 1 << 20, attach_flags_send: 0 }))).errno);
    const full = await bus.connect({ attachSend: abi.ATTACH_ALL });
    outcomes.push((await full.ioctl("UPDATE", encodeCommand("UPDATE", {}, [item.attachFlagsSend(0)]))).errno);
  }

  expect(outcomes).toEqual([null, null, null, null, null, null]);
});

test("META-033 a broadcast shows every receiver the same sender, as far as each asks", covers("META-033"), async ({ bus }) => {
  const sender = await bus.connect({ description: "loud" });
  await sender.acquire("test.name");
  const masks = [["CREDS", "PIDS", "TIMESTAMP", "CMDLINE"], ["CREDS", "PIDS", "TIMESTAMP", "OWNED_NAME"], ["CAPS", "CONN_DESCRIPTION"]] as const;
  const receivers = [];
  for (const mask of masks) receivers.push(await bus.connect({ attachRecv: attachFlags(mask) }));
  for (const receiver of receivers) await receiver.addMatch([item.id(sender.id)]);

  await sender.broadcast();

  const messages = await Promise.all(receivers.map((receiver) => receiver.recv()));
  expect(messages.map((message) => attached(message.items))).toEqual(masks.map((mask) => sorted(mask)));
  const [first, second] = messages.map((message) => message.metadata);
  expect(first?.creds).toEqual(second?.creds);
  expect(first?.pids).toEqual(second?.pids);
  expect(first?.timestamp).toEqual(second?.timestamp);
});

test("META-024 an item of a metadata type in a sent message gives EINVAL", covers("META-024"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const payload: Partial<Record<MetadataKind, number>> = { CREDS: 64, PIDS: 24, TIMESTAMP: 24, CAPS: 36, AUDIT: 8, AUXGROUPS: 8 };

  const seen: Record<string, string | null> = {};
  for (const kind of METADATA) {
    const bytes = payload[kind] === undefined ? new TextEncoder().encode(kind === "OWNED_NAME" ? "\0\0\0\0\0\0\0\0a.b\0" : "text\0") : new Uint8Array(payload[kind]);
    const { command, message } = await sender.encodeSend(receiver, { payload: "x", items: [item.raw(abi.ITEM[kind], bytes)] });
    seen[kind] = (await sender.rawSend(command, message)).errno;
  }

  expect(seen).toEqual(Object.fromEntries(METADATA.map((kind) => [kind, "EINVAL"])));
  await expectErrno(receiver.recv(), "EAGAIN");
  const { command, message } = await sender.encodeSend(receiver, { payload: "x" });
  expectResult(await sender.rawSend(command, message), null);
});
