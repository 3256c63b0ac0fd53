import { abi, align8, concat, covers, encodeCommand, encodeItems, encodeMessage, expect, expectErrno, expectResult, grant, ioctls, item, memory, plain, SAMPLE_ITEMS, test, validCommands, words, type Encoded, type Item } from "../../support/index.ts";

/** The item with a payload of another length. */
const resized = (from: Item, by: number): Item => ({ type: from.type, payload: plain(by < 0 ? from.payload.bytes.subarray(0, by) : concat([from.payload, plain(new Uint8Array(by))]).bytes) });

test("ABI-016 an item of odd size is followed by the next one at an 8-byte boundary", covers("ABI-016"), async ({ bus, spawn }) => {
  const user = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "user" }) });

  await bus.connectPolicyHolder("odd.n", [grant.world(abi.POLICY.OWN)]);

  await user.acquire("odd.n");
});

test("ABI-016 an item right behind one of odd size gives EINVAL", covers("ABI-016"), async ({ bus, root }) => {
  const fd = await root.open(bus.path);
  const unpadded = concat([encodeItems([item.name("odd.n")], { padLast: false }), encodeItems([grant.world(abi.POLICY.OWN)])]);
  const hello = encodeCommand("HELLO", { flags: abi.HELLO.POLICY_HOLDER, pool_size: 4096, size: 96 + unpadded.bytes.length });

  expectResult(await root.command(fd, "HELLO", concat([hello, unpadded])), "EINVAL");
});

test("ABI-017 the size of a command may include the padding of its last item or leave it out", covers("ABI-017"), async ({ bus }) => {
  const connection = await bus.connect();
  await connection.acquire("odd.n");
  const length = 16 + "odd.n".length + 1;

  expectResult(await connection.ioctl("CONN_INFO", encodeCommand("CONN_INFO", { size: 56 + length }, [item.name("odd.n")])), null);
  expectResult(await connection.ioctl("CONN_INFO", encodeCommand("CONN_INFO", { size: 56 + align8(length) }, [item.name("odd.n")])), null);
});

test("ABI-018 1 to 15 bytes behind the last item give EINVAL", covers("ABI-018"), async ({ bus, root }) => {
  const connection = await bus.connect();
  await connection.acquire("abc.def");
  const stray = Array.from({ length: 15 }, (_, index) => index + 1);
  const behind = (encode: (size: number) => Encoded, end: number) => stray.map((count) => concat([encode(end + count), plain(new Uint8Array(16))]));

  const list = await ioctls(root, connection.fd, "LIST", behind((size) => encodeCommand("LIST", { size }), 40));
  // the item is 24 bytes long and needs no padding
  const info = await ioctls(root, connection.fd, "CONN_INFO", behind((size) => encodeCommand("CONN_INFO", { size }, [item.name("abc.def")]), 80));

  expect(stray.filter((_, index) => list[index]?.errno !== "EINVAL"), "stray bytes that LIST took").toEqual([]);
  expect(stray.filter((_, index) => info[index]?.errno !== "EINVAL"), "stray bytes that CONN_INFO took").toEqual([]);
});

test("ABI-019 what stands in the padding between items does not matter", covers("ABI-019"), async ({ bus, spawn }) => {
  const user = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "user" }) });
  const dirty = { ...item.name("odd.n"), padding: 0xff };

  await bus.connect({ flags: abi.HELLO.POLICY_HOLDER, items: [dirty, grant.world(abi.POLICY.OWN)] });
  await user.acquire("odd.n");

  expectResult(await user.ioctl("CONN_INFO", encodeCommand("CONN_INFO", {}, [dirty])), null);
});

