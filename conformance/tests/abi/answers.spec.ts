import { abi, align8, all, covers, decodeItems, decodeStruct, encodeCommand, expect, ioctls, item, test, validCommands, type RawItem } from "../../support/index.ts";

test("ABI-006 numbers of the kernel are in native byte order", covers("ABI-006"), async ({ domain, root }) => {
  const bus = await domain.makeBus(root, { bloom: { size: 128, hashes: 7 }, flags: abi.MAKE.ACCESS_WORLD });
  const connection = await bus.connect({ pool: 65536 });

  await connection.send(connection, { payload: "x" });
  const { header, msgSize, slice } = await connection.recv();

  expect(connection.hello).toMatchObject({ bus_flags: abi.MAKE.ACCESS_WORLD, items_size: 32n });
  const [parameter] = decodeItems(connection.helloAnswer, 0, 32);
  expect(parameter).toMatchObject({ type: abi.ITEM.BLOOM_PARAMETER, size: 32 });
  expect(decodeStruct("bloom_parameter", parameter?.payload ?? new Uint8Array(0))).toEqual({ size: 128n, n_hash: 7n });
  expect(header.src_id).toBe(connection.id);
  expect(msgSize).toBe(BigInt(slice.length));
});

test("ABI-020 items of the kernel count no padding, start at 8-byte boundaries and are padded with zeros", covers("ABI-020"), async ({ bus }) => {
  const [connection, receiver] = [await bus.connect({ description: "odd" }), await bus.connect({ attachRecv: abi.ATTACH_ALL })];
  const names = ["a.b", "a.bc", "a.bcd", "a.bcde", "a.bcdef", "a.bcdefg", "a.bcdefgh", "a.bcdefghi"];
  for (const name of names) await connection.acquire(name);
  // whatever is not written by the answers below shall not be zero by chance
  for (const dirty of [connection, receiver]) {
    await dirty.send(dirty, { payload: new Uint8Array(100_000).fill(0xff) });
    await dirty.recv();
  }

  await connection.send(receiver);
  const answers: Readonly<Record<string, readonly RawItem[]>> = {
    LIST: (await connection.list(abi.LIST.UNIQUE | abi.LIST.NAMES)).flatMap(({ items }) => items),
    CONN_INFO: (await connection.info(connection)).items,
    BUS_CREATOR_INFO: (await connection.creatorInfo()).items,
    HELLO: decodeItems(connection.helloAnswer, 0, connection.helloAnswer.length),
    message: (await receiver.recv()).items,
  };

  for (const [what, items] of Object.entries(answers)) {
    expect(items.length, `items of ${what}`).toBeGreaterThan(0);
    for (const { type, at, padding } of items) {
      expect(at % 8, `position of item 0x${type.toString(16)} of ${what}`).toBe(0);
      expect(padding.every((byte) => byte === 0), `padding of item 0x${type.toString(16)} of ${what}`).toBe(true);
    }
  }
  for (const what of ["LIST", "CONN_INFO", "message"]) {
    const owned = (answers[what] ?? []).filter(({ type }) => type === abi.ITEM.OWNED_NAME);
    expect(owned.map(({ size }) => size).sort((a, b) => a - b), `sizes of OWNED_NAME in ${what}`).toEqual(names.map((name) => 16 + 8 + name.length + 1));
  }
});

test("ABI-020 records of LIST and CONN_INFO are whole multiples of 8", covers("ABI-020"), async ({ bus }) => {
  const connection = await bus.connect();
  await connection.acquire("a.bc");

  const records = [...(await connection.list(abi.LIST.UNIQUE | abi.LIST.NAMES)), await connection.info(connection), await connection.creatorInfo()];

  for (const record of records) {
    expect(record.size % 8).toBe(0);
    expect(record.size).toBe(align8(Math.max(24, ...record.items.map((entry) => entry.at + entry.size))));
  }
});

test("ABI-035 return_flags is written by a command that fails after the copy-in", covers("ABI-035", "ABI-036"), async ({ bus }) => {
  const seen: Record<string, unknown> = {};
  const sizes: string[] = [];
  for (const { name, process, fd, encode } of await validCommands(bus)) {
    const command = encode({ flags: 1n << 40n, return_flags: -1 });
    const { errno, bytes } = await process.command(fd, name, command);
    seen[name] = [errno, decodeStruct("cmd", bytes).return_flags];
    if (decodeStruct("cmd", bytes).size !== decodeStruct("cmd", command.bytes).size) sizes.push(name);
  }

  expect(seen).toEqual(all(abi.COMMAND_NAMES, ["EINVAL", 0n]));
  expect(sizes, "commands that changed their size").toEqual([]);
});

