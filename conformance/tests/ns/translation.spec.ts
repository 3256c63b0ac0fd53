import { abi, attached, attachFlags, covers, expect, forkOf, hasAudit, helloOn, memory, openToWorld, taskStatus, test, unsupported, type Process, type Spawn } from "../../support/index.ts";

/** A child user and pid namespace made by uid 65534, which is its root; gid 2000 outside is 5 inside. */
const CHILD = { namespaces: ["user", "pid"], uidMap: [[0, 65534, 1]], gidMap: [[0, 65534, 1], [5, 2000, 1]], uid: 0, gid: 0 } as const; // prettier-ignore

async function childRoot(spawn: Spawn, options: { readonly groups?: readonly number[]; readonly loginUid?: number } = {}): Promise<{ readonly nobody: Process; readonly child: Process }> {
  const { groups, loginUid } = options;
  const nobody = await spawn({ uid: 65534, gid: 65534, label: "nobody", ...(loginUid === undefined ? {} : { loginUid }) });
  return { nobody, child: await forkOf(nobody, { ...CHILD, ...(groups === undefined ? {} : { groups }), label: "child-root" }) };
}

const ids = (uid: bigint, gid: bigint): Record<string, bigint> => ({ uid, euid: uid, suid: uid, fsuid: uid, gid, egid: gid, sgid: gid, fsgid: gid });

test("NS-004 ids in CREDS are those of the receiver's user namespace", covers("NS-004"), async ({ bus, spawn }) => {
  const { nobody, child } = await childRoot(spawn);
  const outside = await bus.connect({ attachRecv: abi.ATTACH.CREDS });
  await openToWorld(bus, outside);
  const inside = await bus.connect({ by: child, attachRecv: abi.ATTACH.CREDS });
  const sender = await bus.connect({ by: nobody });

  await inside.send(outside);
  await sender.send(inside);
  await inside.send(inside);

  expect((await outside.recv()).metadata.creds).toEqual(ids(65534n, 65534n));
  expect((await inside.recv()).metadata.creds).toEqual(ids(0n, 0n));
  expect((await inside.recv()).metadata.creds).toEqual(ids(0n, 0n));
});

test("NS-005 ids without mapping at the receiver are the overflow ids", covers("NS-005"), async ({ bus, spawn, agent }) => {
  const { child } = await childRoot(spawn);
  const inside = await bus.connect({ by: child, attachRecv: abi.ATTACH.CREDS });
  const sender = await bus.connect();

  await sender.send(inside);

  const overflow = async (kind: string): Promise<bigint> => BigInt((await agent.readText(`/proc/sys/kernel/overflow${kind}`)).trim());
  expect((await inside.recv()).metadata.creds).toEqual(ids(await overflow("uid"), await overflow("gid")));
});

test("NS-006 AUXGROUPS entries are translated like gids", covers("NS-006"), async ({ bus, spawn, agent, root }) => {
  const { child } = await childRoot(spawn, { groups: [5] });
  const outside = await bus.connect({ attachRecv: abi.ATTACH.AUXGROUPS });
  await openToWorld(bus, outside);
  const inside = await bus.connect({ by: child, attachRecv: abi.ATTACH.AUXGROUPS });
  const connection = await bus.connect();
  const grouped = await forkOf(root, { groups: [2000, 3000], label: "grouped" });

  await (await connection.usedBy(grouped, connection.fd)).send(inside);
  await inside.send(outside);

  const overflow = BigInt((await agent.readText("/proc/sys/kernel/overflowgid")).trim());
  expect(new Set((await inside.recv()).metadata.auxgroups)).toEqual(new Set([5n, overflow]));
  expect((await outside.recv()).metadata.auxgroups).toEqual([2000n]);
});

