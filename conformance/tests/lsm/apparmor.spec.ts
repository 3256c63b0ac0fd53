import { abi, Connection, covers, expect, expectErrno, grant, inProfile, item, loadAppArmor, memory, auditRecords, payloadText, securityLabel, test } from "../../support/index.ts";

const CAP_IPC_OWNER = 1n << 15n;

test("LSM-001 AppArmor: a profile without the path opens neither control nor endpoint", covers("LSM-001", "LSM-012"), async ({ bus, domain, spawn, agent }) => {
  await loadAppArmor(agent);
  const cursor = await agent.kernelLogEnd();
  const [outside, inside] = [await spawn(inProfile("buslab-nothing")), await spawn(inProfile("buslab-all"))];

  await expectErrno(outside.open(domain.control), "EACCES");
  await expectErrno(outside.open(bus.path), "EACCES");
  await inside.open(domain.control);
  await bus.connect({ by: inside });

  const [record] = await auditRecords(agent, cursor, /apparmor="DENIED".*\/sys\/fs\/kdbus\/[^ ]*\/bus"/);
  expect(record).toMatch(/operation="open"/);
  expect(record).toMatch(/profile="buslab-nothing"/);
  expect(record).toContain(`name="${bus.path}"`);
  expect(record).toMatch(/denied_mask="[rw]+"/);
});

test("LSM-006 AppArmor: mounting kdbusfs needs a mount rule", covers("LSM-006"), async ({ spawn, agent }) => {
  await loadAppArmor(agent);
  const [refused, allowed] = [await spawn(inProfile("buslab-nothing")), await spawn(inProfile("buslab-all"))];
  const mount = (process: typeof refused): ReturnType<typeof refused.syscall> => process.syscall("mount", memory("kdbusfs\0"), memory("/mnt\0"), memory("kdbusfs\0"), 0, 0);

  expect((await mount(refused)).errno).toBe("EACCES");
  expect((await mount(allowed)).errno).toBeNull();
});

test("LSM-007 AppArmor: a profile confines a process to one custom endpoint", covers("LSM-007"), async ({ bus, spawn, agent }) => {
  await loadAppArmor(agent);
  const endpoint = await bus.makeEndpoint({ name: "app" });
  await endpoint.update([item.name("test.name"), grant.world(abi.POLICY.TALK)]);
  const service = await bus.connect();
  await service.acquire("test.name");
  const application = await spawn(inProfile("buslab-app"));

  const connection = await endpoint.connect({ by: application });
  await connection.send("test.name", { payload: "through the one door" });

  expect(payloadText(await service.recv())).toBe("through the one door");
  await expectErrno(bus.connect({ by: application }), "EACCES");
});

test("LSM-008 AppArmor: a descriptor that the receiver may not have is left out, the message arrives", covers("LSM-008"), async ({ bus, spawn, agent }) => {
  await loadAppArmor(agent);
  await agent.writeFile("/srv/secret", "secret");
  const receiver = await bus.connect({ by: await spawn(inProfile("buslab-all")) });
  // confined itself: AppArmor lets files pass that an unconfined task has opened
  const holder = await spawn(inProfile("buslab-holder"));
  const sender = await bus.connect({ by: holder });
  const [secret, pipe] = [await holder.open("/srv/secret", 0), await holder.pipe()];

  await sender.send(receiver, { fds: [secret, pipe.read], payload: "with descriptors" });

  const message = await receiver.recv();
  expect(payloadText(message)).toBe("with descriptors");
  expect(message.returnFlags).toBe(abi.RECV_RETURN.INCOMPLETE_FDS);
  expect(message.fds?.[0]).toBe(-1);
  expect(message.fds?.[1]).toBeGreaterThanOrEqual(0);
});

test("LSM-009 AppArmor: SECLABEL is the sender's profile at that moment", covers("LSM-009"), async ({ bus, spawn, agent }) => {
  await loadAppArmor(agent);
  const receiver = await bus.connect({ attachRecv: abi.ATTACH.SECLABEL });
  const sender = await bus.connect({ by: await spawn({ label: "changing" }) });
  const labels: (string | undefined)[] = [];

  for (const profile of [undefined, "buslab-all", "buslab-second"]) {
    if (profile !== undefined) {
      const fd = await sender.process.open("/proc/self/attr/current", 1);
      await sender.process.write(fd, `changeprofile ${profile}`);
    }
    labels.push(await securityLabel(sender.process));
    await sender.send(receiver);
  }

  expect(labels).toEqual(["unconfined", "buslab-all", "buslab-second"]);
  expect((await receiver.recvAll()).map((message) => message.metadata.seclabel)).toEqual(labels);
});

test("LSM-014 AppArmor: complain mode allows and writes it down", covers("LSM-014"), async ({ bus, spawn, agent }) => {
  await loadAppArmor(agent);
  const cursor = await agent.kernelLogEnd();

  const connection = await bus.connect({ by: await spawn(inProfile("buslab-complain")) });

  expect(connection).toBeInstanceOf(Connection);
  const [record] = await auditRecords(agent, cursor, /apparmor="ALLOWED".*profile="buslab-complain".*\/bus"/);
  expect(record).toContain(`name="${bus.path}"`);
});

test("LSM-015 AppArmor: a profile without the capability takes the privilege away", covers("LSM-015"), async ({ domain, spawn, agent, root }) => {
  await loadAppArmor(agent);
  const bus = await domain.makeBus(await spawn({ uid: 1000, gid: 1000, label: "owner" }));

  await bus.connectMonitor({ by: root });
  await expectErrno(bus.connectMonitor({ by: await spawn(inProfile("buslab-unprivileged")) }), "EPERM");
});

test("LSM-016 AppArmor: opening an endpoint as an ordinary user is no capability denial", covers("LSM-016"), async ({ bus, spawn, agent }) => {
  await loadAppArmor(agent);
  const cursor = await agent.kernelLogEnd();
  const users = [
    await spawn({ uid: 1000, gid: 1000, ...inProfile("buslab-unprivileged") }),
    // the kernel asks a module only about capabilities that a process has
    await spawn({ uid: 1000, gid: 1000, capabilities: { effective: CAP_IPC_OWNER, permitted: CAP_IPC_OWNER }, ...inProfile("buslab-unprivileged") }),
  ];

  for (const user of users) for (let count = 0; count < 100; count++) await user.close(await user.open(bus.path));
  const marker = await spawn(inProfile("buslab-nothing"));
  await expectErrno(marker.open(bus.path), "EACCES");

  expect(await auditRecords(agent, cursor, /profile="buslab-nothing"/), "the log is written").not.toEqual([]);
  expect((await agent.kernelLogSince(cursor)).records.map((record) => record.text).filter((text) => text.includes('operation="capable"'))).toEqual([]);
});

test("LSM-017 AppArmor: labels do not decide about single messages", covers("LSM-017"), async ({ bus, spawn, agent }) => {
  await loadAppArmor(agent);
  const [first, second] = [await bus.connect({ by: await spawn(inProfile("buslab-all")) }), await bus.connect({ by: await spawn(inProfile("buslab-second")) })];

  await first.send(second, { payload: "there" });
  await second.send(first, { payload: "and back" });

  expect([payloadText(await second.recv()), payloadText(await first.recv())]).toEqual(["there", "and back"]);
});