const PAYLOADS: Readonly<Record<string, Uint8Array>> = {
  "an empty payload": new Uint8Array(0),
  "no final NUL": new TextEncoder().encode("test.name"),
  "a NUL inside": new TextEncoder().encode("test\0name\0"),
  "two final NULs": new TextEncoder().encode("test.name\0\0"),
};
for (const [what, payload] of Object.entries(PAYLOADS)) {
  test(`ABI-021 a string item with ${what} gives EINVAL`, covers("ABI-021"), async ({ bus, root }) => {
    const connection = await bus.connect();
    await connection.acquire("test.name");
    const fd = await root.open(bus.path);
    const bad = (type: number): Item[] => [item.raw(type, payload)];
    const sent = await connection.rawSend(encodeCommand("SEND", {}), memory(encodeMessage({ payload_type: abi.PAYLOAD.DBUS, cookie: 1 }, bad(abi.ITEM.DST_NAME))));

    expect({
      CONN_INFO: (await connection.ioctl("CONN_INFO", encodeCommand("CONN_INFO", {}, bad(abi.ITEM.NAME)))).errno,
      NAME_ACQUIRE: (await connection.ioctl("NAME_ACQUIRE", encodeCommand("NAME_ACQUIRE", {}, bad(abi.ITEM.NAME)))).errno,
      NAME_RELEASE: (await connection.ioctl("NAME_RELEASE", encodeCommand("NAME_RELEASE", {}, bad(abi.ITEM.NAME)))).errno,
      MATCH_ADD: (await connection.ioctl("MATCH_ADD", encodeCommand("MATCH_ADD", { cookie: 1 }, bad(abi.ITEM.NAME)))).errno,
      "HELLO NAME": (await root.command(fd, "HELLO", encodeCommand("HELLO", { flags: abi.HELLO.POLICY_HOLDER, pool_size: 4096 }, bad(abi.ITEM.NAME)))).errno,
      "HELLO SECLABEL": (await root.command(fd, "HELLO", encodeCommand("HELLO", { pool_size: 4096 }, bad(abi.ITEM.SECLABEL)))).errno,
      "HELLO CONN_DESCRIPTION": (await root.command(fd, "HELLO", encodeCommand("HELLO", { pool_size: 4096 }, bad(abi.ITEM.CONN_DESCRIPTION)))).errno,
      SEND: sent.errno,
    }).toEqual({ CONN_INFO: "EINVAL", NAME_ACQUIRE: "EINVAL", NAME_RELEASE: "EINVAL", MATCH_ADD: "EINVAL", "HELLO NAME": "EINVAL", "HELLO SECLABEL": "EINVAL", "HELLO CONN_DESCRIPTION": "EINVAL", SEND: "EINVAL" });
  });
}

test("ABI-025 items of fixed size are refused in any other", covers("ABI-025"), async ({ bus, root }) => {
  const [ordinary, holder, endpoint] = [await bus.connect(), await bus.connectPolicyHolder("held.name", []), await bus.makeEndpoint()];
  const [control, hello] = [await root.open(bus.domain.control), await root.open(bus.path)];
  const [access, name] = [grant.world(abi.POLICY.SEE), item.name("held.name")];
  const make = (bloom: Item, more: readonly Item[]): Encoded => encodeCommand("BUS_MAKE", {}, [item.makeName("0-fixed"), bloom, ...more]);
  const bloom = item.bloomParameter(64, 1);
  const cases: Readonly<Record<string, (by: number) => Promise<string | null>>> = {
    "UPDATE ATTACH_FLAGS_SEND": async (by) => (await ordinary.ioctl("UPDATE", encodeCommand("UPDATE", {}, [resized(item.attachFlagsSend(0), by)]))).errno,
    "UPDATE ATTACH_FLAGS_RECV": async (by) => (await ordinary.ioctl("UPDATE", encodeCommand("UPDATE", {}, [resized(item.attachFlagsRecv(0), by)]))).errno,
    "MATCH_ADD ID": async (by) => (await ordinary.ioctl("MATCH_ADD", encodeCommand("MATCH_ADD", { cookie: 1 }, [resized(item.id(1), by)]))).errno,
    "UPDATE POLICY_ACCESS": async (by) => (await holder.ioctl("UPDATE", encodeCommand("UPDATE", {}, [name, resized(access, by)]))).errno,
    "ENDPOINT_UPDATE POLICY_ACCESS": async (by) => (await root.command(endpoint.ownerFd, "ENDPOINT_UPDATE", encodeCommand("ENDPOINT_UPDATE", {}, [name, resized(access, by)]))).errno,
    "HELLO CREDS": async (by) => (await root.command(hello, "HELLO", encodeCommand("HELLO", { pool_size: 4096 }, [resized(item.creds({}), by)]))).errno,
    "BUS_MAKE ATTACH_FLAGS_SEND": async (by) => (await root.command(control, "BUS_MAKE", make(bloom, [resized(item.attachFlagsSend(0), by)]))).errno,
    "BUS_MAKE BLOOM_PARAMETER": async (by) => (await root.command(await root.open(bus.domain.control), "BUS_MAKE", make(resized(bloom, by), []))).errno,
  };

  const seen: Record<string, unknown> = {};
  for (const [what, run] of Object.entries(cases)) seen[what] = [await run(-8), await run(8), await run(-1), await run(1)];
  expect(seen, "8 bytes less, 8 more, 1 less, 1 more").toEqual(Object.fromEntries(Object.keys(cases).map((what) => [what, ["EINVAL", "EINVAL", "EINVAL", "EINVAL"]])));

  const right: Record<string, unknown> = {};
  for (const [what, run] of Object.entries(cases)) if (what !== "BUS_MAKE BLOOM_PARAMETER") right[what] = await run(0);
  expect(right, "the right size").toEqual(Object.fromEntries(Object.keys(right).map((what) => [what, null])));
});

