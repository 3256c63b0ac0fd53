import { abi, all, covers, decodeStruct, encodeCommand, encodeMessage, expect, expectErrno, expectResult, item, memory, test, validCommands, type Encoded, type Process } from "../../support/index.ts";

const ALL = abi.COMMAND_NAMES;
/** Where the entries of a NEGOTIATE item stand that is the first item behind the fixed part. */
const entriesIn = (bytes: Uint8Array, count: number): bigint[] => Array.from({ length: count }, (_, index) => new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(bytes.length - 8 * (count - index), true));
const without = (bytes: Uint8Array, from: number, to: number): Uint8Array => bytes.filter((_, index) => index < from || index >= to);

test("ABI-027 a negotiating command reports its flags, writes nothing else and keeps the handle as it is", covers("ABI-027", "ABI-028", "ABI-036"), async ({ bus }) => {
  const masks: Record<string, bigint> = {};
  const damaged: string[] = [];
  const failed: Record<string, string | null> = {};
  for (const { name, process, fd, encode } of await validCommands(bus)) {
    const asked = encode({ flags: abi.FLAG_NEGOTIATE });
    const { errno, bytes } = await process.command(fd, name, asked);
    masks[name] = decodeStruct("cmd", bytes).flags;
    // msg_address of SEND is filled in only in the guest
    const outputs = (given: Uint8Array): Uint8Array => without(without(given, 24, name === "SEND" ? 32 : 24), 8, 24);
    if (errno !== null || Buffer.compare(outputs(bytes), outputs(asked.bytes)) !== 0) damaged.push(name);
    failed[name] = (await process.command(fd, name, encode())).errno;
  }

  expect(masks, "flags after negotiation").toEqual(abi.ALLOWED_FLAGS);
  expect(damaged, "commands that failed or wrote more").toEqual([]);
  expect(failed, "the same commands really done afterwards").toEqual(all(ALL, null));
});

test("ABI-027 a negotiating command has no effect", covers("ABI-027"), async ({ bus, domain, root }) => {
  const [connection, observer] = [await bus.connect(), await bus.connect()];
  await connection.acquire("own.name");
  await connection.addMatch([], { cookie: 9n });
  await connection.send(connection, { cookie: 5 });
  const negotiate = async (name: abi.CommandName, encoded: Encoded, fd = connection.fd): Promise<void> => expectResult(await root.command(fd, name, encoded), null);
  const flags = abi.FLAG_NEGOTIATE;
  const message = await connection.encodeSend(observer, {});

  await negotiate("BUS_MAKE", encodeCommand("BUS_MAKE", { flags }, [item.makeName("0-asked"), item.bloomParameter(64, 1)]), await root.open(domain.control));
  await negotiate("ENDPOINT_MAKE", encodeCommand("ENDPOINT_MAKE", { flags }, [item.makeName("0-asked")]), await root.open(bus.path));
  await negotiate("NAME_ACQUIRE", encodeCommand("NAME_ACQUIRE", { flags }, [item.name("other.name")]));
  await negotiate("NAME_RELEASE", encodeCommand("NAME_RELEASE", { flags }, [item.name("own.name")]));
  await negotiate("MATCH_REMOVE", encodeCommand("MATCH_REMOVE", { flags, cookie: 9 }));
  await negotiate("RECV", encodeCommand("RECV", { flags }));
  await negotiate("BYEBYE", encodeCommand("BYEBYE", { flags }), observer.fd);
  expectResult(await connection.rawSend(encodeCommand("SEND", { flags }), message.message), null);

  await expectErrno(root.open(`${domain.path}/0-asked/bus`), "ENOENT");
  await expectErrno(root.open(`${bus.directory}/0-asked`), "ENOENT");
  await expectErrno(connection.info("other.name"), "ESRCH");
  expect((await connection.info("own.name")).id).toBe(connection.id);
  await connection.removeMatch(9n);
  expect((await connection.recv()).header.cookie).toBe(5n);
  await expectErrno(observer.recv(), "EAGAIN");
});

