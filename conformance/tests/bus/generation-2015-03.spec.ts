import { abi, attached, covers, encodeCommand, expect, expectErrno, expectResult, item, setModuleMask, test, type Process } from "../../support/index.ts";

const make = (mask: bigint, name: string) => encodeCommand("BUS_MAKE", { flags: abi.MAKE.ACCESS_WORLD }, [item.makeName(name), item.bloomParameter(64, 1), item.attachFlagsRecv(mask)]);

async function hello(process: Process, path: string, attachSend: bigint): Promise<string | null> {
  return (await process.command(await process.open(path), "HELLO", encodeCommand("HELLO", { pool_size: 4096, attach_flags_send: attachSend }))).errno;
}

test("BUS-017 HELLO without a flag that the bus requires gives ECONNREFUSED", covers("BUS-017"), async ({ domain, root, spawn }) => {
  const bus = await domain.makeBus(root, { items: [item.attachFlagsRecv(abi.ATTACH.PIDS | abi.ATTACH.CREDS)] });
  const user = await spawn({ uid: 1000, gid: 1000, label: "user" });

  const seen: Record<string, unknown> = {};
  for (const process of [root, user]) {
    seen[process.label] = [await hello(process, bus.path, abi.ATTACH_ALL & ~abi.ATTACH.PIDS), await hello(process, bus.path, 0n), await hello(process, bus.path, abi.ATTACH.PIDS | abi.ATTACH.CREDS), await hello(process, bus.path, abi.ATTACH_ALL)];
  }

  expect(seen).toEqual({ root: ["ECONNREFUSED", "ECONNREFUSED", null, null], user: ["ECONNREFUSED", "ECONNREFUSED", null, null] });
});

test("BUS-019 a mask of all ones requires every kind there is", covers("BUS-019"), async ({ domain, root }) => {
  const bus = await domain.makeBus(root, { items: [item.attachFlagsRecv(abi.ATTACH_ANY)] });

  const without = Array.from({ length: 14 }, (_, bit) => abi.ATTACH_ALL & ~(1n << BigInt(bit)));
  const outcomes: (string | null)[] = [];
  for (const mask of without) outcomes.push(await hello(root, bus.path, mask));

  expect(outcomes).toEqual(without.map(() => "ECONNREFUSED"));
  expect(await hello(root, bus.path, abi.ATTACH_ALL)).toBeNull();
  expect(await hello(root, bus.path, abi.ATTACH_ANY)).toBeNull();
});

for (const [mask, errno] of [[0n, null], [0x3fffn, null], [0xffff_ffff_ffff_ffffn, null], [0x4000n, "EINVAL"], [0x7fff_ffff_ffff_ffffn, "EINVAL"]] as const) {
  test(`BUS-030 BUS_MAKE with ATTACH_FLAGS_RECV 0x${mask.toString(16)} gives ${errno ?? "success"}`, covers("BUS-030"), async ({ domain, root }) => {
    expectResult(await root.command(await root.open(domain.control), "BUS_MAKE", make(mask, "0-required")), errno);

    if (errno === null) await root.open(`${domain.path}/0-required/bus`);
    else await expectErrno(root.open(`${domain.path}/0-required/bus`), "ENOENT");
  });
}

test("BUS-030 two ATTACH_FLAGS_RECV items give EINVAL", covers("BUS-030"), async ({ domain, root }) => {
  const twice = encodeCommand("BUS_MAKE", {}, [item.makeName("0-twice"), item.bloomParameter(64, 1), item.attachFlagsRecv(0), item.attachFlagsRecv(0)]);

  expectResult(await root.command(await root.open(domain.control), "BUS_MAKE", twice), "EINVAL");
});

test("BUS-031 BUS_CREATOR_INFO shows only what the module parameter lets out", covers("BUS-031"), async ({ domain, root, agent }) => {
  const bus = await domain.makeBus(root, { attachFlagsSend: abi.ATTACH_ALL });
  const connection = await bus.connect();
  const kinds = async (): Promise<string[]> => attached((await connection.creatorInfo()).items);

  const open = await kinds();
  await setModuleMask(agent, abi.ATTACH.CREDS | abi.ATTACH.PIDS);
  const two = await kinds();
  await setModuleMask(agent, 0n);
  const closed = await connection.creatorInfo();

  expect(open).toEqual(expect.arrayContaining(["CREDS", "EXE", "PIDS"]));
  expect(two).toEqual(["CREDS", "PIDS"]);
  expect(closed.items.map(({ type }) => type)).toEqual([abi.ITEM.MAKE_NAME]);
});
