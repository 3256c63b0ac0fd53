import { abi, all, covers, encodeCommand, expect, expectErrno, expectResult, ioctls, item, stat, test, UNMAPPED, type Encoded, type Item } from "../../support/index.ts";

const make = (name: string, more: readonly Item[] = [], flags = 0n): Encoded => encodeCommand("ENDPOINT_MAKE", { flags }, [item.makeName(name), ...more]);

test("EP-001 ENDPOINT_MAKE makes a file through which one can connect", covers("EP-001"), async ({ bus, root }) => {
  const fd = await root.open(bus.path);

  expectResult(await root.command(fd, "ENDPOINT_MAKE", make("0-test")), null);

  expect((await stat(root, `${bus.directory}/0-test`)).kind).toBe("file");
  expectResult(await root.command(await root.open(`${bus.directory}/0-test`), "HELLO", encodeCommand("HELLO", { pool_size: 4096 })), null);
});

test("EP-001 the handle of ENDPOINT_MAKE becomes the endpoint owner", covers("EP-001"), async ({ bus, root }) => {
  const { ownerFd } = await bus.makeEndpoint();

  expectResult(await root.command(ownerFd, "ENDPOINT_UPDATE", encodeCommand("ENDPOINT_UPDATE", {})), null);
  expectResult(await root.command(ownerFd, "ENDPOINT_MAKE", make("0-again")), "EBADFD");
  expectResult(await root.command(ownerFd, "HELLO", encodeCommand("HELLO", { pool_size: 4096 })), "EBADFD");
  expectResult(await root.command(ownerFd, "LIST", encodeCommand("LIST", {})), "EBADFD");
});

test("EP-002 ENDPOINT_MAKE needs a privileged handle", covers("EP-002", "EP-003"), async ({ bus, spawn }) => {
  const user = await spawn({ uid: 1000, gid: 1000, label: "user" });
  const fd = await user.open(bus.path);

  expectResult(await user.command(fd, "ENDPOINT_MAKE", make("1000-test")), "EPERM");
  expectResult(await user.command(fd, "ENDPOINT_MAKE", make("1000-test", [], abi.FLAG_NEGOTIATE)), "EPERM");
  for (const pointer of [0, 3n, UNMAPPED]) expectResult(await user.command(fd, "ENDPOINT_MAKE", pointer), "EPERM");
  await expectErrno(user.open(`${bus.directory}/1000-test`), "ENOENT");
});

test("EP-002 the owner of a bus needs no capability", covers("EP-002"), async ({ domain, spawn }) => {
  const owner = await spawn({ uid: 1000, gid: 1000, label: "owner" });
  const bus = await domain.makeBus(owner);

  expectResult(await owner.command(await owner.open(bus.path), "ENDPOINT_MAKE", make("1000-test")), null);
});

test("EP-004 ENDPOINT_MAKE on a custom endpoint gives EPERM for everybody", covers("EP-004"), async ({ bus, root }) => {
  const fd = await root.open((await bus.makeEndpoint()).path);

  expectResult(await root.command(fd, "ENDPOINT_MAKE", make("0-test")), "EPERM");
  expectResult(await root.command(fd, "ENDPOINT_MAKE", 0), "EPERM");
});

test("EP-005 a name without the caller's effective uid and a dash in front gives EINVAL", covers("EP-005"), async ({ bus, spawn }) => {
  const CAP_IPC_OWNER = 1n << 15n;
  const caller = await spawn({ uid: { real: 1000, effective: 1001, saved: 1002 }, gid: 1000, capabilities: { effective: CAP_IPC_OWNER, permitted: CAP_IPC_OWNER }, label: "caller" });
  const fd = await caller.open(bus.path);

  const names = ["foobar", "0-foobar", "1000-foobar", "1002-foobar", "1001foobar", "10010-foobar", "1001", "1001-", "bus"];
  const outcomes = await ioctls(caller, fd, "ENDPOINT_MAKE", names.map((name) => make(name)));

  expect(Object.fromEntries(names.map((name, index) => [name, outcomes[index]?.errno]))).toEqual(all(names, "EINVAL"));
  expectResult(await caller.command(fd, "ENDPOINT_MAKE", make("1001-foobar")), null);
});

test("EP-006 a name of more than 63 characters gives ENAMETOOLONG", covers("EP-006"), async ({ bus, root }) => {
  const fd = await root.open(bus.path);

  expectResult(await root.command(fd, "ENDPOINT_MAKE", make(`0-${"x".repeat(62)}`)), "ENAMETOOLONG");
  expectResult(await root.command(fd, "ENDPOINT_MAKE", make(`0-${"x".repeat(61)}`)), null);
});