test("ABI-029 negotiation with an unknown flag gives EINVAL and leaves the flags", covers("ABI-029"), async ({ bus }) => {
  const flags = abi.FLAG_NEGOTIATE | (1n << 40n);

  const seen: Record<string, unknown> = {};
  for (const { name, process, fd, encode } of await validCommands(bus)) {
    const { errno, bytes } = await process.command(fd, name, encode({ flags }));
    seen[name] = [errno, decodeStruct("cmd", bytes).flags];
  }

  expect(seen).toEqual(all(ALL, ["EINVAL", flags]));
});

test("ABI-030 a negotiating command writes return_flags", covers("ABI-030"), async ({ bus }) => {
  const seen: Record<string, unknown> = {};
  for (const { name, process, fd, encode } of await validCommands(bus)) {
    const { errno, bytes } = await process.command(fd, name, encode({ flags: abi.FLAG_NEGOTIATE, return_flags: -1 }));
    seen[name] = [errno, decodeStruct("cmd", bytes).return_flags];
  }

  expect(seen).toEqual(all(ALL, [null, 0n]));
});

test("ABI-031 a negotiating command needs no mandatory items", covers("ABI-031"), async ({ bus }) => {
  const mandatory = ["BUS_MAKE", "ENDPOINT_MAKE", "NAME_ACQUIRE", "NAME_RELEASE"];

  const seen: Record<string, unknown> = {};
  for (const { name, process, fd, encode } of (await validCommands(bus)).filter((command) => mandatory.includes(command.name))) {
    const { errno, bytes } = await process.command(fd, name, encode({ flags: abi.FLAG_NEGOTIATE }, [], { bare: true }));
    seen[name] = [errno, decodeStruct("cmd", bytes).flags];
  }

  expect(seen).toEqual({ BUS_MAKE: [null, 0x3n], ENDPOINT_MAKE: [null, 0x3n], NAME_ACQUIRE: [null, 0x7n], NAME_RELEASE: [null, 0n] });
});

for (const flags of [abi.FLAG_NEGOTIATE, undefined]) {
  test(`ABI-032 entries of a NEGOTIATE item that a command does not take become 0 ${flags === undefined ? "when it is executed" : "when it only asks"}`, covers("ABI-032"), async ({ bus }) => {
    const wrong: Record<string, unknown> = {};
    for (const { name, process, fd, encode } of await validCommands(bus)) {
      const allowed: readonly string[] = [...abi.ALLOWED_ITEMS[name], "NEGOTIATE"];
      // DST_ID and the flags a bus requires depend on the generation
      const open = (type: string): boolean => type === "DST_ID" || (name === "BUS_MAKE" && type === "ATTACH_FLAGS_RECV");
      const types = Object.entries(abi.ITEM).filter(([type]) => !open(type));
      const asked = [...types.map(([, number]) => BigInt(number)), 0x7777n, (1n << 32n) | 1n, 0xffff_ffff_ffff_ffffn];
      const expected = [...types.map(([type, number]) => (allowed.includes(type) ? BigInt(number) : 0n)), 0n, 0n, 0n];

      const { errno, bytes } = await process.command(fd, name, encode(flags === undefined ? {} : { flags }, [item.negotiate(asked)]));
      const entries = entriesIn(bytes, asked.length);
      const differ = asked.filter((_, index) => entries[index] !== expected[index]).map((type) => `0x${type.toString(16)}`);
      if (errno !== null || differ.length > 0) wrong[name] = { errno, differ };
    }

    expect(wrong, "commands with wrong entries").toEqual({});
  });
}

test("ABI-033 a NEGOTIATE item alone does not keep a command from being executed", covers("ABI-033"), async ({ bus, domain, root }) => {
  const connection = await bus.connect();
  const other = await bus.connect();
  const extra = item.negotiate([1]);

  const listed = decodeStruct("cmd_list", (await connection.ioctl("LIST", encodeCommand("LIST", { flags: abi.LIST.UNIQUE }, [extra]))).bytes);
  const expected = decodeStruct("cmd_list", (await connection.ioctl("LIST", encodeCommand("LIST", { flags: abi.LIST.UNIQUE }))).bytes);
  await connection.command("NAME_ACQUIRE", {}, [extra, item.name("test.name")]);
  expectResult(await root.command(await root.open(domain.control), "BUS_MAKE", encodeCommand("BUS_MAKE", {}, [item.makeName("0-both"), extra, item.bloomParameter(64, 1)])), null);
  await other.addMatch([extra], { cookie: 3n });
  await connection.broadcast({ cookie: 8 });

  expect(listed.list_size).toBe(expected.list_size);
  expect((await connection.info("test.name")).id).toBe(connection.id);
  await root.open(`${domain.path}/0-both/bus`);
  expect((await other.recv()).header.cookie, "a match without rules fits everything").toBe(8n);
});

