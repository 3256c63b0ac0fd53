import { abi, all, covers, decodeItems, decodeStruct, encodeCommand, expect, expectErrno, expectResult, grant, ioctls, item, overwrite, spoilArguments, test, UNMAPPED, type Encoded, type Item } from "../../support/index.ts";

const { ACTIVATOR, POLICY_HOLDER, MONITOR, ACCEPT_FD } = abi.HELLO;
const KINDS = { activator: [ACTIVATOR, [item.name("test.name")]], "policy holder": [POLICY_HOLDER, [item.name("test.name")]], monitor: [MONITOR, []] } as const;
const hello = (fields: { readonly flags?: bigint; readonly pool_size?: number | bigint; readonly attach_flags_send?: bigint; readonly attach_flags_recv?: bigint } = {}, items: readonly Item[] = []): Encoded => encodeCommand("HELLO", { pool_size: 65536, ...fields }, items);

for (const [masks, send, recv] of [["some kinds of metadata", 0x2n, 0x5n], ["every kind, also those to come", 0xffff_ffff_ffff_ffffn, 0xffff_ffff_ffff_ffffn]] as const) {
  test(`CONN-001 HELLO fills in its results and gives back its input: ${masks}`, covers("CONN-001"), async ({ bus, root }) => {
    const given = hello({ flags: ACCEPT_FD, attach_flags_send: send, attach_flags_recv: recv });
    const outputs = overwrite(overwrite(overwrite(given, 16, new Uint8Array(8).fill(0xff)), 40, new Uint8Array(16).fill(0xff)), 64, new Uint8Array(32).fill(0xff));

    const result = await root.command(await root.open(bus.path), "HELLO", outputs);

    expectResult(result, null);
    const after = decodeStruct("cmd_hello", result.bytes);
    expect(after).toMatchObject({ size: 96n, flags: ACCEPT_FD, return_flags: 0n, attach_flags_send: send, attach_flags_recv: recv, pool_size: 65536n, bus_flags: abi.MAKE.ACCESS_WORLD, items_size: 32n });
    expect([0n, 0xffff_ffff_ffff_ffffn]).not.toContain(after.id);
    expect(after.offset).toBeLessThan(65536n);
    expect(after.id128.every((byte) => byte === 0xff)).toBe(false);
  });
}

test("CONN-002 connection ids increase and are never used again", covers("CONN-002"), async ({ bus, mountDomain, root }) => {
  const elsewhere = await (await mountDomain()).makeBus(root);
  const ids: bigint[] = [];
  for (let round = 0; round < 6; round++) {
    const [first, second] = [await bus.connect(), await bus.connect({ flags: 0n })];
    await elsewhere.connect();
    ids.push(first.id, second.id);
    await (round % 2 === 0 ? second : first).close();
    await (round % 2 === 0 ? first : second).byebye();
  }

  expect(ids[0]).toBeGreaterThan(0n);
  expect(ids.at(-1)).toBeLessThan(0xffff_ffff_ffff_ffffn);
  expect(ids.filter((id, index) => index > 0 && id <= (ids[index - 1] ?? 0n)), `ids that do not exceed the one before, of ${ids.join(" ")}`).toEqual([]);
});

test("CONN-003 HELLO leaves one slice with a BLOOM_PARAMETER item", covers("CONN-003"), async ({ bus, root }) => {
  const fd = await root.open(bus.path);
  const { offset, items_size: size } = decodeStruct("cmd_hello", (await root.command(fd, "HELLO", hello())).bytes);
  const at = await root.must("mmap", 0, 65536, 1, 1, fd, 0);

  const items = decodeItems(await root.readMemory(at + offset, 32), 0, 32);

  expect(size).toBe(32n);
  expect(items.map((entry) => [entry.type, entry.size])).toEqual([[abi.ITEM.BLOOM_PARAMETER, 32]]);
  expect(decodeStruct("bloom_parameter", items[0]?.payload ?? new Uint8Array(0))).toEqual({ size: 64n, n_hash: 1n });
  expectResult(await root.command(fd, "FREE", encodeCommand("FREE", { offset })), null);
  expectResult(await root.command(fd, "FREE", encodeCommand("FREE", { offset })), "ENXIO");
});

test("CONN-004 a pool size that is no positive number of pages gives EINVAL", covers("CONN-004"), async ({ bus, root }) => {
  const fd = await root.open(bus.path);
  const sizes = [0, 1, 8, 4095, 4097, 65536 + 8];

  const outcomes = await ioctls(root, fd, "HELLO", sizes.map((size) => hello({ pool_size: size })));

  expect(outcomes.map(({ errno }) => errno), sizes.join(", ")).toEqual(sizes.map(() => "EINVAL"));
  expectResult(await root.command(fd, "HELLO", hello()), null);
});

