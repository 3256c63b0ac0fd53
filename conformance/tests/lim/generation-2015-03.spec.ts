import { abi, address, covers, decodeStruct, encodeCommand, encodeMessage, expect, expectErrno, expectResult, item, memory, openToWorld, payloadBytes, payloadText, Script, test, type Connection } from "../../support/index.ts";

const LIMIT = 2097152;

/** SEND of VECs of these sizes; a negative size is one of zeros. */
async function sendVecs(sender: Connection, receiver: Connection, ...sizes: readonly number[]): Promise<string | null> {
  const items = sizes.map((size) => (size < 0 ? item.vec(0, -size) : item.vec(sender.pool, size)));
  const message = memory(encodeMessage({ dst_id: receiver.id, payload_type: abi.PAYLOAD.DBUS, cookie: 1 }, items), "message");
  return (await sender.rawSend(encodeCommand("SEND", {}), message)).errno;
}

for (const [what, sizes] of [["one VEC", [LIMIT]], ["three VECs", [1 << 20, 8, (1 << 20) - 8]], ["VECs partly of zeros", [1 << 20, -(1 << 20)]], ["zeros alone", [-LIMIT]]] as const) {
  test(`LIM-001 the VECs of a message may have 2 MiB together and not a byte more: ${what}`, covers("LIM-001"), async ({ bus }) => {
    const [sender, receiver] = [await bus.connect({ pool: 4 << 20 }), await bus.connect({ pool: 64 << 20 })];

    expect(await sendVecs(sender, receiver, ...sizes)).toBeNull();
    expect(await sendVecs(sender, receiver, ...sizes, 1), "one stored byte more").toBe("EMSGSIZE");
    expect(await sendVecs(sender, receiver, ...sizes, -1), "one byte of zeros more").toBe("EMSGSIZE");

    expect((await receiver.recvAll()).map((message) => payloadBytes(message).length)).toEqual([LIMIT]);
  });
}

test("LIM-002 128 items are accepted, 129 give E2BIG", covers("LIM-002"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const bytes = memory("abcdefghij", "payload");
  const send = async (count: number): Promise<string | null> => {
    const message = encodeMessage({ dst_id: receiver.id, payload_type: abi.PAYLOAD.DBUS, cookie: count }, Array.from({ length: count }, (_, index) => item.vec(address(bytes, index % 10), 1)));
    return (await sender.rawSend(encodeCommand("SEND", {}), memory(message, "message"))).errno;
  };

  expect([await send(128), await send(129), await send(200)]).toEqual([null, "E2BIG", "E2BIG"]);

  expect((await receiver.recvAll()).map((message) => payloadText(message))).toEqual(["abcdefghij".repeat(13).slice(0, 128)]);
});

test("LIM-016 a connection can have 256 matches, and REPLACE makes room", covers("LIM-016"), async ({ bus }) => {
  const connection = await bus.connect();
  const script = new Script();
  const add = memory(encodeCommand("MATCH_ADD", { cookie: 1 }, [item.id(connection.id)]));
  const calls: ReturnType<Script["ioctl"]>[] = [];
  script.repeat(257, () => (calls[0] = script.ioctl(connection.fd, abi.COMMANDS.MATCH_ADD, add)), { untilError: true, add: [{ memory: add, at: 24, by: 1 }] });
  const outcomes = (await connection.process.run(script)).all(calls[0] as ReturnType<Script["ioctl"]>).map(({ errno }) => errno);

  expect(outcomes).toEqual([...Array.from({ length: 256 }, () => null), "EMFILE"]);
  await connection.addMatch([], { cookie: 7n, flags: abi.MATCH.REPLACE });
  await expectErrno(connection.addMatch([], { cookie: 9999n }), "EMFILE");
  await connection.removeMatch(8n);
  await connection.addMatch([], { cookie: 9999n });
});

test("LIM-028 messages of faked credentials are charged to who called HELLO", covers("LIM-028"), async ({ bus, spawn }) => {
  const creds = item.creds({ uid: 1000, euid: 1000, suid: 1000, fsuid: 1000, gid: 1000, egid: 1000, sgid: 1000, fsgid: 1000 });
  const [own, faked, receiver] = [await bus.connect(), await bus.connect({ items: [creds] }), await bus.connect()];
  await openToWorld(bus, receiver);
  const real = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "real" }) });
  expect((await own.flood(receiver, 200)).errno).toBeNull();

  expect(await faked.flood(receiver, 257)).toEqual({ sent: 56, errno: "ENOBUFS" });
  expect(await real.flood(receiver, 257)).toEqual({ sent: 256, errno: "ENOBUFS" });
});

test("LIM-028 messages are charged to who called HELLO, whoever opened the file", covers("LIM-028"), async ({ bus, root, spawn }) => {
  const receiver = await bus.connect();
  await openToWorld(bus, receiver);
  const user = await spawn({ uid: 1000, gid: 1000, label: "user" });
  const own = await bus.connect({ by: user });
  const opened = await root.open(bus.path);
  const { errno, bytes } = await user.command(await root.giveFd(opened, user), "HELLO", encodeCommand("HELLO", { pool_size: 65536 }));
  expectResult({ errno }, null);
  expect(decodeStruct("cmd_hello", bytes).id).toBeGreaterThan(0n);
  expect((await own.flood(receiver, 200)).errno).toBeNull();

  const script = new Script();
  const { message } = await own.encodeSend(receiver, { cookie: 1 });
  const command = memory(encodeCommand("SEND", { msg_address: address(message) }));
  const calls: ReturnType<Script["ioctl"]>[] = [];
  script.repeat(257, () => (calls[0] = script.ioctl(opened, abi.COMMANDS.SEND, command)), { untilError: true });
  const outcomes = (await root.run(script)).all(calls[0] as ReturnType<Script["ioctl"]>);

  expect([outcomes.length - 1, outcomes.at(-1)?.errno]).toEqual([56, "ENOBUFS"]);
});