test("ABI-034 the payload of a NEGOTIATE item is a whole number of entries, also none", covers("ABI-034"), async ({ bus }) => {
  const wrong: string[] = [];
  for (const { name, process, fd, encode } of await validCommands(bus)) {
    for (const bytes of [1, 4, 7, 12]) {
      const sample = item.raw(abi.ITEM.NEGOTIATE, new Uint8Array(bytes));
      if ((await process.command(fd, name, encode({}, [sample]))).errno !== "EINVAL") wrong.push(`${name} took ${bytes} bytes`);
      if ((await process.command(fd, name, encode({ flags: abi.FLAG_NEGOTIATE }, [sample]))).errno !== "EINVAL") wrong.push(`negotiating ${name} took ${bytes} bytes`);
    }
    const { errno } = await process.command(fd, name, encode({}, [item.negotiate([])]));
    if (errno !== null) wrong.push(`${name} refused the empty item: ${errno}`);
  }

  expect(wrong).toEqual([]);
});

test("ABI-047 SEND that negotiates also negotiates its message", covers("ABI-047"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const types = [...Object.values(abi.ITEM).map(BigInt), 0x7777n];
  const message = memory(encodeMessage({ dst_id: receiver.id, payload_type: abi.PAYLOAD.DBUS, cookie: 1, flags: abi.FLAG_NEGOTIATE }, [item.negotiate(types)]));

  const result = await sender.rawSend(encodeCommand("SEND", { flags: abi.FLAG_NEGOTIATE }), message);

  expectResult(result, null);
  expect(decodeStruct("cmd", result.bytes).flags).toBe(0x1n);
  expect(decodeStruct("msg", result.message).flags).toBe(0x7n);
  expect(entriesIn(result.message, types.length)).toEqual(types.map((type) => ([1n, 2n, 4n, 5n, 8n, 10n].includes(type) ? type : 0n)));
  await expectErrno(receiver.recv(), "EAGAIN");
});

test("ABI-049 bit 63 in the flags of a message that is really sent gives EINVAL", covers("ABI-049"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];

  await expectErrno(sender.send(receiver, { flags: abi.FLAG_NEGOTIATE }), "EINVAL");

  await expectErrno(receiver.recv(), "EAGAIN");
});

test("ABI-050 a NEGOTIATE item in a message that is really sent gives EINVAL", covers("ABI-050"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];

  await expectErrno(sender.send(receiver, { items: [item.negotiate([1])] }), "EINVAL");

  await expectErrno(receiver.recv(), "EAGAIN");
});

test("ABI-053 BUS_MAKE clears the entry ATTACH_FLAGS_RECV and keeps ATTACH_FLAGS_SEND", covers("ABI-053"), async ({ domain, root }) => {
  const command = encodeCommand("BUS_MAKE", { flags: abi.FLAG_NEGOTIATE }, [item.makeName("0-asked"), item.bloomParameter(64, 1), item.negotiate([12, 13, 16, 1])]);

  const result = await root.command(await root.open(domain.control), "BUS_MAKE", command);

  expectResult(result, null);
  expect(entriesIn(result.bytes, 4)).toEqual([12n, 0n, 0n, 1n]);
  await expectErrno(root.open(`${domain.path}/0-asked/bus`), "ENOENT");
});

test("ABI-057 commands with a NEGOTIATE item leave nothing that breaks later", covers("ABI-057"), async ({ mountDomain, spawn, agent }) => {
  const user: Process = await spawn({ uid: 1000, gid: 1000, label: "user" });
  const domain = await mountDomain();
  const bus = await domain.makeBus(user);
  const extra = item.negotiate([1]);

  const failed: Record<string, string | null> = {};
  for (const { name, process, fd, encode } of await validCommands(bus, user)) {
    failed[name] = (await process.command(fd, name, encode({}, [extra]))).errno;
    await process.close(fd);
  }

  expect(failed).toEqual(all(ALL, null));
  await user.must("getpid");
  await user.kill();
  await agent.umount(domain.path);
});
