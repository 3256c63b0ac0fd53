import { abi, CONNECTION_LIMIT, connectMany, covers, decodeStruct, encodeCommand, expect, expectErrno, expectResult, item, MANY_FILES, test, type Encoded, type Process } from "../../support/index.ts";

const CAP_IPC_OWNER = 1n << 15n;
const monitor = (): Encoded => encodeCommand("HELLO", { flags: abi.HELLO.MONITOR, pool_size: 4096 });

test("CONN-018 a user has at most 1024 connections over all buses of the domain", covers("CONN-018"), async ({ bus, domain, root, spawn }) => {
  const user = await spawn({ uid: 1000, gid: 1000, label: "user", ...MANY_FILES });
  const other = await domain.makeBus(root);

  const first = await connectMany(bus, user, 600);
  const second = await connectMany(other, user, 600);

  expect(first).toMatchObject({ errno: null });
  expect({ made: first.fds.length + second.fds.length, errno: second.errno }).toEqual({ made: CONNECTION_LIMIT, errno: "EMFILE" });
  await user.close(first.fds[5] ?? -1);
  expect(await connectMany(other, user, 2)).toMatchObject({ fds: [expect.any(Number)], errno: "EMFILE" });
  await bus.connect();
});

test("CONN-023 a handle is privileged by the owner's effective uid or by CAP_IPC_OWNER", covers("CONN-023"), async ({ domain, spawn }) => {
  const bus = await domain.makeBus(await spawn({ uid: 1000, gid: 1000, label: "owner" }));
  const none = { effective: 0n, permitted: 0n };
  const callers: Readonly<Record<string, readonly [Process, string | null]>> = {
    "another process of the owner": [await spawn({ uid: 1000, gid: 2000 }), null],
    "the owner's uid as effective one": [await spawn({ uid: { real: 2000, effective: 1000, saved: 2000 }, gid: 2000 }), null],
    "the owner's uid as real and saved one": [await spawn({ uid: { real: 1000, effective: 2000, saved: 1000 }, gid: 2000 }), "EPERM"],
    root: [await spawn(), null],
    "root without capabilities": [await spawn({ capabilities: none }), "EPERM"],
    "root with all but CAP_IPC_OWNER": [await spawn({ capabilities: { drop: CAP_IPC_OWNER } }), "EPERM"],
    "root with only CAP_IPC_OWNER": [await spawn({ capabilities: { effective: CAP_IPC_OWNER, permitted: CAP_IPC_OWNER } }), null],
    "another user": [await spawn({ uid: 2000, gid: 2000 }), "EPERM"],
    "another user of the owner's group": [await spawn({ uid: 2000, gid: 1000 }), "EPERM"],
  };

  const seen: Record<string, unknown> = {};
  for (const [who, [process]] of Object.entries(callers)) seen[who] = (await process.command(await process.open(bus.path), "HELLO", monitor())).errno;

  expect(seen).toEqual(Object.fromEntries(Object.entries(callers).map(([who, [, errno]]) => [who, errno])));
});

test("CONN-024 what was owner at open stays privileged", covers("CONN-024"), async ({ domain, spawn }) => {
  const bus = await domain.makeBus(await spawn({ uid: 1000, gid: 1000, label: "owner" }));
  const [owner, root] = [await spawn({ uid: { real: 1000, effective: 1000, saved: 2000 }, gid: 1000, label: "was owner" }), await spawn({ label: "was root" })];
  const [byOwner, byRoot] = [await owner.open(bus.path), await root.open(bus.path)];

  await owner.must("setresuid", 2000, 2000, 2000);
  await root.must("setresuid", 2000, 2000, 2000);

  expectResult(await owner.command(byOwner, "HELLO", monitor()), null);
  expectResult(await root.command(byRoot, "HELLO", monitor()), null);
});

