import { abi, attached, BASIC_METADATA, covers, encodeCommand, expect, expectErrno, expectResult, forkOf, item, PROCESS_METADATA, sorted, test, type Item } from "../../support/index.ts";

const CREDS = { uid: 1000, euid: 1001, suid: 1002, fsuid: 1003, gid: 2000, egid: 2001, sgid: 2002, fsgid: 2003 } as const;
const FAKES: Record<string, (pid: number) => Item> = {
  CREDS: () => item.creds(CREDS),
  PIDS: (pid) => item.pids({ pid, tid: pid, ppid: 1 }),
  SECLABEL: () => item.seclabel("a label of others"),
};
const KINDS = Object.keys(FAKES);
const COMBINATIONS = [1, 2, 3, 4, 5, 6, 7].map((bits) => KINDS.filter((_, index) => (bits & (1 << index)) !== 0));

for (const kind of KINDS) {
  test(`META-029 a faked ${kind} needs privilege`, covers("META-029"), async ({ bus, spawn }) => {
    const user = await spawn({ uid: 1000, gid: 1000, label: "user" });

    await bus.connect({ by: user });
    await expectErrno(bus.connect({ by: user, items: [FAKES[kind]!(user.peer.pid)] }), "EPERM");
  });
}

for (const privilege of ["bus owner", "CAP_IPC_OWNER"] as const) {
  test(`META-045 every combination of faked items is accepted from a handle privileged as ${privilege}`, covers("META-045", "META-030"), async ({ domain, spawn, root }) => {
    const user = await spawn({ uid: 1000, gid: 1000, label: "user" });
    const bus = await domain.makeBus(user);
    const by = privilege === "bus owner" ? user : root;
    const asker = await bus.connect();

    const seen: unknown[] = [];
    for (const kinds of COMBINATIONS) {
      const faked = await bus.connect({ by, items: kinds.map((kind) => FAKES[kind]!(root.peer.pid)) });
      const { items, metadata } = await asker.info(faked);
      seen.push({ kinds: attached(items), creds: metadata.creds, pids: metadata.pids, seclabel: metadata.seclabel });
    }

    const creds = Object.fromEntries(Object.entries(CREDS).map(([field, value]) => [field, BigInt(value)]));
    const pids = { pid: BigInt(root.peer.pid), tid: BigInt(root.peer.pid), ppid: 1n };
    expect(seen).toEqual(
      COMBINATIONS.map((kinds) => ({
        kinds: [...kinds].sort(),
        creds: kinds.includes("CREDS") ? creds : undefined,
        pids: kinds.includes("PIDS") ? pids : undefined,
        seclabel: kinds.includes("SECLABEL") ? "a label of others" : undefined,
      })),
    );
  });
}

for (const kind of KINDS) {
  test(`META-030 messages of a connection with a faked ${kind} carry no process items`, covers({ generation: "2015-08" }, "META-030"), async ({ bus, root }) => {
    const receiver = await bus.connect({ attachRecv: abi.ATTACH_ALL });
    const faked = await bus.connect({ items: [FAKES[kind]!(root.peer.pid)], description: "faked" });
    await faked.acquire("test.name");
    await receiver.addMatch([item.id(faked.id)]);

    await faked.send(receiver);
    await faked.broadcast();

    const connectionItems = sorted(BASIC_METADATA.filter((name) => !(PROCESS_METADATA as readonly string[]).includes(name)));
    expect((await receiver.recvAll()).map(({ items }) => attached(items))).toEqual([connectionItems, connectionItems]);
  });
}

test("META-031 faked process ids must exist or be 0", covers("META-031"), async ({ bus, root }) => {
  const pid = root.peer.pid;
  const nobody = 0x3fff_ffff; // beyond every pid_max
  const hello = async (values: { pid: number; tid: number; ppid: number }): Promise<string | null> => {
    const fd = await root.open(bus.path);
    return (await root.command(fd, "HELLO", encodeCommand("HELLO", { pool_size: 1 << 20 }, [item.pids(values)]))).errno;
  };

  const seen = [await hello({ pid, tid: pid, ppid: 1 }), await hello({ pid: 0, tid: 0, ppid: 0 }), await hello({ pid: nobody, tid: pid, ppid: 1 }), await hello({ pid, tid: nobody, ppid: 1 }), await hello({ pid, tid: pid, ppid: nobody })];

  expect(seen).toEqual([null, null, "EINVAL", "EINVAL", "EINVAL"]);
});

test("META-031 faked ids must have a mapping in the caller's user namespace or be unset", covers("META-031"), async ({ bus, root }) => {
  const fields = ["uid", "euid", "suid", "fsuid", "gid", "egid", "sgid", "fsgid"] as const;
  const mapped = Object.fromEntries(fields.map((field) => [field, 3]));
  const fds: number[] = [];
  for (let count = 0; count < fields.length + 2; count++) fds.push(await root.open(bus.path));
  const inside = await forkOf(root, { namespaces: ["user"], uidMap: [[0, 0, 10]], gidMap: [[0, 0, 10]], uid: 0, gid: 0, label: "inside" });
  const hello = (values: Record<string, number>): ReturnType<typeof inside.command> => inside.command(fds.shift() ?? -1, "HELLO", encodeCommand("HELLO", { pool_size: 1 << 20 }, [item.creds(values)]));

  const good = [(await hello(mapped)).errno, (await hello(Object.fromEntries(fields.map((field) => [field, 0xffff_ffff])))).errno];
  const bad: Record<string, string | null> = {};
  for (const field of fields) bad[field] = (await hello({ ...mapped, [field]: 20 })).errno;

  expect(good).toEqual([null, null]);
  expect(bad).toEqual(Object.fromEntries(fields.map((field) => [field, "EINVAL"])));
});

test("META-032 policy looks at the real credentials, not at faked ones", covers("META-032"), async ({ bus, spawn }) => {
  const user = await spawn({ uid: 1000, gid: 1000, label: "user" });
  const alike = Object.fromEntries(Object.keys(CREDS).map((field) => [field, 1000]));
  const faked = await bus.connect({ items: [item.creds(alike)] });
  const [real, sender] = [await bus.connect({ by: user }), await bus.connect({ by: user })];

  await expectErrno(sender.send(faked), "EPERM");
  await sender.send(real);

  await expectErrno(faked.recv(), "EAGAIN");
  expectResult(await real.tryRecv(), null);
});
