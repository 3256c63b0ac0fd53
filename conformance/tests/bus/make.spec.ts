import { abi, all, covers, decodeStruct, encodeCommand, expect, expectErrno, expectResult, ioctls, item, memory, stat, test, type Encoded, type Item } from "../../support/index.ts";

const make = (name: string, more: readonly Item[] = [], bloom: readonly [number | bigint, number] = [64, 1]): Encoded => encodeCommand("BUS_MAKE", {}, [item.makeName(name), item.bloomParameter(...bloom), ...more]);

test("BUS-001 BUS_MAKE makes the directory and its endpoint before it returns", covers("BUS-001"), async ({ domain, root }) => {
  const fd = await root.open(domain.control);

  expectResult(await root.command(fd, "BUS_MAKE", make("0-test")), null);

  expect((await stat(root, `${domain.path}/0-test`)).kind).toBe("directory");
  expect((await stat(root, `${domain.path}/0-test/bus`)).kind).toBe("file");
  expectResult(await root.command(await root.open(`${domain.path}/0-test/bus`), "HELLO", encodeCommand("HELLO", { pool_size: 4096 })), null);
});

test("BUS-001 the handle of BUS_MAKE becomes the bus owner, on which no command works", covers("BUS-001"), async ({ bus, root }) => {
  const again = await root.command(bus.ownerFd, "BUS_MAKE", make("0-again"));
  const list = await root.command(bus.ownerFd, "LIST", encodeCommand("LIST", {}));
  const hello = await root.command(bus.ownerFd, "HELLO", encodeCommand("HELLO", { pool_size: 4096 }));

  expectResult(again, "EBADFD");
  expectResult(list, "EBADFD");
  expectResult(hello, "EBADFD");
});

test("BUS-002 a name without the caller's effective uid and a dash in front gives EINVAL", covers("BUS-002"), async ({ domain, spawn }) => {
  const user = await spawn({ uid: { real: 1000, effective: 1001, saved: 1002 }, gid: 1000, label: "user" });
  const fd = await user.open(domain.control);

  const names = ["foo", "1000-foo", "1002-foo", "0-foo", "1001", "1001foo", "10010-foo", "100-foo", "-foo", "_1001-foo", "1001_foo"];
  const outcomes = await ioctls(user, fd, "BUS_MAKE", names.map((name) => make(name)));

  expect(Object.fromEntries(names.map((name, index) => [name, outcomes[index]?.errno]))).toEqual(all(names, "EINVAL"));
  expectResult(await user.command(fd, "BUS_MAKE", make("1001-foo")), null);
});

test("BUS-003 the uid in a name is the one of the domain's user namespace", covers("BUS-003"), async ({ agent, root, spawn }) => {
  const map = [[0, 100_000, 1000]] as const;
  const inner = await spawn({ namespaces: ["user", "mount"], uidMap: map, gidMap: map, uid: 0, gid: 0, label: "inner" });
  await agent.exec(["mkdir", "-p", "/run/inner"]);
  await inner.must("mount", memory("kdbusfs\0"), memory("/run/inner\0"), memory("kdbusfs\0"), 0, 0);
  const mapped = await spawn({ uid: 100_007, gid: 100_007, label: "mapped" });
  const control = async (): Promise<number> => inner.open("/run/inner/control");
  const forMapped = await inner.giveFd(await control(), mapped);
  const forRoot = await inner.giveFd(await control(), root);

  expectResult(await mapped.command(forMapped, "BUS_MAKE", make("100007-x")), "EINVAL");
  expectResult(await mapped.command(forMapped, "BUS_MAKE", make("7-x")), null);
  const names = ["0-x", "65534-x", "4294967295-x", "-1-x"];
  expect((await ioctls(root, forRoot, "BUS_MAKE", names.map((name) => make(name)))).map(({ errno }) => errno), "a caller without mapping").toEqual(names.map(() => "EINVAL"));
  expectResult(await inner.command(await control(), "BUS_MAKE", make("0-x")), null);
});

test("BUS-004 a name with a bad character or end gives EINVAL, a long one ENAMETOOLONG", covers("BUS-004"), async ({ domain, root }) => {
  const fd = await root.open(domain.control);

  const bad = ["0-blah@123", "0-blah-", "0-blah.", "0-bl ah", "0-bl/ah", "0-bl\u00e9h"];
  expect((await ioctls(root, fd, "BUS_MAKE", bad.map((name) => make(name)))).map(({ errno }) => errno), bad.join(", ")).toEqual(bad.map(() => "EINVAL"));
  expectResult(await root.command(fd, "BUS_MAKE", make(`0-${"x".repeat(62)}`)), "ENAMETOOLONG");
  expectResult(await root.command(fd, "BUS_MAKE", make(`0-${"x".repeat(61)}`)), null);
});

test("BUS-005 a name that is only the prefix gives EINVAL", covers("BUS-005"), async ({ domain, root }) => {
  expectResult(await root.command(await root.open(domain.control), "BUS_MAKE", make("0-")), "EINVAL");
});

test("BUS-006 a second bus of the same name gives EEXIST", covers("BUS-006"), async ({ bus, domain, root }) => {
  const fd = await root.open(domain.control);

  expectResult(await root.command(fd, "BUS_MAKE", make(bus.name)), "EEXIST");
  expectResult(await root.command(fd, "BUS_MAKE", make(`${bus.name}x`)), null);
  await bus.connect();
});

