import { abi, attached, auditRecords, covers, expect, expectErrno, forkOf, hasAudit, keepAllRecords, securityLabel, securityModule, test, unsupported } from "../../support/index.ts";

test("LSM-010 without a labelling module SECLABEL is absent and SEND succeeds", covers("LSM-010"), async ({ bus, agent }) => {
  const active = await securityModule(agent);
  if (active !== undefined && active !== "tomoyo") unsupported("a kernel started without a labelling security module");
  const receiver = await bus.connect({ attachRecv: abi.ATTACH.SECLABEL | abi.ATTACH.CREDS });
  const sender = await bus.connect();

  await sender.send(receiver);

  expect(attached((await receiver.recv()).items)).toEqual(["CREDS"]);
  expect(attached((await receiver.info(sender, abi.ATTACH.SECLABEL)).items)).toEqual([]);
});

test("LSM-011 AUDIT is the login uid and session of the sender, all ones if unset", covers("LSM-011"), async ({ bus, root, agent }) => {
  if (!(await hasAudit(root))) unsupported("system call auditing in the kernel");
  const receiver = await bus.connect({ attachRecv: abi.ATTACH.AUDIT });
  const connection = await bus.connect();
  const child = await forkOf(root, { loginUid: 4711, label: "logged-in" });

  await connection.send(receiver);
  await (await connection.usedBy(child, connection.fd)).send(receiver);

  const [unset, set] = (await receiver.recvAll()).map(({ metadata }) => metadata.audit);
  expect((await agent.readText(`/proc/${root.peer.pid}/loginuid`)).trim(), "set-up: nobody logged in").toBe("4294967295");
  expect(unset).toEqual({ sessionid: 0xffff_ffffn, loginuid: 0xffff_ffffn });
  expect(set).toEqual({ sessionid: BigInt((await agent.readText(`/proc/${child.peer.pid}/sessionid`)).trim()), loginuid: 4711n });
});

test("LSM-013 an audit rule records SEND with its number, result, login uid and subject", covers("LSM-013"), async ({ bus, root, spawn, agent }) => {
  if (!(await hasAudit(root))) unsupported("system call auditing in the kernel");
  const control = async (...words: string[]): Promise<void> => {
    const { exitCode, stderr } = await agent.exec(["auditctl", ...words]);
    expect(exitCode, `auditctl ${words.join(" ")}: ${stderr}`).toBe(0);
  };
  await keepAllRecords(agent);
  await control("-e", "1");
  await control("-a", "always,exit", "-F", `arch=b${agent.info.bits}`, "-S", "ioctl", "-F", `a1=0x${abi.COMMANDS.SEND.toString(16)}`, "-k", "kdbus-send");
  const cursor = await agent.kernelLogEnd();
  const sender = await bus.connect({ by: await spawn({ loginUid: 4711, label: "sender" }) });

  const label = await securityLabel(sender.process);

  await sender.send(sender);
  await expectErrno(sender.send(0x7fff_0000n), "ENXIO");

  const records = await auditRecords(agent, cursor, /type=1300.*exit=-6\b/);
  const all = (await agent.kernelLogSince(cursor)).records.map((record) => record.text).filter((text) => text.includes('key="kdbus-send"'));
  expect(records).toHaveLength(1);
  expect(all).toHaveLength(2);
  expect(all[0]).toMatch(/success=yes exit=0 /);
  expect(all[1]).toMatch(/success=no exit=-6 /);
  for (const record of all) {
    expect(record).toMatch(new RegExp(`syscall=\\d+ .* a1=${abi.COMMANDS.SEND.toString(16)} .* pid=${sender.process.peer.pid} auid=4711 uid=0 `));
    if (label !== undefined) expect(record).toContain(` subj=${label}`);
  }
});
