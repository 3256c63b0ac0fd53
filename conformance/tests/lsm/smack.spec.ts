import { abi, auditRecords, covers, Domain, expect, expectErrno, memory, needsSmack, payloadText, securityLabel, smackRule, test, withSmackLabel, type Process } from "../../support/index.ts";

const NODE = "BuslabNode";
const text = (value: string): ReturnType<typeof memory> => memory(`${value}\0`);

/** A bus on a mount of its own, whose nodes have the label {@link NODE}. */
async function labelled(root: Process): Promise<Domain> {
  await root.must("mkdirat", -100, text("/run/smack"), 0o755);
  await root.must("mount", text("kdbusfs"), text("/run/smack"), text("kdbusfs"), 0, text(`smackfsdef=${NODE},smackfsroot=${NODE}`));
  return new Domain("/run/smack");
}

test("LSM-006 Smack: smackfsdef= labels the nodes", covers("LSM-006"), async ({ root, agent }) => {
  await needsSmack(agent);

  const domain = await labelled(root);

  const value = memory(64);
  const size = await root.must("getxattr", text(domain.control), text("security.SMACK64"), value, 64);
  expect(size).toBe(BigInt(NODE.length));
});

test("LSM-001 Smack: a subject without a rule opens no endpoint", covers("LSM-001", "LSM-012"), async ({ root, spawn, agent }) => {
  await needsSmack(agent);
  const bus = await (await labelled(root)).makeBus(root);
  await smackRule(agent, "BuslabIn", NODE, "rwx");
  const cursor = await agent.kernelLogEnd();

  await expectErrno(bus.connect({ by: await spawn(withSmackLabel("BuslabOut")) }), "EACCES");
  await bus.connect({ by: await spawn(withSmackLabel("BuslabIn")) });

  const [record] = await auditRecords(agent, cursor, /lsm=SMACK .*action=denied/);
  expect(record).toMatch(/fn=smack_\w+/);
  expect(record).toContain('subject="BuslabOut"');
  expect(record).toContain(`object="${NODE}"`);
});

test("LSM-003 Smack: each command asks again for what its direction needs", covers("LSM-003", "LSM-012"), async ({ root, spawn, agent }) => {
  await needsSmack(agent);
  const bus = await (await labelled(root)).makeBus(root);
  for (const subject of ["BuslabIn", "BuslabPeer"]) await smackRule(agent, subject, NODE, "rwx");
  // of the same uid: an ordinary user talks to no nameless connection of root, whatever the labels say
  const sender = await bus.connect({ by: await spawn(withSmackLabel("BuslabPeer")) });
  const limited = await bus.connect({ by: await spawn(withSmackLabel("BuslabIn")) });
  await limited.send(sender, { payload: "with both" });
  await sender.send(limited, { payload: "to be read" });
  const cursor = await agent.kernelLogEnd();

  await smackRule(agent, "BuslabIn", NODE, "rx");

  await expectErrno(limited.send(sender, { payload: "with read only" }), "EACCES");
  expect(payloadText(await limited.recv())).toBe("to be read");
  expect((await sender.recvAll()).map(payloadText)).toEqual(["with both"]);
  const [record] = await auditRecords(agent, cursor, /lsm=SMACK fn=smack_file_ioctl action=denied/);
  expect(record).toContain('subject="BuslabIn"');
  expect(record).toContain(`object="${NODE}"`);
});

test("LSM-003 Smack: without read access nothing is received", covers("LSM-003"), async ({ root, spawn, agent }) => {
  await needsSmack(agent);
  const bus = await (await labelled(root)).makeBus(root);
  await smackRule(agent, "BuslabIn", NODE, "rwx");
  const sender = await bus.connect();
  const limited = await bus.connect({ by: await spawn(withSmackLabel("BuslabIn")) });
  await sender.send(limited, { payload: "kept" });

  await smackRule(agent, "BuslabIn", NODE, "wx");
  await expectErrno(limited.recv(), "EACCES");
  await smackRule(agent, "BuslabIn", NODE, "rwx");

  expect(payloadText(await limited.recv())).toBe("kept");
});

test("LSM-009 Smack: SECLABEL is the sender's label at that moment", covers("LSM-009"), async ({ bus, spawn, agent }) => {
  await needsSmack(agent);
  const receiver = await bus.connect({ attachRecv: abi.ATTACH.SECLABEL });
  const sender = await bus.connect({ by: await spawn({ label: "changing" }) });
  const labels: (string | undefined)[] = [];

  for (const label of [undefined, "BuslabOne", "BuslabTwo"]) {
    if (label !== undefined) {
      const fd = await sender.process.open("/proc/self/attr/current", 1);
      await sender.process.write(fd, label);
    }
    labels.push(await securityLabel(sender.process));
    await sender.send(receiver);
  }

  expect(labels.slice(1)).toEqual(["BuslabOne", "BuslabTwo"]);
  expect((await receiver.recvAll()).map((message) => message.metadata.seclabel)).toEqual(labels);
});

test("LSM-017 Smack: labels do not decide about single messages", covers("LSM-017"), async ({ root, spawn, agent }) => {
  await needsSmack(agent);
  const bus = await (await labelled(root)).makeBus(root);
  for (const subject of ["BuslabOne", "BuslabTwo"]) await smackRule(agent, subject, NODE, "rwx");
  const [first, second] = [await bus.connect({ by: await spawn(withSmackLabel("BuslabOne")) }), await bus.connect({ by: await spawn(withSmackLabel("BuslabTwo")) })];

  await first.send(second, { payload: "there" });
  await second.send(first, { payload: "and back" });

  expect([payloadText(await second.recv()), payloadText(await first.recv())]).toEqual(["there", "and back"]);
});
