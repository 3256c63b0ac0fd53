import { abi, auditRecords, Connection, context, covers, Domain, encodeCommand, expect, expectErrno, inDomain, memory, needsSelinux, payloadText, securityLabel, test, type Process } from "../../support/index.ts";

const CAP_IPC_OWNER = 1n << 15n;

const text = (value: string): ReturnType<typeof memory> => memory(`${value}\0`);
const mount = (process: Process, target: string, data = ""): ReturnType<Process["syscall"]> => process.syscall("mount", text("kdbusfs"), text(target), text("kdbusfs"), 0, data === "" ? 0 : text(data));

test("LSM-001 SELinux: a domain without access opens neither control nor endpoint", covers("LSM-001", "LSM-012"), async ({ bus, domain, spawn, agent }) => {
  await needsSelinux(agent);
  const cursor = await agent.kernelLogEnd();
  const [outside, inside] = [await spawn(inDomain("nothing")), await spawn(inDomain("all"))];

  await expectErrno(outside.open(domain.control), "EACCES");
  await expectErrno(outside.open(bus.path), "EACCES");
  await inside.open(domain.control);
  await bus.connect({ by: inside });

  const [record] = await auditRecords(agent, cursor, /avc: +denied .*scontext=system_u:system_r:buslab_nothing_t:s0 /);
  expect(record).toMatch(/dev="kdbusfs"/);
  expect(record).toContain(`tcontext=${context("kdbus", "object_r")}`);
  expect(record).toMatch(/permissive=0/);
});

test("LSM-002 SELinux: a domain that may only say HELLO gets EACCES from any other command", covers("LSM-002", "LSM-012"), async ({ bus, spawn, agent }) => {
  await needsSelinux(agent);
  const cursor = await agent.kernelLogEnd();
  const receiver = await bus.connect();
  const limited = await bus.connect({ by: await spawn(inDomain("hello")) });

  await expectErrno(limited.send(receiver, { payload: "no" }), "EACCES");
  await expectErrno(limited.recv(), "EACCES");
  await expectErrno(limited.acquire("test.name"), "EACCES");

  await expectErrno(receiver.recv(), "EAGAIN");
  const records = await auditRecords(agent, cursor, /denied +\{ ioctl \}.*ioctlcmd=0x9590/);
  expect(records).toHaveLength(1);
  expect(records[0]).toContain(`path="${bus.path}"`);
  expect(records[0]).toContain(`scontext=${context("hello")}`);
  expect(records[0]).toContain(`tcontext=${context("kdbus", "object_r")} tclass=file permissive=0`);
});

test("LSM-005 SELinux: the pool is mapped only with the map permission", covers("LSM-005"), async ({ bus, spawn, agent }) => {
  await needsSelinux(agent);
  const [unmapped, mapped] = [await spawn(inDomain("nomap")), await spawn(inDomain("all"))];
  const hello = async (process: Process): Promise<string | null> => {
    const fd = await process.open(bus.path);
    const { errno } = await process.command(fd, "HELLO", encodeCommand("HELLO", { pool_size: 1 << 20 }));
    expect(errno, "HELLO").toBeNull();
    return (await process.syscall("mmap", 0, 1 << 20, 1, 1, fd, 0)).errno;
  };

  expect(await hello(unmapped)).toBe("EACCES");
  expect(await hello(mapped)).toBeNull();
});

test("LSM-006 SELinux: mounting needs the permission, and context= labels the nodes", covers("LSM-006"), async ({ root, spawn, agent }) => {
  await needsSelinux(agent);
  for (const path of ["/run/denied", "/run/labelled"]) await root.must("mkdirat", -100, text(path), 0o755);
  const label = context("other_kdbus", "object_r");

  expect((await mount(await spawn(inDomain("nothing")), "/run/denied")).errno).toBe("EACCES");
  expect((await mount(await spawn(inDomain("all")), "/run/labelled", `context=${label}`)).errno).toBeNull();

  expect((await agent.exec(["ls", "-Z", "/run/labelled/control"])).stdout).toContain(label);
  expect((await agent.exec(["ls", "-Z", "/sys/fs/kdbus/control"])).stdout).toContain(context("kdbus", "object_r"));
});

test("LSM-001 SELinux: a domain confined to one labelled mount is refused at the other", covers("LSM-001"), async ({ bus, root, spawn, agent }) => {
  await needsSelinux(agent);
  await root.must("mkdirat", -100, text("/run/other"), 0o755);
  expect((await mount(root, "/run/other", `context=${context("other_kdbus", "object_r")}`)).errno).toBeNull();
  const other = await new Domain("/run/other").makeBus(root);
  const confined = await spawn(inDomain("other"));

  await (await other.connect({ by: confined })).send(await other.connect(), { payload: "here" });

  await expectErrno(bus.connect({ by: confined }), "EACCES");
});