test("NS-007 process ids are those of the receiver's pid namespace, 0 where it has none", covers("NS-007"), async ({ bus, spawn, agent, root }) => {
  const child = await spawn({ namespaces: ["pid"], label: "child" });
  const outside = await bus.connect({ attachRecv: abi.ATTACH.PIDS });
  const inside = await bus.connect({ by: child, attachRecv: abi.ATTACH.PIDS });

  await outside.send(inside);
  await inside.send(outside);
  await inside.send(inside);
  await outside.send(outside);

  const [fromChild, own] = (await outside.recvAll()).map(({ metadata }) => metadata.pids);
  const [fromParent, amongChildren] = (await inside.recvAll()).map(({ metadata }) => metadata.pids);
  expect(fromParent).toEqual({ pid: 0n, tid: 0n, ppid: 0n });
  expect(fromChild).toEqual({ pid: BigInt(child.peer.pid), tid: BigInt(child.peer.pid), ppid: (await taskStatus(agent, child)).parent });
  expect(amongChildren).toEqual({ pid: BigInt(child.peer.innerPid), tid: BigInt(child.peer.innerPid), ppid: (await child.syscall("getppid")).value });
  expect(own?.pid).toBe(BigInt(root.peer.pid));
  expect(child.peer.innerPid).not.toBe(child.peer.pid);
});

for (const [what, loginUid, translated] of [["mapped", 65534, 0n], ["unmapped", 1234, 0xffff_ffffn]] as const) {
  test(`NS-009 loginuid is translated, the session is not: ${what}`, covers("NS-009"), async ({ bus, spawn, root, agent }) => {
    if (!(await hasAudit(root))) unsupported("system call auditing in the kernel");
    const { child } = await childRoot(spawn);
    const inside = await bus.connect({ by: child, attachRecv: abi.ATTACH.AUDIT });
    const sender = await bus.connect({ by: await spawn({ loginUid, label: "logged-in" }) });

    await sender.send(inside);

    const session = BigInt((await agent.readText(`/proc/${sender.process.peer.pid}/sessionid`)).trim());
    expect((await inside.recv()).metadata.audit).toEqual({ sessionid: session, loginuid: translated });
    expect(session).not.toBe(0xffff_ffffn);
  });
}

test("NS-010 EXE is not attached for a receiver in another mount namespace", covers("NS-010"), async ({ bus, spawn }) => {
  const apart = await bus.connect({ by: await spawn({ namespaces: ["mount"], label: "apart" }), attachRecv: attachFlags(["EXE", "PIDS"]) });
  const near = await bus.connect({ by: await spawn({ label: "near" }), attachRecv: attachFlags(["EXE", "PIDS"]) });
  const sender = await bus.connect();

  await sender.send(apart);
  await sender.send(near);

  expect(attached((await apart.recv()).items)).toEqual(["PIDS"]);
  expect(attached((await near.recv()).items)).toEqual(["EXE", "PIDS"]);
});

test("NS-017 capabilities are copied for a child namespace made by somebody else", covers("NS-017", "NS-016"), async ({ bus, spawn, root, agent }) => {
  const { child } = await childRoot(spawn);
  const inside = await bus.connect({ by: child, attachRecv: abi.ATTACH.CAPS });
  const connection = await bus.connect();
  const reduced = await forkOf(root, { capabilities: { drop: 0x20n, inheritable: 0x7n }, label: "reduced" });

  await (await connection.usedBy(reduced, connection.fd)).send(inside);

  const lastCap = Number(await agent.readText("/proc/sys/kernel/cap_last_cap"));
  expect((await inside.recv()).metadata.caps).toEqual({ lastCap, ...(await taskStatus(agent, reduced)).caps });
});

test("NS-017 the creator of a namespace has all capabilities towards it", covers("NS-017"), async ({ bus, spawn, agent }) => {
  const { nobody, child } = await childRoot(spawn);
  const inside = await bus.connect({ by: child, attachRecv: abi.ATTACH.CAPS });
  const sender = await bus.connect({ by: nobody });

  await sender.send(inside);

  const lastCap = Number(await agent.readText("/proc/sys/kernel/cap_last_cap"));
  const all = (1n << BigInt(lastCap + 1)) - 1n;
  expect((await inside.recv()).metadata.caps).toEqual({ lastCap, inheritable: 0n, permitted: all, effective: all, bounding: all });
  expect((await taskStatus(agent, nobody)).caps.effective, "in its own namespace it has none").toBe(0n);
});