test("CONN-024 what was not privileged at open does not become so", covers("CONN-024"), async ({ domain, spawn, root }) => {
  const bus = await domain.makeBus(await spawn({ uid: 1000, gid: 1000, label: "owner" }));
  const [later, user] = [await spawn({ uid: { real: 2000, effective: 2000, saved: 1000 }, gid: 2000, label: "later owner" }), await spawn({ uid: 2000, gid: 2000, label: "user" })];
  const [byLater, byUser] = [await later.open(bus.path), await user.open(bus.path)];

  await later.must("setresuid", -1, 1000, -1);
  const there = await user.giveFd(byUser, root);

  expectResult(await later.command(byLater, "HELLO", monitor()), "EPERM");
  expectResult(await root.command(there, "HELLO", monitor()), "EPERM");
  expectResult(await later.command(await later.open(bus.path), "HELLO", monitor()), null);
});

test("CONN-076 CAP_IPC_OWNER of an inner user namespace gives no privilege", covers("CONN-076"), async ({ bus, spawn, root }) => {
  const map = [[0, 100_000, 1000]] as const;
  const inner = await spawn({ namespaces: ["user"], uidMap: map, gidMap: map, uid: 0, gid: 0, label: "inner root" });

  expectResult(await inner.command(await inner.open(bus.path), "HELLO", monitor()), "EPERM");
  expectResult(await root.command(await root.open(bus.path), "HELLO", monitor()), null);
});

test("CONN-078 a connection as passive side is of the user that opened the file", covers("CONN-078"), async ({ bus, spawn }) => {
  const [opener, caller] = [await spawn({ uid: 1000, gid: 1000, label: "opener" }), await spawn({ uid: 65534, gid: 65534, label: "caller" })];
  const there = await opener.giveFd(await opener.open(bus.path), caller);
  const { id } = decodeStruct("cmd_hello", (await caller.command(there, "HELLO", encodeCommand("HELLO", { pool_size: 1 << 20 }))).bytes);
  const [likeOpener, likeCaller] = [await bus.connect({ by: opener }), await bus.connect({ by: caller })];

  await likeOpener.send(id);

  await expectErrno(likeCaller.send(id), "EPERM");
});

test("CONN-078 connections count for the user that opened the file", covers("CONN-078"), async ({ bus, spawn, root }) => {
  const process = await spawn({ label: "two users", ...MANY_FILES });
  const user = await spawn({ uid: 1000, gid: 1000, label: "user" });

  const made = await connectMany(bus, process, CONNECTION_LIMIT + 10, { realUidAtOpen: 1000 });

  expect({ made: made.fds.length, errno: made.errno }).toEqual({ made: CONNECTION_LIMIT, errno: "EMFILE" });
  await expectErrno(bus.connect({ by: user }), "EMFILE");
  await bus.connect({ by: root });
});

test("CONN-080 faked credentials change neither privilege nor policy", covers("CONN-080"), async ({ domain, spawn }) => {
  const owner = await spawn({ uid: 1000, gid: 1000, label: "owner" });
  const bus = await domain.makeBus(owner);
  const fakes = [item.creds({ uid: 3000, euid: 3000, suid: 3000, fsuid: 3000, gid: 3000, egid: 3000, sgid: 3000, fsgid: 3000 })];
  const faked = await bus.connect({ items: fakes });
  const [peer, sameUser] = [await bus.connect({ by: await spawn({ uid: 3000, gid: 3000, label: "peer" }) }), await bus.connect({ by: owner })];

  await faked.acquire("test.name");
  await expectErrno(peer.send(faked), "EPERM");
  await sameUser.send(faked);
  await faked.send(peer);
});

test("CONN-080 faked credentials do not change the quota of an opener without CAP_IPC_OWNER", covers("CONN-080"), async ({ domain, spawn }) => {
  const owner = await spawn({ uid: 1000, gid: 1000, label: "owner", ...MANY_FILES });
  const bus = await domain.makeBus(owner);

  const made = await connectMany(bus, owner, CONNECTION_LIMIT + 10, { hello: encodeCommand("HELLO", { pool_size: 4096 }, [item.creds({ uid: 3000 })]) });

  expect({ made: made.fds.length, errno: made.errno }).toEqual({ made: CONNECTION_LIMIT, errno: "EMFILE" });
  await bus.connect({ by: await spawn({ uid: 3000, gid: 3000, label: "peer" }) });
  await expectErrno(bus.connect(), "EMFILE");
});