test("LSM-008 SELinux: a descriptor that the receiver may not use is left out, the message arrives", covers("LSM-008"), async ({ bus, root, spawn, agent }) => {
  await needsSelinux(agent);
  const receiver = await bus.connect({ by: await spawn(inDomain("nofd")) });
  const holder = await spawn(inDomain("all"));
  const sender = await bus.connect({ by: holder });
  const own = await holder.pipe();
  const given = await root.giveFd((await root.pipe()).read, holder);

  await sender.send(receiver, { fds: [own.read, given], payload: "with descriptors" });

  const message = await receiver.recv();
  expect(payloadText(message)).toBe("with descriptors");
  expect(message.returnFlags).toBe(abi.RECV_RETURN.INCOMPLETE_FDS);
  expect(message.fds?.[0]).toBe(-1);
  expect(message.fds?.[1]).toBeGreaterThanOrEqual(0);
});

test("LSM-009 SELinux: SECLABEL is the sender's context at that moment", covers("LSM-009"), async ({ bus, spawn, agent }) => {
  await needsSelinux(agent);
  const receiver = await bus.connect({ attachRecv: abi.ATTACH.SECLABEL });
  const sender = await bus.connect({ by: await spawn({ label: "changing" }) });
  const labels: (string | undefined)[] = [];

  for (const domain of [undefined, "all", "second"]) {
    if (domain !== undefined) {
      const fd = await sender.process.open("/proc/self/attr/current", 1);
      await sender.process.write(fd, context(domain));
    }
    labels.push(await securityLabel(sender.process));
    await sender.send(receiver);
  }

  expect(labels).toEqual([context("agent"), context("all"), context("second")]);
  expect((await receiver.recvAll()).map((message) => message.metadata.seclabel)).toEqual(labels);
});

test("LSM-014 SELinux: a permissive domain is let through, and it is written down", covers("LSM-014"), async ({ bus, spawn, agent }) => {
  await needsSelinux(agent);
  const cursor = await agent.kernelLogEnd();

  const connection = await bus.connect({ by: await spawn(inDomain("permissive")) });

  expect(connection).toBeInstanceOf(Connection);
  const [record] = await auditRecords(agent, cursor, /denied .*dev="kdbusfs".*scontext=system_u:system_r:buslab_permissive_t:s0 /);
  expect(record).toMatch(/permissive=1/);
});

test("LSM-015 SELinux: a domain without the capability is not privileged", covers("LSM-015"), async ({ domain, spawn, agent, root }) => {
  await needsSelinux(agent);
  const bus = await domain.makeBus(await spawn({ uid: 1000, gid: 1000, label: "owner" }));

  await bus.connectMonitor({ by: root });
  await expectErrno(bus.connectMonitor({ by: await spawn(inDomain("nocap")) }), "EPERM");
});

test("LSM-016 SELinux: opening an endpoint as an ordinary user is no capability denial", covers("LSM-016"), async ({ bus, spawn, agent }) => {
  await needsSelinux(agent);
  const cursor = await agent.kernelLogEnd();
  const users = [
    await spawn({ uid: 1000, gid: 1000, ...inDomain("nocap") }),
    // the kernel asks a module only about capabilities that a process has
    await spawn({ uid: 1000, gid: 1000, capabilities: { effective: CAP_IPC_OWNER, permitted: CAP_IPC_OWNER }, ...inDomain("nocap") }),
  ];

  for (const user of users) for (let count = 0; count < 100; count++) await user.close(await user.open(bus.path));
  const marker = await spawn(inDomain("nothing"));
  await expectErrno(marker.open(bus.path), "EACCES");

  expect(await auditRecords(agent, cursor, /scontext=system_u:system_r:buslab_nothing_t/), "the log is written").not.toEqual([]);
  expect((await agent.kernelLogSince(cursor)).records.map((record) => record.text).filter((line) => /denied +\{ ipc_owner \}/.test(line))).toEqual([]);
});

test("LSM-017 SELinux: labels do not decide about single messages", covers("LSM-017"), async ({ bus, spawn, agent }) => {
  await needsSelinux(agent);
  const [first, second] = [await bus.connect({ by: await spawn(inDomain("all")) }), await bus.connect({ by: await spawn(inDomain("second")) })];

  await first.send(second, { payload: "there" });
  await second.send(first, { payload: "and back" });

  expect([payloadText(await second.recv()), payloadText(await first.recv())]).toEqual(["there", "and back"]);
});
