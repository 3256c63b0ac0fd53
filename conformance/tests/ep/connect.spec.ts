import { abi, CONNECTION_LIMIT, connectMany, covers, encodeCommand, expect, expectErrno, expectResult, item, MANY_FILES, test, type Encoded, type Item } from "../../support/index.ts";

const { ACTIVATOR, POLICY_HOLDER, MONITOR } = abi.HELLO;
const hello = (flags: bigint, items: readonly Item[] = []): Encoded => encodeCommand("HELLO", { flags, pool_size: 4096 }, items);

test("EP-020 a monitor on a custom endpoint gives EOPNOTSUPP", covers("EP-020"), async ({ bus, root, spawn }) => {
  const endpoint = await bus.makeEndpoint();
  const user = await spawn({ uid: 1000, gid: 1000, label: "user" });

  expectResult(await root.command(await root.open(endpoint.path), "HELLO", hello(MONITOR)), "EOPNOTSUPP");
  expectResult(await user.command(await user.open(endpoint.path), "HELLO", hello(MONITOR)), "EOPNOTSUPP");
});

const REFUSED: Readonly<Record<string, Encoded>> = {
  "an activator": hello(ACTIVATOR, [item.name("a.b")]),
  "a policy holder": hello(POLICY_HOLDER, [item.name("a.b")]),
  "faked CREDS": hello(0n, [item.creds({})]),
  "faked PIDS": hello(0n, [item.pids({})]),
  "a faked SECLABEL": hello(0n, [item.seclabel("label")]),
};
for (const [what, command] of Object.entries(REFUSED)) {
  test(`EP-021 ${what} on a custom endpoint gives EPERM for root and the bus owner`, covers("EP-021"), async ({ domain, root, spawn }) => {
    const owner = await spawn({ uid: 1000, gid: 1000, label: "owner" });
    const endpoint = await (await domain.makeBus(owner)).makeEndpoint();

    for (const process of [root, owner]) {
      const fd = await process.open(endpoint.path);
      expectResult(await process.command(fd, "HELLO", command), "EPERM");
      expectResult(await process.command(fd, "HELLO", hello(0n)), null);
    }
  });
}

test("EP-026 an endpoint has a connection limit of its own, shared by its users", covers("EP-026"), async ({ bus, spawn }) => {
  const [user, other] = [await spawn({ uid: 1000, gid: 1000, label: "user", ...MANY_FILES }), await spawn({ uid: 1001, gid: 1001, label: "other", ...MANY_FILES })];
  const [endpoint, second] = [await bus.makeEndpoint({ name: "first" }), await bus.makeEndpoint({ name: "second" })];
  expect((await connectMany(bus, user, CONNECTION_LIMIT + 1)).errno, "the user's own limit is used up").toBe("EMFILE");

  const made = await connectMany(endpoint, user, 600);
  const more = await connectMany(endpoint, other, 600);

  expect(made).toMatchObject({ errno: null });
  expect({ made: made.fds.length + more.fds.length, errno: more.errno }).toEqual({ made: CONNECTION_LIMIT, errno: "EMFILE" });
  await expectErrno(endpoint.connect(), "EMFILE");
  await second.connect({ by: user });
  await bus.connect({ by: other });
});
