import { abi, attached, attachFlags, covers, expect, forkOf, hasAudit, memory, prepareSend, Script, securityLabel, sorted, taskStatus, test, unsupported, visibleHere } from "../../support/index.ts";

const PR_SET_NAME = 15;

test("META-006 process items of a message describe the task that sends it", covers("META-006"), async ({ bus, root, agent }) => {
  const receiver = await bus.connect({ attachRecv: attachFlags(["CREDS", "PIDS", "PID_COMM", "AUXGROUPS"]) });
  const connection = await bus.connect();
  const child = await forkOf(root, { uid: 1234, gid: 2345, groups: [77], comm: "changed", label: "child" });
  const inherited = await connection.usedBy(child, connection.fd);

  await inherited.send(receiver);

  const { metadata } = await receiver.recv();
  expect(metadata.creds).toMatchObject({ uid: 1234n, euid: 1234n, gid: 2345n, egid: 2345n });
  expect(metadata.pids).toEqual({ pid: BigInt(child.peer.pid), tid: BigInt(child.peer.pid), ppid: (await taskStatus(agent, child)).parent });
  expect(metadata.pidComm).toBe("changed");
  expect(metadata.auxgroups).toEqual([77n]);
});

test("META-007 CONN_INFO describes the task that said HELLO, also when it has ended", covers("META-007"), async ({ bus, root, spawn, agent }) => {
  const creator = await spawn({ uid: 1234, gid: 2345, groups: [77], comm: "creator", label: "creator" });
  const connection = await bus.connect({ by: creator });
  const asker = await bus.connect();
  const status = await taskStatus(agent, creator);
  const before = await asker.info(connection);
  await creator.giveFd(connection.fd, root);
  await creator.kill();

  const { metadata, items } = await asker.info(connection);

  expect(metadata.creds).toEqual({ uid: 1234n, euid: 1234n, suid: 1234n, fsuid: 1234n, gid: 2345n, egid: 2345n, sgid: 2345n, fsgid: 2345n });
  expect(metadata.pids).toEqual({ pid: BigInt(creator.peer.pid), tid: BigInt(creator.peer.pid), ppid: status.parent });
  expect(metadata).toMatchObject({ auxgroups: [77n], pidComm: "creator", tidComm: "creator" });
  expect(attached(items)).toEqual(attached(before.items));
  expect(attached(items)).toEqual(sorted(["CREDS", "PIDS", "AUXGROUPS", ...(await visibleHere(root))]));
});

test("META-007 CONN_INFO does not follow the process that uses the connection now", covers("META-007"), async ({ bus, root }) => {
  const connection = await bus.connect();
  const child = await forkOf(root, { uid: 1234, comm: "user" });
  const used = await connection.usedBy(child, connection.fd);

  const { metadata } = await used.info(connection, attachFlags(["CREDS", "PIDS"]));

  expect(metadata.creds?.uid).toBe(0n);
  expect(metadata.pids?.pid).toBe(BigInt(root.peer.pid));
});

test("META-008 CREDS holds the eight ids of the sender", covers("META-008"), async ({ bus, root }) => {
  const receiver = await bus.connect({ attachRecv: abi.ATTACH.CREDS });
  const connection = await bus.connect();
  const NO_SETUID_FIXUP = 4; // keeps the capability that setting the filesystem ids needs
  const child = await forkOf(root, { securebits: NO_SETUID_FIXUP, uid: { real: 1001, effective: 1002, saved: 1003, fs: 1004 }, gid: { real: 2001, effective: 2002, saved: 2003, fs: 2004 } });

  await (await connection.usedBy(child, connection.fd)).send(receiver);

  const { creds } = (await receiver.recv()).metadata;
  expect(creds).toEqual({ uid: 1001n, euid: 1002n, suid: 1003n, fsuid: 1004n, gid: 2001n, egid: 2002n, sgid: 2003n, fsgid: 2004n });
});

test("META-009 PIDS holds the ids of the sending thread, its process and its parent", covers("META-009"), async ({ bus, root, agent }) => {
  const receiver = await bus.connect({ attachRecv: abi.ATTACH.PIDS });
  const sender = await bus.connect();
  const script = new Script();
  const tid = script.syscall("gettid");
  const send = (await prepareSend(sender, receiver)).step(script).call;
  const result = await (await root.start(script)).done;
  expect(result.of(send).errno).toBeNull();

  const { pids } = (await receiver.recv()).metadata;

  expect(pids).toEqual({ pid: BigInt(root.peer.pid), tid: result.of(tid).value, ppid: (await taskStatus(agent, root)).parent });
  expect(pids?.tid).not.toBe(pids?.pid);
});

for (const groups of [[], [77], Array.from({ length: 32 }, (_, index) => 3000 + 7 * index)]) {
  test(`META-010 AUXGROUPS lists ${groups.length} supplementary groups`, covers("META-010"), async ({ bus, root }) => {
    const receiver = await bus.connect({ attachRecv: abi.ATTACH.AUXGROUPS });
    const connection = await bus.connect();
    const child = await forkOf(root, { groups });

    await (await connection.usedBy(child, connection.fd)).send(receiver);

    const { auxgroups } = (await receiver.recv()).metadata;
    expect(auxgroups?.map(Number).sort((a, b) => a - b)).toEqual(groups);
  });
}

