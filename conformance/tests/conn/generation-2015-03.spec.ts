import { abi, attached, attachFlags, CONNECTION_LIMIT, connectMany, covers, decodeStruct, encodeCommand, expect, expectErrno, expectResult, item, MANY_FILES, METADATA, setModuleMask, sorted, test, visibleHere, type MetadataKind } from "../../support/index.ts";

const FAKED = item.creds({ uid: 1000, euid: 1000, suid: 1000, fsuid: 1000, gid: 1000, egid: 1000, sgid: 1000, fsgid: 1000 });

test("CONN-036 UPDATE to a send mask without a flag that the bus requires gives EINVAL and changes nothing", covers("CONN-036"), async ({ domain, root }) => {
  const bus = await domain.makeBus(root, { items: [item.attachFlagsRecv(abi.ATTACH.PIDS)] });
  const [connection, asker] = [await bus.connect({ attachSend: abi.ATTACH.PIDS | abi.ATTACH.CREDS }), await bus.connect()];

  for (const mask of [0n, abi.ATTACH.CREDS, abi.ATTACH_ALL & ~abi.ATTACH.PIDS]) {
    expectResult(await connection.ioctl("UPDATE", encodeCommand("UPDATE", {}, [item.attachFlagsSend(mask)])), "EINVAL");
  }
  expect(attached((await asker.info(connection)).items)).toEqual(["CREDS", "PIDS"]);

  await connection.update([item.attachFlagsSend(abi.ATTACH.PIDS)]);
  expect(attached((await asker.info(connection)).items)).toEqual(["PIDS"]);
});

test("CONN-058 faked credentials change neither privilege nor policy", covers("CONN-058"), async ({ bus, spawn }) => {
  const faked = await bus.connect({ items: [FAKED] });
  const user = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "user" }) });

  await faked.acquire("test.name");
  await faked.send(user);
  await expectErrno(user.send(faked), "EPERM");
});

test("CONN-058 connections with faked credentials use up the quota of who made them", covers("CONN-058"), async ({ bus, spawn }) => {
  const process = await spawn({ label: "faker", ...MANY_FILES });

  const made = await connectMany(bus, process, CONNECTION_LIMIT + 10, { hello: encodeCommand("HELLO", { pool_size: 4096 }, [FAKED]) });

  expect({ made: made.fds.length, errno: made.errno }).toEqual({ made: CONNECTION_LIMIT, errno: "EMFILE" });
  await expectErrno(bus.connect(), "EMFILE");
  await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "user" }) });
});

test("CONN-077 a missing required flag is reported behind the other checks of HELLO", covers("CONN-077"), async ({ domain, root, spawn }) => {
  const bus = await domain.makeBus(root, { items: [item.attachFlagsRecv(abi.ATTACH.PIDS)] });
  const user = await spawn({ uid: 1000, gid: 1000, label: "user" });
  const hello = async (fields: Parameters<typeof encodeCommand<"HELLO">>[1], process = user): Promise<string | null> =>
    (await process.command(await process.open(bus.path), "HELLO", encodeCommand("HELLO", { pool_size: 4096, ...fields }))).errno;

  const seen = {
    "nothing else wrong": await hello({}),
    "monitor without privilege": await hello({ flags: abi.HELLO.MONITOR }),
    "invalid receive mask": await hello({ attach_flags_recv: 0x4000 }),
    "invalid send mask": await hello({ attach_flags_send: 0x4000 }),
    "privileged monitor": await hello({ flags: abi.HELLO.MONITOR }, root),
  };

  expect(seen).toEqual({ "nothing else wrong": "ECONNREFUSED", "monitor without privilege": "EPERM", "invalid receive mask": "EINVAL", "invalid send mask": "EINVAL", "privileged monitor": "ECONNREFUSED" });
});

test("CONN-079 a connection as passive side is of the user that called HELLO", covers("CONN-079"), async ({ bus, spawn }) => {
  const [opener, caller] = [await spawn({ uid: 1000, gid: 1000, label: "opener" }), await spawn({ uid: 65534, gid: 65534, label: "caller" })];
  const there = await opener.giveFd(await opener.open(bus.path), caller);
  const { id } = decodeStruct("cmd_hello", (await caller.command(there, "HELLO", encodeCommand("HELLO", { pool_size: 1 << 20 }))).bytes);
  const [likeOpener, likeCaller] = [await bus.connect({ by: opener }), await bus.connect({ by: caller })];

  await likeCaller.send(id);

  await expectErrno(likeOpener.send(id), "EPERM");
});

test("CONN-079 connections count for the user that called HELLO", covers("CONN-079"), async ({ bus, spawn }) => {
  const process = await spawn({ label: "two users", ...MANY_FILES });

  const made = await connectMany(bus, process, CONNECTION_LIMIT + 10, { realUidAtOpen: 1000 });

  expect({ made: made.fds.length, errno: made.errno }).toEqual({ made: CONNECTION_LIMIT, errno: "EMFILE" });
  await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "user" }) });
  await expectErrno(bus.connect(), "EMFILE");
});

test("CONN-085 CONN_INFO shows what the request, the target's mask and the module parameter have", covers("CONN-085"), async ({ bus, agent, root }) => {
  const [target, asker] = [await bus.connect({ description: "described" }), await bus.connect()];
  await target.acquire("test.name");
  const here: MetadataKind[] = ["CREDS", "PIDS", "AUXGROUPS", "OWNED_NAME", "CONN_DESCRIPTION", ...(await visibleHere(root))];
  const masks: MetadataKind[][] = [["CREDS", "OWNED_NAME", "EXE"], ["CREDS", "CONN_DESCRIPTION", "CAPS", "EXE"], [...METADATA], []];

  for (const parameter of masks) {
    expect(await setModuleMask(agent, attachFlags(parameter))).toBe(0);
    for (const allowed of masks) {
      await target.update([item.attachFlagsSend(attachFlags(allowed))]);
      const seen: string[][] = [];
      for (const wanted of masks) seen.push(attached((await asker.info(target, attachFlags(wanted))).items));
      const expected = masks.map((wanted) => sorted(here.filter((kind) => parameter.includes(kind) && allowed.includes(kind) && wanted.includes(kind))));
      expect(seen, `parameter ${parameter.join(", ") || "0"}, target's mask ${allowed.join(", ") || "0"}`).toEqual(expected);
    }
  }
});
