import { abi, covers, encodeCommand, expect, expectErrno, expectResult, item, memory, SAMPLE_ITEMS, test, type Info } from "../../support/index.ts";

const typesOf = (info: Info): number[] => info.items.map(({ type }) => type).sort((a, b) => a - b);
/** Bit of the attach flags that asks for an item. */
const bitOf = (type: number): bigint => 1n << BigInt(type - abi.ITEM.TIMESTAMP);

test("CONN-044 CONN_INFO by id tells id and HELLO flags", covers("CONN-044"), async ({ bus }) => {
  const [first, second, activator] = [await bus.connect({ flags: 0n }), await bus.connect({ flags: abi.HELLO.ACCEPT_FD }), await bus.connectActivator("act.name", { flags: 0n })];

  expect(await first.info(first)).toMatchObject({ id: first.id, flags: 0n });
  expect(await first.info(second)).toMatchObject({ id: second.id, flags: abi.HELLO.ACCEPT_FD });
  expect(await first.info(activator)).toMatchObject({ id: activator.id, flags: abi.HELLO.ACTIVATOR });
});

test("CONN-045 CONN_INFO by name describes the owner of that moment", covers("CONN-045"), async ({ bus }) => {
  const [peer, owner, activator] = [await bus.connect(), await bus.connect(), await bus.connectActivator("act.name")];

  expect((await peer.info("act.name")).id).toBe(activator.id);
  await owner.acquire("act.name");
  expect((await peer.info("act.name")).id).toBe(owner.id);
  await owner.release("act.name");
  expect((await peer.info("act.name")).id).toBe(activator.id);
});

test("CONN-046 CONN_INFO by name and id needs both to fit", covers("CONN-046"), async ({ bus }) => {
  const [peer, owner] = [await bus.connect(), await bus.connect()];
  await owner.acquire("test.name");
  const both = (id: bigint) => peer.ioctl("CONN_INFO", encodeCommand("CONN_INFO", { id }, [item.name("test.name")]));

  expectResult(await both(owner.id), null);
  expectResult(await both(peer.id), "ESRCH");
  expectResult(await both(0x7fff_ffff_0000n), "ESRCH");
  expectResult(await both(0xffff_ffff_ffff_ffffn), "ESRCH");
});

test("CONN-047 CONN_INFO for a name that nobody has or can have gives ESRCH", covers("CONN-047"), async ({ bus }) => {
  const connection = await bus.connect();

  for (const name of ["non.existent.name", ".x", "x", "", "a..b", "a.b.*", `a.${"b".repeat(300)}`]) await expectErrno(connection.info(name), "ESRCH");
});

test("CONN-047 CONN_INFO for a name that was released gives ESRCH", covers("CONN-047"), async ({ bus }) => {
  const connection = await bus.connect();
  await connection.acquire("test.name");
  expect((await connection.info("test.name")).id).toBe(connection.id);

  await connection.release("test.name");

  await expectErrno(connection.info("test.name"), "ESRCH");
});

test("CONN-048 CONN_INFO for an unknown id gives ENXIO", covers("CONN-048"), async ({ bus, domain, root }) => {
  const [connection, gone] = [await bus.connect(), await bus.connect()];
  const elsewhere = await (await domain.makeBus(root)).connect();
  await gone.close();

  for (const id of [0x0fff_ffff_ffff_ffffn, 0xffff_ffff_ffff_ffffn, gone.id, elsewhere.id]) await expectErrno(connection.info(id), "ENXIO");
});

test("CONN-049 CONN_INFO with neither id nor name gives EINVAL", covers("CONN-049"), async ({ bus }) => {
  const connection = await bus.connect();

  expectResult(await connection.ioctl("CONN_INFO", encodeCommand("CONN_INFO", {})), "EINVAL");
});

test("CONN-050 CONN_INFO refuses an OWNED_NAME item", covers("CONN-050"), async ({ bus }) => {
  const connection = await bus.connect();
  await connection.acquire("sample.name");

  expectResult(await connection.ioctl("CONN_INFO", encodeCommand("CONN_INFO", {}, [SAMPLE_ITEMS.OWNED_NAME])), "EINVAL");
  expectResult(await connection.ioctl("CONN_INFO", encodeCommand("CONN_INFO", { id: connection.id }, [SAMPLE_ITEMS.OWNED_NAME])), "EINVAL");
  expectResult(await connection.ioctl("CONN_INFO", encodeCommand("CONN_INFO", {}, [SAMPLE_ITEMS.NAME])), null);
});