for (const uid of [0, 1000]) {
  test(`CONN-005 more than one kind in HELLO gives EINVAL for uid ${uid}`, covers("CONN-005"), async ({ bus, spawn }) => {
    const process = await spawn({ uid, gid: uid, label: "caller" });
    const fd = await process.open(bus.path);
    const pairs = [ACTIVATOR | POLICY_HOLDER, ACTIVATOR | MONITOR, POLICY_HOLDER | MONITOR, ACTIVATOR | POLICY_HOLDER | MONITOR];

    const named = await ioctls(process, fd, "HELLO", pairs.map((flags) => hello({ flags }, [item.name("test.name")])));
    const bare = await ioctls(process, fd, "HELLO", pairs.map((flags) => hello({ flags })));

    expect([...named, ...bare].map(({ errno }) => errno)).toEqual([...pairs, ...pairs].map(() => "EINVAL"));
  });
}

test("CONN-006 activator and policy holder without NAME give EINVAL", covers("CONN-006"), async ({ bus, root }) => {
  const fd = await root.open(bus.path);

  expectResult(await root.command(fd, "HELLO", hello({ flags: ACTIVATOR })), "EINVAL");
  expectResult(await root.command(fd, "HELLO", hello({ flags: POLICY_HOLDER })), "EINVAL");
  expectResult(await root.command(fd, "HELLO", hello({ flags: POLICY_HOLDER }, [item.name("test.name")])), null);
});

test("CONN-007 ordinary connections and monitors with NAME give EINVAL", covers("CONN-007"), async ({ bus, root }) => {
  const fd = await root.open(bus.path);

  for (const flags of [0n, ACCEPT_FD, MONITOR]) expectResult(await root.command(fd, "HELLO", hello({ flags }, [item.name("a.b")])), "EINVAL");
  expectResult(await root.command(fd, "HELLO", hello({ flags: MONITOR })), null);
});

for (const [kind, flag] of [["activator", ACTIVATOR], ["policy holder", POLICY_HOLDER]] as const) {
  test(`CONN-008 an invalid name for a connection that is a ${kind} gives EINVAL`, covers("CONN-008"), async ({ bus, root }) => {
    const fd = await root.open(bus.path);
    const names = [".example.a", "example", "example..a", "example.a.", "example.a b", "", "*", `example.${"a".repeat(250)}`];

    const outcomes = await ioctls(root, fd, "HELLO", names.map((name) => hello({ flags: flag }, [item.name(name)])));

    expect(Object.fromEntries(names.map((name, index) => [name, outcomes[index]?.errno]))).toEqual(all(names, "EINVAL"));
    expectResult(await root.command(fd, "HELLO", hello({ flags: flag }, [item.name("example.a")])), null);
  });
}

test("CONN-009 an activator with a wildcard name gives EINVAL", covers("CONN-009", "CONN-010"), async ({ bus, root }) => {
  const fd = await root.open(bus.path);

  expectResult(await root.command(fd, "HELLO", hello({ flags: ACTIVATOR }, [item.name("com.example.*")])), "EINVAL");
  expectResult(await root.command(fd, "HELLO", hello({ flags: POLICY_HOLDER }, [item.name("com.example.*")])), null);
});

for (const [kind, [flags, items]] of Object.entries(KINDS)) {
  test(`CONN-011 a connection that is a ${kind} needs privilege`, covers("CONN-011"), async ({ bus, spawn, root }) => {
    const user = await spawn({ uid: 1000, gid: 1000, label: "user" });

    expectResult(await user.command(await user.open(bus.path), "HELLO", hello({ flags }, items)), "EPERM");
    expectResult(await root.command(await root.open(bus.path), "HELLO", hello({ flags }, items)), null);
  });
}

for (const [kind, fake] of Object.entries({ CREDS: item.creds({ uid: 1000 }), PIDS: item.pids({}), SECLABEL: item.seclabel("label") })) {
  test(`CONN-012 a faked ${kind} needs privilege`, covers("CONN-012"), async ({ bus, spawn, root }) => {
    const user = await spawn({ uid: 1000, gid: 1000, label: "user" });

    expectResult(await user.command(await user.open(bus.path), "HELLO", hello({}, [fake])), "EPERM");
    expectResult(await root.command(await root.open(bus.path), "HELLO", hello({}, [fake])), null);
  });
}

test("CONN-013 anybody may have a description, which CONN_INFO tells if asked", covers("CONN-013"), async ({ bus, spawn }) => {
  const connection = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "user" }), description: "some-text" });
  const peer = await bus.connect();

  expect((await peer.info(connection, abi.ATTACH.CONN_DESCRIPTION)).metadata.description).toBe("some-text");
  expect((await peer.info(connection, abi.ATTACH_ALL & ~abi.ATTACH.CONN_DESCRIPTION)).metadata.description).toBeUndefined();
  expect((await connection.info(peer)).metadata.description).toBeUndefined();
});