test("ABI-035 return_flags is written by a command that fails late", covers("ABI-035"), async ({ bus, root }) => {
  const [connection, other] = [await bus.connect(), await bus.connect()];
  const [control, endpoint] = [await root.open(bus.domain.control), await root.open(bus.path)];
  const preset = { return_flags: -1 };
  const late = {
    BUS_MAKE: await root.command(control, "BUS_MAKE", encodeCommand("BUS_MAKE", preset, [item.makeName(bus.name), item.bloomParameter(64, 1)])),
    HELLO: await root.command(endpoint, "HELLO", encodeCommand("HELLO", { ...preset, pool_size: 1 })),
    CONN_INFO: await connection.ioctl("CONN_INFO", encodeCommand("CONN_INFO", { ...preset, id: 0x7fff_ffff_0000n })),
    FREE: await connection.ioctl("FREE", encodeCommand("FREE", { ...preset, offset: connection.poolSize + 8 })),
    RECV: await other.ioctl("RECV", encodeCommand("RECV", preset)),
    NAME_RELEASE: await connection.ioctl("NAME_RELEASE", encodeCommand("NAME_RELEASE", preset, [item.name("nobody.here")])),
    MATCH_REMOVE: await connection.ioctl("MATCH_REMOVE", encodeCommand("MATCH_REMOVE", { ...preset, cookie: 99 })),
  };

  for (const [name, result] of Object.entries(late)) {
    expect(result.errno, name).not.toBeNull();
    expect(decodeStruct("cmd", result.bytes).return_flags, name).toBe(0n);
  }
});

test("ABI-035 return_flags is written by a command that succeeds", covers("ABI-035", "ABI-036"), async ({ bus }) => {
  const seen: Record<string, unknown> = {};
  const sizes: string[] = [];
  for (const { name, process, fd, encode } of await validCommands(bus)) {
    const command = encode({ return_flags: -1 });
    const { errno, bytes } = await process.command(fd, name, command);
    // NAME_ACQUIRE defines bits, none of them outside of the name flags
    seen[name] = [errno, decodeStruct("cmd", bytes).return_flags & (name === "NAME_ACQUIRE" ? ~0x7fn : ~0n)];
    if (decodeStruct("cmd", bytes).size !== decodeStruct("cmd", command.bytes).size) sizes.push(name);
  }

  expect(seen).toEqual(all(abi.COMMAND_NAMES, [null, 0n]));
  expect(sizes, "commands that changed their size").toEqual([]);
});

const INVALID_MASKS = [0x4000n, 1n << 40n, 1n << 63n, 0xffff_ffffn, 0xffff_ffff_ffff_fffen];

test("ABI-037 an attach mask with unknown bits gives EINVAL wherever it is passed", covers("ABI-037"), async ({ bus, domain, root }) => {
  const connection = await bus.connect();
  const [control, endpoint] = [await root.open(domain.control), await root.open(bus.path)];
  const make = (mask: bigint) => encodeCommand("BUS_MAKE", {}, [item.makeName("0-masks"), item.bloomParameter(64, 1), item.attachFlagsSend(mask)]);
  const errors = {
    "HELLO attach_flags_send": await ioctls(root, endpoint, "HELLO", INVALID_MASKS.map((mask) => encodeCommand("HELLO", { pool_size: 4096, attach_flags_send: mask }))),
    "HELLO attach_flags_recv": await ioctls(root, endpoint, "HELLO", INVALID_MASKS.map((mask) => encodeCommand("HELLO", { pool_size: 4096, attach_flags_recv: mask }))),
    "UPDATE ATTACH_FLAGS_SEND": await ioctls(root, connection.fd, "UPDATE", INVALID_MASKS.map((mask) => encodeCommand("UPDATE", {}, [item.attachFlagsSend(mask)]))),
    "UPDATE ATTACH_FLAGS_RECV": await ioctls(root, connection.fd, "UPDATE", INVALID_MASKS.map((mask) => encodeCommand("UPDATE", {}, [item.attachFlagsRecv(mask)]))),
    CONN_INFO: await ioctls(root, connection.fd, "CONN_INFO", INVALID_MASKS.map((mask) => encodeCommand("CONN_INFO", { id: connection.id, attach_flags: mask }))),
    BUS_CREATOR_INFO: await ioctls(root, connection.fd, "BUS_CREATOR_INFO", INVALID_MASKS.map((mask) => encodeCommand("BUS_CREATOR_INFO", { attach_flags: mask }))),
    BUS_MAKE: await ioctls(root, control, "BUS_MAKE", INVALID_MASKS.map(make)),
  };

  const names = Object.fromEntries(Object.entries(errors).map(([where, outcomes]) => [where, outcomes.map(({ errno }) => errno)]));
  expect(names, INVALID_MASKS.map((mask) => `0x${mask.toString(16)}`).join(", ")).toEqual(all(Object.keys(errors), INVALID_MASKS.map(() => "EINVAL")));
});

