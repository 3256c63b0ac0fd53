import { abi, address, covers, decodeStruct, encodeCommand, encodeMessage, expect, expectErrno, expectResult, memory, test, textVec, UNMAPPED, type Connection, type Memory } from "../../support/index.ts";

for (const [name, flags] of [["SEND", 0x1n], ["RECV", 0x7n], ["FREE", 0n], ["MATCH_ADD", 0x1n], ["MATCH_REMOVE", 0n]] as const) {
  test(`MSG-084 ${name} tells its flags and does nothing else`, covers("MSG-084"), async ({ bus }) => {
    const [sender, receiver] = [await bus.connect(), await bus.connect()];
    await sender.send(receiver, { cookie: 1 });
    const peeked = await receiver.peek();
    await receiver.addMatch([], { cookie: 0n });
    await receiver.removeMatch(0n);

    const { errno, bytes } = await receiver.ioctl(name, encodeCommand(name, { flags: abi.FLAG_NEGOTIATE, ...(name === "FREE" ? { offset: peeked.offset } : {}) }));

    expect([errno, decodeStruct("cmd", bytes).flags]).toEqual([null, flags]); // return_flags is for ABI-030, a should
    if (name === "RECV") expect(decodeStruct("cmd_recv", bytes).msg, "msg is not written").toEqual({ offset: 0n, msg_size: 0n, return_flags: 0n });
    await expectErrno(receiver.removeMatch(0n), "EBADSLT");
    expectResult(await receiver.ioctl("FREE", encodeCommand("FREE", { offset: peeked.offset })), null);
    expect((await receiver.recvAll()).map((message) => message.header.cookie), "the queue").toEqual([1n]);
  });
}

test("MSG-084 a match stays when MATCH_REMOVE only asks", covers("MSG-084"), async ({ bus }) => {
  const connection = await bus.connect();
  await connection.addMatch([], { cookie: 3n });

  expectResult(await connection.ioctl("MATCH_REMOVE", encodeCommand("MATCH_REMOVE", { flags: abi.FLAG_NEGOTIATE, cookie: 3 })), null);
  expectResult(await connection.ioctl("MATCH_ADD", encodeCommand("MATCH_ADD", { flags: abi.FLAG_NEGOTIATE, cookie: 4 })), null);

  await connection.removeMatch(3n);
  await expectErrno(connection.removeMatch(4n), "EBADSLT");
});

/** A valid message with these flags, and SEND of it. */
function sendOf(receiver: Connection, messageFlags: bigint): Memory {
  return memory(encodeMessage({ dst_id: receiver.id, payload_type: abi.PAYLOAD.DBUS, cookie: 1, flags: messageFlags }, [textVec("payload")]), "message");
}

test("MSG-097 with NEGOTIATE in command and message both are answered and nothing is sent", covers("MSG-097"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];

  const { errno, bytes, message } = await sender.rawSend(encodeCommand("SEND", { flags: abi.FLAG_NEGOTIATE }), sendOf(receiver, abi.FLAG_NEGOTIATE));

  expect([errno, decodeStruct("cmd_send", bytes).flags, decodeStruct("msg", message).flags]).toEqual([null, 0x1n, 0x7n]);
  await expectErrno(receiver.recv(), "EAGAIN");
});

test("MSG-098 NEGOTIATE in the message alone gives EINVAL and sends nothing", covers("MSG-098"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];

  const { errno, message } = await sender.rawSend(encodeCommand("SEND", {}), sendOf(receiver, abi.FLAG_NEGOTIATE));

  expect(errno).toBe("EINVAL");
  expect([abi.FLAG_NEGOTIATE, 0x7n]).toContain(decodeStruct("msg", message).flags);
  await expectErrno(receiver.recv(), "EAGAIN");
});

test("MSG-105 with NEGOTIATE in the command the message is checked too", covers("MSG-105"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const negotiate = (fields: { readonly msg_address?: bigint } = {}): ReturnType<typeof encodeCommand> => encodeCommand("SEND", { flags: abi.FLAG_NEGOTIATE, ...fields });
  const fields = { dst_id: receiver.id, payload_type: abi.PAYLOAD.DBUS, cookie: 1 } as const;
  const large = memory(40_000, "message");
  large.encoded.bytes.set(encodeMessage({ ...fields, size: 32_776 }).bytes);

  expectResult(await sender.rawSend(negotiate(), sendOf(receiver, 0n)), null);
  expectResult(await sender.ioctl("SEND", negotiate({ msg_address: UNMAPPED })), "EFAULT");
  expectResult(await sender.ioctl("SEND", encodeCommand("SEND", { flags: abi.FLAG_NEGOTIATE, msg_address: address(sendOf(receiver, 0n), 4) })), "EFAULT");
  expectResult(await sender.rawSend(negotiate(), memory(encodeMessage({ ...fields, size: 63 }), "message")), "EINVAL");
  expectResult(await sender.rawSend(negotiate(), large), "EMSGSIZE");
  expectResult(await sender.rawSend(negotiate(), sendOf(receiver, 1n << 40n)), "EINVAL");

  await expectErrno(receiver.recv(), "EAGAIN");
});