test("NS-018 capabilities inside a child namespace are nothing for its parent", covers("NS-018", "NS-016"), async ({ bus, spawn, agent }) => {
  const { child } = await childRoot(spawn);
  const outside = await bus.connect({ attachRecv: abi.ATTACH.CAPS });
  await openToWorld(bus, outside);
  const inside = await bus.connect({ by: child });

  await inside.send(outside);

  const lastCap = Number(await agent.readText("/proc/sys/kernel/cap_last_cap"));
  expect((await outside.recv()).metadata.caps).toEqual({ lastCap, inheritable: 0n, permitted: 0n, effective: 0n, bounding: 0n });
  expect((await taskStatus(agent, child)).caps.effective, "inside it has some").not.toBe(0n);
});

test("NS-018 capabilities are nothing for a sibling namespace", covers("NS-018"), async ({ bus, spawn }) => {
  const first = await forkOf(await spawn({ uid: 65534, gid: 65534, label: "a" }), { ...CHILD, label: "first" });
  const second = await forkOf(await spawn({ uid: 65534, gid: 65534, label: "b" }), { ...CHILD, label: "second" });
  const [sender, receiver] = [await bus.connect({ by: first }), await bus.connect({ by: second, attachRecv: abi.ATTACH.CAPS })];

  await sender.send(receiver);

  expect((await receiver.recv()).metadata.caps).toMatchObject({ inheritable: 0n, permitted: 0n, effective: 0n, bounding: 0n });
});

test("NS-019 the view is the connection's, whichever task calls RECV", covers("NS-019"), async ({ bus, root }) => {
  const receiver = await bus.connect({ attachRecv: attachFlags(["CREDS", "PIDS"]) });
  const child = await forkOf(root, { ...CHILD, label: "child" });
  const there = await receiver.usedBy(child, receiver.fd);
  const sender = await bus.connect();

  await sender.send(receiver);

  const { metadata } = await there.recv();
  expect(metadata.creds).toEqual(ids(0n, 0n));
  expect(metadata.pids).toMatchObject({ pid: BigInt(root.peer.pid), tid: BigInt(root.peer.pid) });
});

test("NS-019 the user namespace is that of the opener, the pid namespace that of HELLO", covers("NS-019"), async ({ bus, root }) => {
  const fd = await root.open(bus.path);
  const child = await forkOf(root, { ...CHILD, label: "child" });
  const receiver = await helloOn(child, fd, { attachRecv: attachFlags(["CREDS", "PIDS"]) });
  const sender = await bus.connect();

  await sender.send(receiver);

  const { metadata } = await receiver.recv();
  expect(metadata.creds).toEqual(ids(0n, 0n));
  expect(metadata.pids).toEqual({ pid: 0n, tid: 0n, ppid: 0n });
});

test("NS-021 EXE compares the sender's root with the one the receiver had at HELLO", covers("NS-021"), async ({ bus, root, spawn }) => {
  const moving = await spawn({ label: "moving" });
  const receiver = await bus.connect({ by: moving, attachRecv: attachFlags(["EXE", "PIDS"]) });
  const asker = await bus.connect({ by: moving });
  const sender = await bus.connect();
  const confined = await forkOf(root, { chroot: "/usr", label: "confined" });
  const before = attached((await asker.info(sender, abi.ATTACH.EXE)).items);
  await moving.must("chroot", memory("/usr\0"));

  await sender.send(receiver);
  await (await sender.usedBy(confined, sender.fd)).send(receiver);

  expect((await receiver.recvAll()).map(({ items }) => attached(items))).toEqual([["EXE", "PIDS"], ["PIDS"]]);
  expect(before).toEqual(["EXE"]);
  expect(attached((await asker.info(sender, attachFlags(["EXE", "PIDS"]))).items)).toEqual(["PIDS"]);
});

test("NS-021 BUS_CREATOR_INFO shows EXE as long as the asker's root is that of HELLO", covers("NS-021"), async ({ domain, root, spawn }) => {
  const bus = await domain.makeBus(root, { attachFlagsSend: abi.ATTACH_ALL });
  const moving = await spawn({ label: "moving" });
  const asker = await bus.connect({ by: moving });

  const before = attached((await asker.creatorInfo(attachFlags(["EXE", "PIDS"]))).items);
  await moving.must("chroot", memory("/usr\0"));
  const after = attached((await asker.creatorInfo(attachFlags(["EXE", "PIDS"]))).items);

  expect([before, after]).toEqual([["EXE", "PIDS"], ["PIDS"]]);
});