for (const field of ["attach_flags_send", "attach_flags_recv"] as const) {
  test(`CONN-014 an invalid ${field} gives EINVAL`, covers("CONN-014"), async ({ bus, root }) => {
    const fd = await root.open(bus.path);

    for (const mask of [0x4000n, 1n << 62n]) expectResult(await root.command(fd, "HELLO", hello({ [field]: mask })), "EINVAL");
    expectResult(await root.command(fd, "HELLO", hello({ [field]: 0x3fffn })), null);
  });
}

test("CONN-015 the first of several errors decides", covers("CONN-015"), async ({ bus, spawn }) => {
  const user = await spawn({ uid: 1000, gid: 1000, label: "user" });
  const fd = await user.open(bus.path);
  const cases: Readonly<Record<string, readonly [Encoded, string]>> = {
    "pool size before privilege of a monitor": [hello({ flags: MONITOR, pool_size: 1 }), "EINVAL"],
    "pool size before privilege of fakes": [hello({ pool_size: 1 }, [item.creds({})]), "EINVAL"],
    "bad name before privilege": [hello({ flags: POLICY_HOLDER }, [item.name("bad")]), "EINVAL"],
    "missing name before privilege": [hello({ flags: ACTIVATOR }), "EINVAL"],
    "privilege of a monitor before send mask": [hello({ flags: MONITOR, attach_flags_send: 0x4000n }), "EPERM"],
    "privilege of a monitor before receive mask": [hello({ flags: MONITOR, attach_flags_recv: 0x4000n }), "EPERM"],
    "privilege of fakes before masks": [hello({ attach_flags_send: 0x4000n }, [item.pids({})]), "EPERM"],
    "privilege before grants": [hello({ flags: POLICY_HOLDER }, [item.name("test.name"), item.policyAccess(99, 99)]), "EPERM"],
    "privilege before unresolvable fakes": [hello({}, [item.creds({ uid: 1n << 40n })]), "EPERM"],
  };

  const seen: Record<string, unknown> = {};
  for (const [what, [command]] of Object.entries(cases)) seen[what] = (await user.command(fd, "HELLO", command)).errno;

  expect(seen).toEqual(Object.fromEntries(Object.entries(cases).map(([what, [, errno]]) => [what, errno])));
});

test("CONN-016 grants of an ordinary connection grant nothing", covers("CONN-016"), async ({ bus, spawn }) => {
  await bus.connect({ items: [grant.world(abi.POLICY.OWN), grant.user(1000, abi.POLICY.TALK)] });
  const user = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "user" }), items: [grant.world(abi.POLICY.OWN)] });
  const server = await bus.connect();
  await server.acquire("test.name");

  await expectErrno(user.acquire("other.name"), "EPERM");
  await expectErrno(user.send("test.name"), "EPERM");
});

test("CONN-017 a second NAME gives EINVAL", covers("CONN-017"), async ({ bus, root }) => {
  const fd = await root.open(bus.path);

  expectResult(await root.command(fd, "HELLO", hello({ flags: POLICY_HOLDER }, [item.name("a.b"), item.name("a.c")])), "EINVAL");
  expectResult(await root.command(fd, "HELLO", hello({ flags: POLICY_HOLDER }, [item.name("a.b")])), null);
});

test("CONN-019 HELLO on an endpoint that has ended gives ESHUTDOWN", covers("CONN-019"), async ({ bus, root }) => {
  const endpoint = await bus.makeEndpoint();
  const [custom, standard] = [await root.open(endpoint.path), await root.open(bus.path)];

  await endpoint.close();
  expectResult(await root.command(custom, "HELLO", hello()), "ESHUTDOWN");
  await bus.close();
  expectResult(await root.command(standard, "HELLO", hello()), "ESHUTDOWN");
  expectResult(await root.command(standard, "HELLO", UNMAPPED), "ESHUTDOWN");
});

test("CONN-083 a pool of 2^63 bytes gives EINVAL", covers("CONN-083"), async ({ bus, root }) => {
  expectResult(await root.command(await root.open(bus.path), "HELLO", hello({ pool_size: 1n << 63n })), "EINVAL");
});

test("CONN-084 a pool that the system cannot commit gives ENOMEM", covers("CONN-084"), async ({ bus, root }) => {
  expectResult(await root.command(await root.open(bus.path), "HELLO", hello({ pool_size: 1n << 62n })), "ENOMEM");
});

test("CONN-086 HELLO succeeds although the caller's command line is no string", covers("CONN-086"), async ({ bus, spawn }) => {
  const spoilt = await spawn({ label: "spoilt" });
  await spoilArguments(spoilt);
  const [connection, intact] = [await bus.connect({ by: spoilt }), await bus.connect()];

  const { metadata } = await intact.info(connection);

  expect(metadata.cmdline).toBeUndefined();
  expect(metadata.pids?.pid).toBe(BigInt(spoilt.peer.pid));
  expect((await intact.info(intact)).metadata.cmdline, "of a caller that has one").toBeDefined();
});

