import { abi, address, all, COMMAND_STRUCT, concat, covers, encodeCommand, expect, expectResult, ioctls, item, memory, pageBeforeHole, plain, SAMPLE_ITEMS, STRUCTS, test, UNMAPPED, validCommands, writeMemory, type Encoded } from "../../support/index.ts";

const COMMANDS = abi.COMMAND_NAMES;
const UNKNOWN_TYPE = 0x7777;

test("ABI-007 each command at an address that is not 8-byte aligned gives EFAULT", covers("ABI-007"), async ({ bus, root }) => {
  const seen: Record<string, unknown> = {};
  for (const { name, fd, encode } of await validCommands(bus)) {
    const skewed = memory(concat([plain(new Uint8Array(1)), encode()]));
    seen[name] = (await root.command(fd, name, address(skewed, 1))).errno;
  }

  expect(seen).toEqual(all(COMMANDS, "EFAULT"));
});

test("ABI-008 a command at an address that cannot be read gives EFAULT", covers("ABI-008"), async ({ bus, root }) => {
  const seen: Record<string, unknown> = {};
  for (const { name, fd } of await validCommands(bus)) seen[name] = [(await root.command(fd, name, 0)).errno, (await root.command(fd, name, UNMAPPED)).errno];

  expect(seen).toEqual(all(COMMANDS, ["EFAULT", "EFAULT"]));
});

test("ABI-008 a command that crosses into an unmapped page gives EFAULT", covers("ABI-008"), async ({ bus, root }) => {
  const page = await pageBeforeHole(root);

  const seen: Record<string, unknown> = {};
  for (const { name, fd, encode } of await validCommands(bus)) {
    const errors: (string | null)[] = [];
    for (const readable of [8, 16]) {
      const at = page + 4096n - BigInt(readable);
      await writeMemory(root, at, encode().bytes.slice(0, readable));
      errors.push((await root.command(fd, name, at)).errno);
    }
    seen[name] = errors;
  }

  expect(seen).toEqual(all(COMMANDS, ["EFAULT", "EFAULT"]));
});

test("ABI-009 a size below that of the structure gives EINVAL", covers("ABI-009", "ABI-004"), async ({ bus }) => {
  const seen: Record<string, unknown> = {};
  for (const { name, fd, process, encode } of await validCommands(bus)) {
    const { size } = STRUCTS[COMMAND_STRUCT[name]];
    seen[name] = (await ioctls(process, fd, name, [0, 1, 8, size - 8, size - 1].map((short) => encode({ size: short })))).map(({ errno }) => errno);
  }

  expect(seen).toEqual(all(COMMANDS, ["EINVAL", "EINVAL", "EINVAL", "EINVAL", "EINVAL"]));
});

test("ABI-010 a size above 32768 gives EMSGSIZE", covers("ABI-010"), async ({ bus }) => {
  const behind = plain(new Uint8Array(33000));

  const seen: Record<string, unknown> = {};
  for (const { name, fd, process, encode } of await validCommands(bus)) {
    const sizes = [32769, 32776, 1n << 32n, 0xffff_ffff_ffff_fff8n];
    seen[name] = (await ioctls(process, fd, name, sizes.map((size) => concat([encode({ size }), behind])))).map(({ errno }) => errno);
  }

  expect(seen).toEqual(all(COMMANDS, ["EMSGSIZE", "EMSGSIZE", "EMSGSIZE", "EMSGSIZE"]));
});

test("ABI-010 a size of exactly 32768 is not too big", covers("ABI-010"), async ({ bus }) => {
  const connection = await bus.connect();
  const entries = new Array<number>((32768 - 40 - 16) / 8).fill(1);

  expectResult(await connection.ioctl("LIST", encodeCommand("LIST", {}, [item.negotiate(entries)])), null);
});

test("ABI-011 a flag that a command does not know gives EINVAL", covers("ABI-011"), async ({ bus }) => {
  const seen: Record<string, unknown> = {};
  for (const { name, fd, process, encode } of await validCommands(bus)) {
    const unknown = Array.from({ length: 63 }, (_, bit) => 1n << BigInt(bit)).filter((flag) => (abi.ALLOWED_FLAGS[name] & flag) === 0n);
    const outcomes = await ioctls(process, fd, name, unknown.map((flags) => encode({ flags })));
    seen[name] = unknown.filter((_, index) => outcomes[index]?.errno !== "EINVAL").map((flag) => `0x${flag.toString(16)}`);
  }

  expect(seen, "flags that did not give EINVAL").toEqual(all(COMMANDS, []));
});

test("ABI-012 an item of a type that a command does not take gives EINVAL", covers("ABI-012"), async ({ bus }) => {
  const seen: Record<string, unknown> = {};
  for (const { name, fd, process, encode } of await validCommands(bus)) {
    const allowed: readonly string[] = abi.ALLOWED_ITEMS[name];
    const samples = Object.entries(SAMPLE_ITEMS).filter(([type]) => type !== "NEGOTIATE" && !allowed.includes(type));
    // these two depend on the generation; ABI-051 to ABI-054 and BUS-029 judge them
    const refused = samples.filter(([type]) => type !== "DST_ID" && !(name === "BUS_MAKE" && type === "ATTACH_FLAGS_RECV"));
    const items = [...refused, ["unknown", item.raw(UNKNOWN_TYPE, new Uint8Array(8))] as const, ["huge", { ...item.raw(0, new Uint8Array(8)), type: 0xffff_ffff }] as const];
    const outcomes = await ioctls(process, fd, name, items.map(([, sample]) => encode({}, [sample])));
    seen[name] = items.filter((_, index) => outcomes[index]?.errno !== "EINVAL").map(([type]) => type);
  }

  expect(seen, "items that did not give EINVAL").toEqual(all(COMMANDS, []));
});

