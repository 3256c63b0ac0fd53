import { abi, covers, decodeStruct, encodeCommand, encodeMessage, expect, expectErrno, expectResult, initialModuleMask, item, memory, MODULE_MASK, setModuleMask, stat, test, validCommands } from "../../support/index.ts";

const entriesIn = (bytes: Uint8Array, count: number): bigint[] => Array.from({ length: count }, (_, index) => new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(bytes.length - 8 * (count - index), true));

test("ABI-043 the parameter attach_flags_mask is there, has its default and limits what is exported", covers("ABI-043"), async ({ bus, agent, machine, root }) => {
  const [asker, target] = [await bus.connect(), await bus.connect({ description: "described" })];

  expect((await stat(root, MODULE_MASK)).mode & 0o7777).toBe(0o644);
  expect(initialModuleMask(machine), "the value before the run opened it").toBe("10271");
  expect((await target.info(target)).items.length).toBeGreaterThan(0);
  expect(await setModuleMask(agent, 0n)).toBe(0);

  expect((await asker.info(target)).items).toEqual([]);
});

for (const [text, value] of [["16383", "16383"], ["0x3", "3"], ["0", "0"], ["10271", "10271"]] as const) {
  test(`ABI-043 the parameter attach_flags_mask takes ${text}`, covers("ABI-043"), async ({ agent, bus: _bus }) => {
    expect(await setModuleMask(agent, text)).toBe(0);

    expect((await agent.readText(MODULE_MASK)).trim()).toBe(value);
  });
}

test("ABI-046 commands without their mandatory items fail although they only ask", covers("ABI-046"), async ({ bus }) => {
  const mandatory = ["BUS_MAKE", "ENDPOINT_MAKE", "NAME_ACQUIRE", "NAME_RELEASE"];

  const seen: Record<string, unknown> = {};
  for (const { name, process, fd, encode } of (await validCommands(bus)).filter((command) => mandatory.includes(command.name))) {
    const { errno, bytes } = await process.command(fd, name, encode({ flags: abi.FLAG_NEGOTIATE }, [], { bare: true }));
    const whole = await process.command(fd, name, encode({ flags: abi.FLAG_NEGOTIATE }));
    seen[name] = [errno, decodeStruct("cmd", bytes).flags, whole.errno];
  }

  expect(seen).toEqual(Object.fromEntries(mandatory.map((name) => [name, ["EINVAL", abi.FLAG_NEGOTIATE, null]])));
});

test("ABI-048 SEND that negotiates does not look at its message", covers("ABI-048"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const whole = encodeMessage({ dst_id: receiver.id, payload_type: abi.PAYLOAD.DBUS, cookie: 1, flags: abi.FLAG_NEGOTIATE }, [item.negotiate([16, 1])]);
  const damaged = encodeMessage({ size: 3, dst_id: 999_999, payload_type: 0, flags: -1 }, [item.raw(0x7777, new Uint8Array(8))]);

  for (const encoded of [whole, damaged]) {
    const result = await sender.rawSend(encodeCommand("SEND", { flags: abi.FLAG_NEGOTIATE }), memory(encoded, "message"));
    expectResult(result, null);
    expect(decodeStruct("cmd", result.bytes).flags).toBe(abi.ALLOWED_FLAGS.SEND);
    expect(result.message).toEqual(encoded.bytes);
  }

  await expectErrno(receiver.recv(), "EAGAIN");
});

test("ABI-052 item type 16 is taken by no command and no message", covers("ABI-052"), async ({ bus }) => {
  const dstId = item.raw(16, new Uint8Array(8));
  const [sender, receiver] = [await bus.connect(), await bus.connect()];

  const seen: Record<string, string | null> = {};
  for (const { name, process, fd, encode } of await validCommands(bus)) seen[name] = (await process.command(fd, name, encode({}, [dstId]))).errno;
  const { command, message } = await sender.encodeSend(receiver, { payload: "x", items: [dstId] });
  seen["the message"] = (await sender.rawSend(command, message)).errno;

  expect(Object.entries(seen).filter(([, errno]) => errno !== "EINVAL")).toEqual([]);
  await expectErrno(receiver.recv(), "EAGAIN");
});

test("ABI-054 BUS_MAKE keeps the entries ATTACH_FLAGS_SEND and ATTACH_FLAGS_RECV", covers("ABI-054"), async ({ domain, root }) => {
  const command = encodeCommand("BUS_MAKE", { flags: abi.FLAG_NEGOTIATE }, [item.makeName("0-asked"), item.bloomParameter(64, 1), item.negotiate([12, 13, 16, 1])]);

  const result = await root.command(await root.open(domain.control), "BUS_MAKE", command);

  expectResult(result, null);
  expect(entriesIn(result.bytes, 4)).toEqual([12n, 13n, 0n, 1n]);
  await expectErrno(root.open(`${domain.path}/0-asked/bus`), "ENOENT");
});
