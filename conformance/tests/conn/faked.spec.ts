import { abi, covers, encodeCommand, expect, expectErrno, ioctls, item, test, type Info, type Item } from "../../support/index.ts";

const typesOf = (info: Info): number[] => info.items.map(({ type }) => type).sort((a, b) => a - b);
const CREDS = { uid: 1n, euid: 2n, suid: 3n, fsuid: 4n, gid: 5n, egid: 6n, sgid: 7n, fsgid: 8n };
const UNSET = Object.fromEntries(Object.keys(CREDS).map((field) => [field, abi.CREDS_UNSET])) as typeof CREDS;
const hello = (items: readonly Item[]) => encodeCommand("HELLO", { pool_size: 4096 }, items);

test("CONN-055 faked credentials replace all process data, name and description stay", covers("CONN-055"), async ({ bus }) => {
  const [faked, peer] = [await bus.connect({ items: [item.creds(CREDS)], description: "text" }), await bus.connect()];
  await faked.acquire("test.name");

  const info = await peer.info(faked);

  expect(typesOf(info)).toEqual([abi.ITEM.CREDS, abi.ITEM.OWNED_NAME, abi.ITEM.CONN_DESCRIPTION]);
  expect(info.metadata).toMatchObject({ creds: CREDS, description: "text" });
});

test("CONN-055 faked process ids replace all process data", covers("CONN-055"), async ({ bus, root, spawn }) => {
  const other = await spawn({ label: "other" });
  const pids = { pid: BigInt(other.peer.pid), tid: BigInt(other.peer.pid), ppid: BigInt(root.peer.pid) };
  const [faked, peer] = [await bus.connect({ items: [item.pids(pids)] }), await bus.connect()];

  const info = await peer.info(faked);

  expect(typesOf(info)).toEqual([abi.ITEM.PIDS]);
  expect(info.metadata.pids).toEqual(pids);
});

test("CONN-055 a faked label replaces all process data", covers("CONN-055"), async ({ bus }) => {
  const [faked, peer] = [await bus.connect({ items: [item.seclabel("some:label")] }), await bus.connect()];

  const info = await peer.info(faked);

  expect(typesOf(info)).toEqual([abi.ITEM.SECLABEL]);
  expect(info.metadata.seclabel).toBe("some:label");
});

test("CONN-055 all three fakes together", covers("CONN-055"), async ({ bus, root }) => {
  const pids = { pid: BigInt(root.peer.pid), tid: BigInt(root.peer.pid), ppid: 1n };
  const faked = await bus.connect({ items: [item.seclabel("some:label"), item.creds(CREDS), item.pids(pids)] });

  const info = await (await bus.connect()).info(faked);

  expect(typesOf(info)).toEqual([abi.ITEM.CREDS, abi.ITEM.PIDS, abi.ITEM.SECLABEL]);
  expect(info.metadata).toMatchObject({ creds: CREDS, pids, seclabel: "some:label" });
});

test("CONN-056 the id 0xffffffff is unset and told as it is", covers("CONN-056"), async ({ bus }) => {
  const peer = await bus.connect();
  const whole = await bus.connect({ items: [item.creds(UNSET)] });
  const part = await bus.connect({ items: [item.creds({ ...UNSET, euid: 5n, sgid: 6n })] });

  expect((await peer.info(whole)).metadata.creds).toEqual(UNSET);
  expect((await peer.info(part)).metadata.creds).toEqual({ ...UNSET, euid: 5n, sgid: 6n });
});

for (const value of [1n << 32n, (1n << 32n) | 1n, (1n << 32n) | abi.CREDS_UNSET, 0xffff_ffff_ffff_ffffn, 1n << 63n]) {
  test(`CONN-056 the faked id 0x${value.toString(16)} is too wide in any field`, covers("CONN-056"), async ({ bus, root }) => {
    const fields = Object.keys(CREDS);

    const outcomes = await ioctls(root, await root.open(bus.path), "HELLO", fields.map((field) => hello([item.creds({ ...CREDS, [field]: value })])));

    expect(Object.fromEntries(fields.map((field, index) => [field, outcomes[index]?.errno]))).toEqual(Object.fromEntries(fields.map((field) => [field, "EINVAL"])));
  });
}

test("CONN-056 faked ids are those of the caller's user namespace", covers("CONN-056"), async ({ domain, spawn }) => {
  const map = [[0, 100_000, 1000]] as const;
  const outer = await spawn({ uid: 100_000, gid: 100_000, label: "outer" });
  const bus = await domain.makeBus(outer);
  const inner = await spawn({ namespaces: ["user"], uidMap: map, gidMap: map, uid: 0, gid: 0, label: "inner" });
  const mapped = { ...UNSET, uid: 5n, gid: 7n };

  const faked = await bus.connect({ by: inner, items: [item.creds(mapped)] });
  const fd = await inner.open(bus.path);
  const unmapped = await ioctls(inner, fd, "HELLO", [hello([item.creds({ ...UNSET, uid: 1000 })]), hello([item.creds({ ...UNSET, fsgid: 100_005 })])]);

  expect((await (await bus.connect()).info(faked)).metadata.creds).toMatchObject({ uid: 100_005n, gid: 100_007n });
  expect((await faked.info(faked)).metadata.creds).toMatchObject({ uid: 5n, gid: 7n });
  expect(unmapped.map(({ errno }) => errno)).toEqual(["EINVAL", "EINVAL"]);
});

test("CONN-057 the faked process id 0 is unset", covers("CONN-057"), async ({ bus, root }) => {
  const peer = await bus.connect();
  const [none, part] = [await bus.connect({ items: [item.pids({})] }), await bus.connect({ items: [item.pids({ tid: root.peer.pid })] })];

  expect((await peer.info(none)).metadata.pids ?? { pid: 0n, tid: 0n, ppid: 0n }).toEqual({ pid: 0n, tid: 0n, ppid: 0n });
  expect((await peer.info(part)).metadata.pids).toEqual({ pid: 0n, tid: BigInt(root.peer.pid), ppid: 0n });
});

test("CONN-057 a faked process id that nobody has gives EINVAL", covers("CONN-057"), async ({ bus, root, spawn }) => {
  const dead = await spawn({ label: "dead" });
  await dead.kill();
  const values = [4_194_303n, BigInt(dead.peer.pid), (1n << 32n) | BigInt(root.peer.pid), -1n, 1n << 31n];
  const fakes = ["pid", "tid", "ppid"].flatMap((field) => values.map((value) => ({ [field]: value })));

  const outcomes = await ioctls(root, await root.open(bus.path), "HELLO", fakes.map((fake) => hello([item.pids(fake)])));

  expect(fakes.filter((_, index) => outcomes[index]?.errno !== "EINVAL").map((fake) => Object.entries(fake).join()), "taken").toEqual([]);
});

test("CONN-057 faked process ids are those of the caller's pid namespace", covers("CONN-057"), async ({ bus, spawn }) => {
  const inner = await spawn({ namespaces: ["pid"], label: "inner" });
  const faked = await bus.connect({ by: inner, items: [item.pids({ pid: inner.peer.innerPid })] });

  expect((await (await bus.connect()).info(faked)).metadata.pids?.pid).toBe(BigInt(inner.peer.pid));
  await expectErrno(bus.connect({ by: inner, items: [item.pids({ pid: inner.peer.pid })] }), "EINVAL");
});