const SINGLE: Readonly<Partial<Record<abi.CommandName, readonly abi.ItemName[]>>> = {
  BUS_MAKE: ["MAKE_NAME", "BLOOM_PARAMETER", "ATTACH_FLAGS_SEND"],
  ENDPOINT_MAKE: ["MAKE_NAME"],
  HELLO: ["CREDS", "PIDS", "SECLABEL", "CONN_DESCRIPTION"],
  UPDATE: ["ATTACH_FLAGS_SEND", "ATTACH_FLAGS_RECV"],
  CONN_INFO: ["NAME"],
  SEND: ["CANCEL_FD"],
  NAME_ACQUIRE: ["NAME"],
  NAME_RELEASE: ["NAME"],
};

test("ABI-013 a second item of a type that stands once gives EINVAL", covers("ABI-013"), async ({ bus }) => {
  const seen: string[] = [];
  for (const { name, fd, process, encode } of await validCommands(bus)) {
    const types: readonly abi.ItemName[] = [...(SINGLE[name] ?? []), "NEGOTIATE"];
    const twice = types.map((type) => {
      const sample = type === "MAKE_NAME" ? item.makeName(`${process.euid}-twice`) : SAMPLE_ITEMS[type];
      return encode({}, [sample, sample]);
    });
    const outcomes = await ioctls(process, fd, name, twice);
    types.forEach((type, index) => {
      if (outcomes[index]?.errno !== "EINVAL") seen.push(`${name} ${type} ${outcomes[index]?.errno}`);
    });
  }

  expect(seen).toEqual([]);
});

test("ABI-013 the items that stand once are fine once", covers("ABI-013"), async ({ bus, root }) => {
  const connection = await bus.connect();
  const hello = await root.open(bus.path);
  const control = await root.open(bus.domain.control);

  expectResult(await connection.ioctl("UPDATE", encodeCommand("UPDATE", {}, [SAMPLE_ITEMS.ATTACH_FLAGS_SEND, SAMPLE_ITEMS.ATTACH_FLAGS_RECV])), null);
  expectResult(await root.command(hello, "HELLO", encodeCommand("HELLO", { pool_size: 4096 }, [SAMPLE_ITEMS.CREDS, SAMPLE_ITEMS.PIDS, SAMPLE_ITEMS.SECLABEL, SAMPLE_ITEMS.CONN_DESCRIPTION])), null);
  expectResult(await root.command(control, "BUS_MAKE", encodeCommand("BUS_MAKE", {}, [item.makeName("0-once"), SAMPLE_ITEMS.BLOOM_PARAMETER, SAMPLE_ITEMS.ATTACH_FLAGS_SEND])), null);
});

test("ABI-014 a missing mandatory item gives EINVAL", covers("ABI-014"), async ({ bus, root }) => {
  const connection = await bus.connect();
  const [control, endpoint] = [await root.open(bus.domain.control), await root.open(bus.path)];

  const errors = {
    "BUS_MAKE without MAKE_NAME": (await root.command(control, "BUS_MAKE", encodeCommand("BUS_MAKE", {}, [item.bloomParameter(64, 1)]))).errno,
    "BUS_MAKE without BLOOM_PARAMETER": (await root.command(control, "BUS_MAKE", encodeCommand("BUS_MAKE", {}, [item.makeName("0-missing")]))).errno,
    ENDPOINT_MAKE: (await root.command(endpoint, "ENDPOINT_MAKE", encodeCommand("ENDPOINT_MAKE", {}))).errno,
    NAME_ACQUIRE: (await connection.ioctl("NAME_ACQUIRE", encodeCommand("NAME_ACQUIRE", {}))).errno,
    NAME_RELEASE: (await connection.ioctl("NAME_RELEASE", encodeCommand("NAME_RELEASE", {}))).errno,
  };

  expect(errors).toEqual(all(Object.keys(errors), "EINVAL"));
});

test("ABI-015 an item whose size is below its header or leaves the command gives EINVAL", covers("ABI-015"), async ({ bus, root }) => {
  const connection = await bus.connect();
  const name = new TextEncoder().encode("test.name\0");
  // the bytes behind the command are there, so that only the size of the item is wrong
  const damaged = (size: bigint | number): Encoded => concat([encodeCommand("NAME_ACQUIRE", { size: 24 + 32 }, [item.raw(abi.ITEM.NAME, name, size)]), plain(new Uint8Array(8192))]);

  const sizes = [0, 1, 8, 15, 33, 40, 4096, 1n << 32n, 0xffff_ffff_ffff_fff0n, 0xffff_ffff_ffff_ffffn];
  const outcomes = await ioctls(root, connection.fd, "NAME_ACQUIRE", sizes.map(damaged));
  expect(sizes.filter((_, index) => outcomes[index]?.errno !== "EINVAL"), "sizes that did not give EINVAL").toEqual([]);

  expectResult(await connection.ioctl("NAME_ACQUIRE", damaged(16 + name.length)), null);
});