test("ABI-026 a PIDS item has exactly 24 bytes", covers("ABI-026"), async ({ bus, root }) => {
  const fd = await root.open(bus.path);
  const hello = (bytes: number): Encoded => encodeCommand("HELLO", { pool_size: 4096 }, [item.raw(abi.ITEM.PIDS, new Uint8Array(bytes))]);

  const sizes = [0, 8, 16, 23, 25, 32];
  const outcomes = await ioctls(root, fd, "HELLO", sizes.map(hello));

  expect(outcomes.map(({ errno }) => errno), sizes.join(", ")).toEqual(sizes.map(() => "EINVAL"));
  expectResult(await root.command(fd, "HELLO", hello(24)), null);
});

test("ABI-042 a message with an item that only the kernel makes gives EINVAL", covers("ABI-042"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];

  const taken: string[] = [];
  for (const [type, sample] of Object.entries(SAMPLE_ITEMS).filter(([, { type: number }]) => number >= abi.ITEM.TIMESTAMP)) {
    const { command, message } = await sender.encodeSend(receiver, { items: [sample] });
    if ((await sender.rawSend(command, message)).errno !== "EINVAL") taken.push(type);
  }

  expect(taken, "items that were taken").toEqual([]);
  await expectErrno(receiver.recv(), "EAGAIN");
});

test("ABI-042 the items from 0x1000 up that commands do take are taken", covers("ABI-042"), async ({ bus }) => {
  const holder = await bus.connectPolicyHolder("held.name", [grant.world(abi.POLICY.SEE)], { items: [item.creds({}), item.pids({}), item.seclabel("label"), item.description("text")] });
  const [ordinary, endpoint] = [await bus.connect(), await bus.makeEndpoint()];
  const { MATCH_ID_ANY: any } = abi;

  await holder.update([item.name("held.name"), grant.world(abi.POLICY.SEE)]);
  await endpoint.update([item.name("held.name"), grant.world(abi.POLICY.SEE)]);
  for (const type of [abi.ITEM.NAME_ADD, abi.ITEM.NAME_REMOVE, abi.ITEM.NAME_CHANGE]) await ordinary.addMatch([item.nameChange(type, any, any)]);
  for (const type of [abi.ITEM.ID_ADD, abi.ITEM.ID_REMOVE]) await ordinary.addMatch([item.idChange(type, any)]);
});

test("ABI-051 DST_ID is taken by MATCH_ADD with exactly 8 bytes", covers("ABI-051"), async ({ bus, root }) => {
  const connection = await bus.connect();
  const sizes = [0, 4, 7, 9, 12, 16];
  const rule = (bytes: Uint8Array): Encoded => encodeCommand("MATCH_ADD", { cookie: 1 }, [item.raw(abi.ITEM.DST_ID, bytes)]);

  const outcomes = await ioctls(root, connection.fd, "MATCH_ADD", sizes.map((size) => rule(new Uint8Array(size))));

  expect(outcomes.map(({ errno }) => errno), `payloads of ${sizes.join(", ")} bytes`).toEqual(sizes.map(() => "EINVAL"));
  expectResult(await connection.ioctl("MATCH_ADD", rule(words(8, [connection.id]).bytes)), null);
});

test("ABI-051 DST_ID is refused by every other command and in a message", covers("ABI-051"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];

  const taken: string[] = [];
  for (const { name, fd, process, encode } of await validCommands(bus)) {
    if (name !== "MATCH_ADD" && (await process.command(fd, name, encode({}, [item.dstId(1)]))).errno !== "EINVAL") taken.push(name);
  }
  const { command, message } = await sender.encodeSend(receiver, { items: [item.dstId(receiver.id)] });

  expect(taken).toEqual([]);
  expectResult(await sender.rawSend(command, message), "EINVAL");
});

test("ABI-055 there is no module parameter attach_flags_mask", covers("ABI-055"), async ({ root, bus }) => {
  await bus.connect();

  await expectErrno(root.open("/sys/module/kdbus/parameters/attach_flags_mask", 0), "ENOENT");
});