test("META-011 TID_COMM names the sending thread, PID_COMM the main thread", covers("META-011"), async ({ bus, root }) => {
  const receiver = await bus.connect({ attachRecv: attachFlags(["TID_COMM", "PID_COMM"]) });
  const sender = await bus.connect();
  await root.must("prctl", PR_SET_NAME, memory("main thread\0"), 0, 0, 0);
  const script = new Script();
  script.syscall("prctl", PR_SET_NAME, memory("the other one\0"), 0, 0, 0);
  const send = (await prepareSend(sender, receiver)).step(script).call;
  expect((await (await root.start(script)).done).of(send).errno).toBeNull();
  await sender.send(receiver);

  const names = (await receiver.recvAll()).map(({ metadata }) => [metadata.tidComm, metadata.pidComm]);

  expect(names).toEqual([["the other one", "main thread"], ["main thread", "main thread"]]);
});

test("META-012 EXE is the path of the sender's executable", covers("META-012"), async ({ bus, root }) => {
  const receiver = await bus.connect({ attachRecv: abi.ATTACH.EXE });
  const sender = await bus.connect();
  const buffer = memory(4096);
  const script = new Script();
  const link = script.syscall("readlinkat", -100, memory("/proc/self/exe\0"), buffer, buffer.size);
  const load = script.load(buffer);
  const result = await root.run(script);
  const path = new TextDecoder().decode(result.bytes(load).subarray(0, Number(result.of(link).value)));

  await sender.send(receiver);

  expect(path).toMatch(/^\//);
  expect((await receiver.recv()).metadata.exe).toBe(path);
});

test("META-013 EXE is absent where sender and receiver have different roots", covers("META-013"), async ({ bus, root }) => {
  const receiver = await bus.connect({ attachRecv: attachFlags(["EXE", "PIDS"]) });
  const sender = await bus.connect();
  const confined = await forkOf(root, { chroot: "/usr", label: "confined" });

  await sender.send(receiver);
  await (await sender.usedBy(confined, sender.fd)).send(receiver);

  expect((await receiver.recvAll()).map(({ items }) => attached(items))).toEqual([["EXE", "PIDS"], ["PIDS"]]);
});

test("META-016 CGROUP is the path of the sender's cgroup at that moment", covers("META-016"), async ({ bus, root, agent }) => {
  const receiver = await bus.connect({ attachRecv: abi.ATTACH.CGROUP });
  const sender = await bus.connect();
  const here = async (): Promise<string | undefined> => /^0::(.*)$/m.exec(await agent.readText(`/proc/${root.peer.pid}/cgroup`))?.[1];

  const paths = [await here()];
  await sender.send(receiver);
  const made = await agent.exec(["mkdir", "-p", "/sys/fs/cgroup/meta/inner"]);
  if (paths[0] === undefined || made.exitCode !== 0) unsupported("the unified cgroup hierarchy");
  await agent.writeFile("/sys/fs/cgroup/meta/inner/cgroup.procs", String(root.peer.pid), { control: true });
  paths.push(await here());
  await sender.send(receiver);

  expect((await receiver.recvAll()).map(({ metadata }) => metadata.cgroup)).toEqual(paths);
  expect(paths[1]).toBe("/meta/inner");
});

test("META-017 CAPS holds the four sets of the sender as procfs shows them", covers("META-017"), async ({ bus, root, agent }) => {
  const receiver = await bus.connect({ attachRecv: abi.ATTACH.CAPS });
  const connection = await bus.connect();
  const lastCap = Number(await agent.readText("/proc/sys/kernel/cap_last_cap"));
  const all = (1n << BigInt(lastCap + 1)) - 1n;
  const sets = { permitted: all & ~0x20n, effective: all & ~0x30n, inheritable: 0x7n, bounding: all & ~(1n << 36n) };
  const child = await forkOf(root, { capabilities: sets });
  const status = await taskStatus(agent, child);

  await (await connection.usedBy(child, connection.fd)).send(receiver);

  expect((await receiver.recv()).metadata.caps).toEqual({ lastCap, ...status.caps });
  expect(new Set(Object.values(status.caps)).size, "the four sets differ, so that their order shows").toBe(4);
});

test("META-018 SECLABEL is the sender's label, or absent without a labelling module", covers("META-018"), async ({ bus, root }) => {
  const receiver = await bus.connect({ attachRecv: attachFlags(["SECLABEL", "PIDS"]) });
  const sender = await bus.connect();

  await sender.send(receiver);

  const { metadata, items } = await receiver.recv();
  const label = await securityLabel(root);
  expect(metadata.seclabel).toBe(label);
  expect(attached(items)).toEqual(label === undefined ? ["PIDS"] : ["PIDS", "SECLABEL"]);
});

for (const loginUid of [undefined, 1234]) {
  test(`META-019 AUDIT holds session and login uid, ${loginUid === undefined ? "unset" : "set"}`, covers("META-019"), async ({ bus, root, agent }) => {
    if (!(await hasAudit(root))) unsupported("system call auditing in the kernel");
    const receiver = await bus.connect({ attachRecv: abi.ATTACH.AUDIT });
    const connection = await bus.connect();
    const child = await forkOf(root, loginUid === undefined ? {} : { loginUid });

    await (await connection.usedBy(child, connection.fd)).send(receiver);

    const procfs = async (file: string): Promise<bigint> => BigInt((await agent.readText(`/proc/${child.peer.pid}/${file}`)).trim());
    const { audit } = (await receiver.recv()).metadata;
    expect(audit).toEqual({ sessionid: await procfs("sessionid"), loginuid: await procfs("loginuid") });
    if (loginUid !== undefined) expect(audit?.loginuid).toBe(1234n);
  });
}
