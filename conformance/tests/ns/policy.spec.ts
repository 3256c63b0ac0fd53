import { abi, covers, encodeCommand, expect, expectErrno, forkOf, grant, item, test } from "../../support/index.ts";

const CHILD = { namespaces: ["user", "pid"], uidMap: [[0, 65534, 1]], gidMap: [[0, 65534, 1]], uid: 0, gid: 0, label: "child-root" } as const;

test("NS-011 root of a child user namespace is not privileged on the parent's bus", covers("NS-011"), async ({ bus, spawn }) => {
  const child = await forkOf(await spawn({ uid: 65534, gid: 65534, label: "nobody" }), CHILD);
  const [inside, outside] = [await bus.connect({ by: child }), await bus.connect()];

  await expectErrno(bus.connectMonitor({ by: child }), "EPERM");
  await expectErrno(bus.connectActivator("test.name", { by: child }), "EPERM");
  await expectErrno(bus.connectPolicyHolder("test.name", [], { by: child }), "EPERM");
  await expectErrno(inside.acquire("test.name"), "EPERM");
  await expectErrno(inside.send(outside), "EPERM");
});

test("NS-012 policy knows a task of a child user namespace by its uid in the domain's view", covers("NS-012"), async ({ bus, spawn }) => {
  const child = await forkOf(await spawn({ uid: 65534, gid: 65534, label: "nobody" }), CHILD);
  const [inside, service] = [await bus.connect({ by: child }), await bus.connect()];
  await service.acquire("test.name");
  const holder = await bus.connectPolicyHolder("test.name", [grant.user(65534, abi.POLICY.TALK)]);
  const talk = async (): Promise<string | null> => {
    const { command, message } = await inside.encodeSend("test.name", {});
    return (await inside.rawSend(command, message)).errno;
  };

  const seen = [await talk()];
  for (const uid of [0, 1000]) {
    await holder.update([item.name("test.name"), grant.user(uid, abi.POLICY.OWN)]);
    seen.push(await talk());
  }

  expect(seen).toEqual([null, "EPERM", "EPERM"]);
});

test("NS-012 a task of a child user namespace is the same user as its uid outside", covers("NS-012"), async ({ bus, spawn }) => {
  const nobody = await spawn({ uid: 65534, gid: 65534, label: "nobody" });
  const inside = await bus.connect({ by: await forkOf(nobody, CHILD) });
  const [same, other] = [await bus.connect({ by: nobody }), await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "other" }) })];

  await inside.send(same, { cookie: 5 });

  expect((await same.recv()).header.cookie).toBe(5n);
  await expectErrno(inside.send(other), "EPERM");
});

test("NS-013 grants name ids of the uploader's user namespace, which must be mapped", covers("NS-013"), async ({ bus, root, spawn }) => {
  const fds: number[] = [];
  for (let count = 0; count < 8; count++) fds.push(await root.open(bus.path));
  const inside = await forkOf(root, { namespaces: ["user"], uidMap: [[0, 0, 1], [5, 1000, 1]], gidMap: [[0, 0, 1], [6, 2000, 1]], uid: 0, gid: 0, label: "inside" });
  const upload = async (access: ReturnType<typeof grant.user>, name = "some.name"): Promise<string | null> =>
    (await inside.command(fds.shift() ?? -1, "HELLO", encodeCommand("HELLO", { flags: abi.HELLO.POLICY_HOLDER, pool_size: 1 << 20 }, [item.name(name), access]))).errno;

  const refused = [await upload(grant.user(1000, abi.POLICY.OWN)), await upload(grant.user(6, abi.POLICY.OWN)), await upload(grant.group(2000, abi.POLICY.OWN)), await upload(grant.group(5, abi.POLICY.OWN)), await upload(grant.user(0xffff_ffff, abi.POLICY.OWN))];
  const accepted = [await upload(grant.user(5, abi.POLICY.OWN), "for.user"), await upload(grant.group(6, abi.POLICY.OWN), "for.group")];

  expect(refused).toEqual(["EINVAL", "EINVAL", "EINVAL", "EINVAL", "EINVAL"]);
  expect(accepted).toEqual([null, null]);
  const user = await bus.connect({ by: await spawn({ uid: 1000, gid: 1, label: "user" }) });
  await user.acquire("for.user");
  await expectErrno(user.acquire("for.group"), "EPERM");
  const member = await bus.connect({ by: await spawn({ uid: 3000, gid: 2000, label: "member" }) });
  await member.acquire("for.group");
});