test("ABI-037 an attach mask of all ones stands for all flags", covers("ABI-037"), async ({ domain, root }) => {
  const bus = await domain.makeBus(root, { attachFlagsSend: abi.ATTACH_ANY });
  const connection = await bus.connect({ attachSend: abi.ATTACH_ANY, attachRecv: abi.ATTACH_ANY, description: "text" });
  const types = (items: readonly RawItem[]): number[] => items.map(({ type }) => type).sort((a, b) => a - b);

  await connection.update([item.attachFlagsSend(abi.ATTACH_ANY), item.attachFlagsRecv(abi.ATTACH_ANY)]);
  const [ones, known] = [await connection.info(connection, abi.ATTACH_ANY), await connection.info(connection, abi.ATTACH_ALL)];
  const [creatorOnes, creatorKnown] = [await connection.creatorInfo(abi.ATTACH_ANY), await connection.creatorInfo(abi.ATTACH_ALL)];
  await connection.send(connection);
  const { metadata } = await connection.recv();

  expect(types(ones.items)).toEqual(types(known.items));
  expect(ones.metadata.description).toBe("text");
  expect(types(creatorOnes.items)).toEqual(types(creatorKnown.items));
  expect(creatorOnes.metadata.creds).toBeDefined();
  expect(metadata.timestamp).toBeDefined();
});

test("ABI-044 notifications about names carry the name right behind the record, without padding", covers("ABI-044"), async ({ bus }) => {
  const [watcher, first, second] = [await bus.connect(), await bus.connect(), await bus.connect()];
  const kinds = ["NAME_ADD", "NAME_CHANGE", "NAME_REMOVE"] as const;
  for (const kind of kinds) await watcher.addMatch([item.nameChange(abi.ITEM[kind], abi.MATCH_ID_ANY, abi.MATCH_ID_ANY)]);

  await first.acquire("odd.n");
  await second.acquire("odd.n", abi.NAME.QUEUE);
  await first.release("odd.n");
  await second.release("odd.n");

  const items = (await watcher.recvAll()).map((message) => message.items.find(({ type }) => type >= abi.ITEM.NAME_ADD));
  expect(items.map((entry) => entry?.type)).toEqual(kinds.map((kind) => abi.ITEM[kind]));
  for (const entry of items) {
    expect(entry?.size).toBe(16 + 32 + "odd.n".length + 1);
    expect(new TextDecoder().decode(entry?.payload.subarray(32))).toBe("odd.n\0");
  }
});

test("ABI-045 ID_ADD and ID_REMOVE have 32 bytes with id and HELLO flags", covers("ABI-045"), async ({ bus }) => {
  const watcher = await bus.connect();
  await watcher.addMatch([item.idChange(abi.ITEM.ID_ADD, abi.MATCH_ID_ANY)]);
  await watcher.addMatch([item.idChange(abi.ITEM.ID_REMOVE, abi.MATCH_ID_ANY)]);

  const other = await bus.connect({ flags: abi.HELLO.ACCEPT_FD });
  await other.close();

  const items = (await watcher.recvAll()).map((message) => message.items.find(({ type }) => type >= abi.ITEM.NAME_ADD));
  expect(items.map((entry) => [entry?.type, entry?.size])).toEqual([[abi.ITEM.ID_ADD, 32], [abi.ITEM.ID_REMOVE, 32]]);
  for (const entry of items) expect(decodeStruct("notify_id_change", entry?.payload ?? new Uint8Array(0))).toEqual({ id: other.id, flags: abi.HELLO.ACCEPT_FD });
});

test("ABI-045 REPLY_TIMEOUT and REPLY_DEAD have 16 bytes", covers("ABI-045"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];

  await client.send(server, { cookie: 1, expectReplyMs: 5 });
  const timeout = await client.recvWithin(5000);
  await client.send(server, { cookie: 2, expectReplyMs: 600_000 });
  await server.close();
  const dead = await client.recvWithin(5000);

  const sizes = [timeout, dead].map(({ items }) => items.filter(({ type }) => type >= abi.ITEM.NAME_ADD).map(({ type, size }) => [type, size]));
  expect(sizes).toEqual([[[abi.ITEM.REPLY_TIMEOUT, 16]], [[abi.ITEM.REPLY_DEAD, 16]]]);
});

test("ABI-036 a command of bad size does not get its size changed", covers("ABI-036"), async ({ bus }) => {
  const connection = await bus.connect();

  const sizes = [1, 39, 41, 40_000];
  const outcomes = await ioctls(connection.process, connection.fd, "LIST", sizes.map((size) => encodeCommand("LIST", { size })));

  expect(outcomes.map(({ after }) => decodeStruct("cmd", after).size)).toEqual(sizes.map(BigInt));
});