test("CONN-051 CONN_INFO tells what is both asked for and allowed", covers("CONN-051"), async ({ bus, spawn }) => {
  const connection = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, groups: [77], label: "described" }), description: "text" });
  await (await bus.connectPolicyHolder("test.name", [item.policyAccess(abi.POLICY_TYPE.WORLD, abi.POLICY.OWN)])).info(connection);
  await connection.acquire("test.name");
  const peer = await bus.connect();
  const whole = typesOf(await peer.info(connection, abi.ATTACH_ALL));
  expect(whole, "what is always recorded").toEqual(expect.arrayContaining([abi.ITEM.CREDS, abi.ITEM.PIDS, abi.ITEM.AUXGROUPS, abi.ITEM.OWNED_NAME, abi.ITEM.TID_COMM, abi.ITEM.PID_COMM, abi.ITEM.EXE, abi.ITEM.CMDLINE, abi.ITEM.CAPS, abi.ITEM.CONN_DESCRIPTION]));
  const flags = Object.values(abi.ATTACH);
  const masks = [0n, ...flags, ...flags.map((flag) => abi.ATTACH_ALL & ~flag), abi.ATTACH_ALL];

  const wrong: Record<string, unknown> = {};
  const check = async (asked: bigint, allowed: bigint): Promise<void> => {
    const seen = typesOf(await peer.info(connection, asked));
    const expected = whole.filter((type) => (bitOf(type) & asked & allowed) !== 0n);
    if (seen.join() !== expected.join()) wrong[`asked 0x${asked.toString(16)}, allowed 0x${allowed.toString(16)}`] = seen;
  };
  for (const asked of masks) await check(asked, abi.ATTACH_ALL);
  for (const allowed of masks) {
    await connection.update([item.attachFlagsSend(allowed)]);
    await check(abi.ATTACH_ALL, allowed);
    await check(abi.ATTACH.CREDS | abi.ATTACH.EXE | abi.ATTACH.CONN_DESCRIPTION, allowed);
  }

  expect(wrong, "item types of wrong answers").toEqual({});
});

test("CONN-052 CONN_INFO tells of the process as it was at HELLO, without a time", covers("CONN-052"), async ({ bus, spawn }) => {
  const process = await spawn({ gid: 55, groups: [56], comm: "before", label: "described" });
  const [connection, peer] = [await bus.connect({ by: process }), await bus.connect()];
  const before = await peer.info(connection);

  const PR_SET_NAME = 15;
  await process.must("setgroups", 0, 0);
  await process.must("setresgid", 77, 77, 77);
  await process.must("prctl", PR_SET_NAME, memory("changed\0"));
  await process.must("setresuid", 1005, 1005, 1005);
  const after = await peer.info(connection);

  expect(before.metadata).toMatchObject({ creds: { uid: 0n, euid: 0n, gid: 55n }, auxgroups: [56n], tidComm: "before" });
  expect(after.metadata).toEqual(before.metadata);
  expect(typesOf(after)).not.toContain(abi.ITEM.TIMESTAMP);
});

test("CONN-053 CONN_INFO tells every name owned at that moment", covers("CONN-053"), async ({ bus }) => {
  const [connection, peer, other] = [await bus.connect(), await bus.connect(), await bus.connect()];
  const names = async (): Promise<string[]> => (await peer.info(connection, abi.ATTACH.NAMES)).metadata.names.map(({ name }) => name).sort();
  await other.acquire("other.name");

  expect(await names()).toEqual([]);
  await connection.acquire("first.name");
  await connection.acquire("second.name");
  await connection.acquire("other.name", abi.NAME.QUEUE);
  expect(await names()).toEqual(["first.name", "second.name"]);
  await connection.release("first.name");
  expect(await names()).toEqual(["second.name"]);
  await other.release("other.name");
  expect(await names()).toEqual(["other.name", "second.name"]);
});