test("EP-007 a second endpoint of the same name gives EEXIST, in another bus it is fine", covers("EP-007"), async ({ bus, domain, root }) => {
  const other = await domain.makeBus(root);
  const first = await bus.makeEndpoint({ name: "test" });

  await expectErrno(bus.makeEndpoint({ name: "test" }), "EEXIST");
  await other.makeEndpoint({ name: "test" });

  await first.connect();
});

for (const [what, items] of Object.entries({ NAME: [item.name("a.b")], POLICY_ACCESS: [item.policyAccess(abi.POLICY_TYPE.WORLD, abi.POLICY.SEE)], "a whole policy": [item.name("a.b"), item.policyAccess(abi.POLICY_TYPE.WORLD, abi.POLICY.SEE)] })) {
  test(`EP-008 ENDPOINT_MAKE refuses ${what}`, covers("EP-008"), async ({ bus, root }) => {
    const fd = await root.open(bus.path);

    expectResult(await root.command(fd, "ENDPOINT_MAKE", make("0-test", items)), "EINVAL");
    expectResult(await root.command(fd, "ENDPOINT_MAKE", make("0-test")), null);
  });
}

for (const busFlags of [0n, abi.MAKE.ACCESS_WORLD]) {
  test(`EP-009 the mode of an endpoint follows its own flags in a bus with flags ${busFlags}`, covers("EP-009"), async ({ domain, root, spawn }) => {
    const bus = await domain.makeBus(await spawn({ uid: 1000, gid: 1001, label: "owner" }), { flags: busFlags });

    const seen: Record<string, string> = {};
    for (const flags of [0n, abi.MAKE.ACCESS_GROUP, abi.MAKE.ACCESS_WORLD, abi.MAKE.ACCESS_GROUP | abi.MAKE.ACCESS_WORLD]) {
      const endpoint = await bus.makeEndpoint({ name: `flags${flags}`, flags });
      const { mode, uid, gid } = await stat(root, endpoint.path);
      seen[String(flags)] = `${mode.toString(8)} ${uid} ${gid}`;
    }

    expect(seen).toEqual({ 0: "600 1000 1001", 1: "660 1000 1001", 2: "666 1000 1001", 3: "666 1000 1001" });
  });
}

test("EP-010 others can open an endpoint as its mode and the bus directory let them", covers("EP-010"), async ({ bus, domain, root, spawn }) => {
  const stranger = await spawn({ uid: 2000, gid: 2000, label: "stranger" });
  const [closed, open] = [await bus.makeEndpoint({ name: "closed", flags: 0n }), await bus.makeEndpoint({ name: "open", flags: abi.MAKE.ACCESS_WORLD })];
  const hidden = await (await domain.makeBus(root, { flags: 0n })).makeEndpoint({ name: "hidden", flags: abi.MAKE.ACCESS_WORLD });

  await expectErrno(stranger.open(closed.path), "EACCES");
  await expectErrno(stranger.open(hidden.path), "EACCES");
  await open.connect({ by: stranger });
});

test("EP-011 closing the owner handle ends the endpoint and its connections, no others", covers("EP-011"), async ({ bus, root, spawn }) => {
  const [endpoint, other] = [await bus.makeEndpoint({ name: "ends" }), await bus.makeEndpoint({ name: "stays" })];
  const stranger = await spawn({ uid: 2000, gid: 2000, label: "stranger" });
  const gone = [await endpoint.connect(), await endpoint.connect({ by: stranger })];
  const staying = [await bus.connect(), await other.connect(), await bus.connect({ by: stranger })];

  await endpoint.close();

  await expectErrno(stat(root, endpoint.path), "ENOENT");
  for (const connection of gone) await expectErrno(connection.list(0n), "ECONNRESET");
  for (const connection of staying) await connection.list(0n);
  await staying[0]?.send(staying[0]);
  await bus.makeEndpoint({ name: "ends" });
});

test("EP-029 the privilege of a handle is that of its open, the uid in the name that of the call", covers("EP-029"), async ({ domain, spawn }) => {
  const owner = await spawn({ uid: { real: 1000, effective: 1000, saved: 2000 }, gid: 1000, label: "owner" });
  const bus = await domain.makeBus(owner);
  const fd = await owner.open(bus.path);

  await owner.must("setresuid", 2000, 2000, 2000);

  expectResult(await owner.command(fd, "ENDPOINT_MAKE", make("1000-test")), "EINVAL");
  expectResult(await owner.command(fd, "ENDPOINT_MAKE", make("2000-test")), null);
  expect((await stat(owner, `${bus.directory}/2000-test`)).uid).toBe(2000);
});