test("BUS-006 the same name in another domain is another bus", covers("BUS-006"), async ({ bus, mountDomain, root }) => {
  const other = await mountDomain();

  const twin = await other.makeBus(root, { name: bus.name.slice(2) });

  expect(twin.name).toBe(bus.name);
});

for (const [missing, items] of [["BLOOM_PARAMETER", [item.makeName("0-test")]], ["MAKE_NAME", [item.bloomParameter(64, 1)]]] as const) {
  test(`BUS-007 BUS_MAKE without ${missing} gives EINVAL`, covers("BUS-007"), async ({ domain, root }) => {
    const fd = await root.open(domain.control);

    expectResult(await root.command(fd, "BUS_MAKE", encodeCommand("BUS_MAKE", {}, items)), "EINVAL");
    expectResult(await root.command(fd, "BUS_MAKE", make("0-test")), null);
  });
}

test("BUS-008 a bloom size outside of 8 to 4096, not a multiple of 8, or no hash gives EINVAL", covers("BUS-008"), async ({ domain, root }) => {
  const fd = await root.open(domain.control);
  const bad: [number | bigint, number][] = [[0, 1], [1, 1], [4, 1], [7, 1], [9, 1], [12, 1], [4092, 1], [4097, 1], [4104, 1], [8192, 1], [(1n << 32n) | 64n, 1], [-8n, 1], [64, 0]];

  const outcomes = await ioctls(root, fd, "BUS_MAKE", bad.map((bloom) => make("0-test", [], bloom)));

  expect(bad.filter((_, index) => outcomes[index]?.errno !== "EINVAL").map(String), "taken").toEqual([]);
});

for (const size of [8, 16, 4088, 4096]) {
  test(`BUS-008 a bloom size of ${size} is taken`, covers("BUS-008"), async ({ domain, root }) => {
    const bus = await domain.makeBus(root, { bloom: { size, hashes: 1 } });

    expect((await bus.connect()).bloomSize()).toBe(size);
  });
}

test("BUS-009 an invalid mask in ATTACH_FLAGS_SEND gives EINVAL", covers("BUS-009"), async ({ domain, root }) => {
  const fd = await root.open(domain.control);
  const masks = [0x4000n, 1n << 40n, 1n << 63n];

  const outcomes = await ioctls(root, fd, "BUS_MAKE", masks.map((mask) => make("0-test", [item.attachFlagsSend(mask)])));

  expect(outcomes.map(({ errno }) => errno)).toEqual(masks.map(() => "EINVAL"));
  expectResult(await root.command(fd, "BUS_MAKE", make("0-test", [item.attachFlagsSend(abi.ATTACH_ALL)])), null);
});

test("BUS-013 making a bus needs no privilege", covers("BUS-013"), async ({ domain, spawn }) => {
  const user = await spawn({ uid: 1000, gid: 1000, capabilities: { effective: 0n, permitted: 0n }, label: "user" });

  const bus = await domain.makeBus(user, { flags: 0n });

  expect((await bus.connect()).id).not.toBe(0n);
});

for (const flags of [0n, 1n, 2n, 3n]) {
  test(`BUS-014 HELLO reports bus_flags ${flags} of BUS_MAKE`, covers("BUS-014"), async ({ domain, root }) => {
    const bus = await domain.makeBus(root, { flags });

    expect((await bus.connect()).hello.bus_flags).toBe(flags);
  });
}

test("BUS-015 a bus has a random id of RFC 4122 version 4, shared by its connections only", covers("BUS-015"), async ({ domain, root }) => {
  const [first, second] = [await domain.makeBus(root), await domain.makeBus(root)];

  const [a, b, other] = [await first.connect(), await first.connect(), await second.connect()].map(({ hello }) => hello.id128);

  expect(a).toEqual(b);
  expect(a).not.toEqual(other);
  for (const id of [a, other]) {
    expect((id?.[6] ?? 0) >> 4).toBe(4);
    expect((id?.[8] ?? 0) >> 6).toBe(2);
  }
});

test("BUS-016 HELLO hands out the bloom parameters of BUS_MAKE unchanged", covers("BUS-016"), async ({ domain, root }) => {
  // the kernel makes no use of the number: all of its 64 bits are the creator's
  for (const hashes of [7, 2 ** 40 + 7]) {
    const bus = await domain.makeBus(root, { bloom: { size: 128, hashes } });

    const { helloAnswer } = await bus.connect();

    expect(decodeStruct("bloom_parameter", helloAnswer, 16)).toEqual({ size: 128n, n_hash: BigInt(hashes) });
  }
});

test("BUS-018 a bus without required attach flags takes connections that send none", covers("BUS-018"), async ({ bus }) => {
  const connection = await bus.connect({ attachSend: 0 });

  await connection.update([item.attachFlagsSend(0)]);
});

for (const mask of [abi.ATTACH_ANY, abi.ATTACH_ALL, 0n]) {
  test(`BUS-029 BUS_MAKE with ATTACH_FLAGS_RECV 0x${mask.toString(16)} gives EINVAL and makes no bus`, covers("BUS-029"), async ({ domain, root }) => {
    const fd = await root.open(domain.control);

    expectResult(await root.command(fd, "BUS_MAKE", make("0-test", [item.attachFlagsRecv(mask)])), "EINVAL");

    await expectErrno(root.open(`${domain.path}/0-test/bus`), "ENOENT");
    expectResult(await root.command(fd, "BUS_MAKE", make("0-test")), null);
  });
}
