import { abi, covers, decodeStruct, encodeCommand, expect, expectErrno, expectResult, ioctls, memory, spoilArguments, test, type Info } from "../../support/index.ts";

const typesOf = (info: Info): number[] => info.items.map(({ type }) => type).sort((a, b) => a - b);

test("BUS-022 BUS_CREATOR_INFO gives the id, the flags and the name of the bus", covers("BUS-022"), async ({ domain, root }) => {
  const all = abi.MAKE.ACCESS_GROUP | abi.MAKE.ACCESS_WORLD;
  const buses = [[await domain.makeBus(root, { flags: 0n }), 0n], [await domain.makeBus(root, { flags: all }), all]] as const;

  const infos: Info[] = [];
  for (const [bus, flags] of buses) {
    const [connection, other] = [await bus.connect(), await bus.connect()];
    const info = await connection.creatorInfo();
    expect(info.flags).toBe(flags);
    expect(info.makeName).toBe(bus.name);
    expect([connection.id, other.id, 0n]).not.toContain(info.id);
    expect((await other.creatorInfo()).id).toBe(info.id);
    infos.push(info);
  }
  expect(infos[0]?.id).not.toBe(infos[1]?.id);
});

test("BUS-023 BUS_CREATOR_INFO gives only what BUS_MAKE allowed and the caller asked for", covers("BUS-023"), async ({ domain, root }) => {
  const bus = await domain.makeBus(root, { attachFlagsSend: abi.ATTACH.PIDS | abi.ATTACH.CREDS });
  const connection = await bus.connect();

  expect(typesOf(await connection.creatorInfo(abi.ATTACH_ALL))).toEqual([abi.ITEM.MAKE_NAME, abi.ITEM.CREDS, abi.ITEM.PIDS]);
  expect(typesOf(await connection.creatorInfo(abi.ATTACH.CREDS | abi.ATTACH.TID_COMM))).toEqual([abi.ITEM.MAKE_NAME, abi.ITEM.CREDS]);
  expect(typesOf(await connection.creatorInfo(0n))).toEqual([abi.ITEM.MAKE_NAME]);
});

test("BUS-023 BUS_CREATOR_INFO gives nothing but the name if BUS_MAKE had no mask", covers("BUS-023"), async ({ bus }) => {
  const connection = await bus.connect();

  expect(typesOf(await connection.creatorInfo(abi.ATTACH_ANY))).toEqual([abi.ITEM.MAKE_NAME]);
});

test("BUS-024 BUS_CREATOR_INFO tells of the creator as it was at BUS_MAKE", covers("BUS-024"), async ({ domain, root, spawn }) => {
  const creator = await spawn({ uid: { real: 0, effective: 1001, saved: 0 }, gid: 55, groups: [56, 57], comm: "creator", label: "creator" });
  const bus = await domain.makeBus(creator, { attachFlagsSend: abi.ATTACH_ALL });
  const connection = await bus.connect({ by: root });
  const before = await connection.creatorInfo();

  const PR_SET_NAME = 15;
  await creator.must("setresuid", 0, 0, 0);
  await creator.must("setgroups", 0, 0);
  await creator.must("setresgid", 77, 77, 77);
  await creator.must("prctl", PR_SET_NAME, memory("changed\0"));
  await creator.must("setresuid", 1005, 1005, 1005);
  const after = await connection.creatorInfo();

  expect(before.metadata.creds).toMatchObject({ uid: 0n, euid: 1001n, suid: 0n, gid: 55n });
  expect(before.metadata.auxgroups).toEqual([56n, 57n]);
  expect(before.metadata.tidComm).toBe("creator");
  expect(after.metadata).toEqual(before.metadata);
});

test("BUS-025 BUS_CREATOR_INFO has no TIMESTAMP, OWNED_NAME or CONN_DESCRIPTION", covers("BUS-025"), async ({ domain, root }) => {
  const bus = await domain.makeBus(root, { attachFlagsSend: abi.ATTACH_ANY });
  const connection = await bus.connect({ description: "text" });
  await connection.acquire("test.name");

  const types = typesOf(await connection.creatorInfo(abi.ATTACH_ALL));

  expect(types).toContain(abi.ITEM.CREDS);
  expect(types.filter((type) => type === abi.ITEM.TIMESTAMP || type === abi.ITEM.OWNED_NAME || type === abi.ITEM.CONN_DESCRIPTION)).toEqual([]);
});

test("BUS-026 BUS_CREATOR_INFO with an invalid mask gives EINVAL", covers("BUS-026"), async ({ bus, root }) => {
  const connection = await bus.connect();
  const masks = [0x4000n, 0x8000n, 1n << 40n];

  const outcomes = await ioctls(root, connection.fd, "BUS_CREATOR_INFO", masks.map((mask) => encodeCommand("BUS_CREATOR_INFO", { attach_flags: mask })));

  expect(outcomes.map(({ errno }) => errno)).toEqual(masks.map(() => "EINVAL"));
});

test("BUS-026 BUS_CREATOR_INFO does not look at the id", covers("BUS-026"), async ({ bus }) => {
  const connection = await bus.connect();

  expectResult(await connection.ioctl("BUS_CREATOR_INFO", encodeCommand("BUS_CREATOR_INFO", { id: 12345 })), null);
  expectResult(await connection.ioctl("BUS_CREATOR_INFO", encodeCommand("BUS_CREATOR_INFO", { id: -1 })), null);
});

for (const name of ["BUS_CREATOR_INFO", "CONN_INFO"] as const) {
  test(`BUS-027 info_size of ${name} is the size of the record, which can be freed`, covers("BUS-027"), async ({ domain, root }) => {
    const bus = await domain.makeBus(root, { attachFlagsSend: abi.ATTACH_ALL });
    const connection = await bus.connect({ description: "odd", attachSend: abi.ATTACH_ALL });

    for (const mask of [0n, abi.ATTACH.CREDS, abi.ATTACH.TID_COMM | abi.ATTACH.CONN_DESCRIPTION, abi.ATTACH_ALL]) {
      const result = await connection.ioctl(name, encodeCommand(name, { id: connection.id, attach_flags: mask }));
      expectResult(result, null);
      const { offset, info_size: size } = decodeStruct("cmd_info", result.bytes);
      expect(decodeStruct("info", await connection.poolBytes(Number(offset), 24)).size).toBe(size);
      await connection.free(offset);
      await expectErrno(connection.free(offset), "ENXIO");
    }
  });
}

test("BUS-033 a bus is made although the caller's command line is no string", covers("BUS-033"), async ({ domain, root, spawn }) => {
  const spoilt = await spawn({ label: "spoilt" });
  await spoilArguments(spoilt);

  const bus = await domain.makeBus(spoilt, { attachFlagsSend: abi.ATTACH_ALL });

  const info = await (await bus.connect({ by: root })).creatorInfo();
  expect(info.metadata.cmdline).toBeUndefined();
  expect(info.metadata.creds).toBeDefined();
  const intact = await (await (await domain.makeBus(root, { attachFlagsSend: abi.ATTACH_ALL })).connect()).creatorInfo();
  expect(intact.metadata.cmdline, "of a caller that has one").toBeDefined();
});
