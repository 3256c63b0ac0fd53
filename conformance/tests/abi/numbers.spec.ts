import { abi, COMMAND_STRUCT, covers, encodeCommand, expect, expectResult, memory, STRUCTS, test, UNMAPPED } from "../../support/index.ts";

test("ABI-001 each of the 16 numbers is a command", covers("ABI-001"), async ({ bus }) => {
  const connection = await bus.connect();

  const unknown: string[] = [];
  for (const name of abi.COMMAND_NAMES) if ((await connection.ioctl(name, UNMAPPED)).errno === "ENOTTY") unknown.push(name);

  expect(unknown).toEqual([]);
});

test("ABI-002 a number outside of the table is no command, whatever the handle's state", covers("ABI-002"), async ({ bus, domain, root }) => {
  const connection = await bus.connect();
  const handles = { control: await root.open(domain.control), untyped: await root.open(bus.path), connected: connection.fd, owner: bus.ownerFd };

  const errors: Record<string, string | null> = {};
  for (const [state, fd] of Object.entries(handles)) {
    for (const number of [0x40189512, 0x40189501, 0xc0609500, 0x402095b2]) errors[`${state} 0x${number.toString(16)}`] = (await root.command(fd, number, memory(96))).errno;
  }

  expect(Object.entries(errors).filter(([, errno]) => errno !== "ENOTTY")).toEqual([]);
});

for (const [name, number] of Object.entries({ UPDATE: 0x40209551, CONN_INFO: 0x80309584, BUS_CREATOR_INFO: 0x80309585 })) {
  test(`ABI-003 the stale number of ${name} is no command`, covers("ABI-003"), async ({ bus, root }) => {
    const connection = await bus.connect();

    const result = await root.command(connection.fd, number, memory(64));

    expectResult(result, "ENOTTY");
  });
}

for (const name of ["LIST", "CONN_INFO", "BUS_CREATOR_INFO", "FREE", "RECV", "SEND", "UPDATE", "NAME_ACQUIRE", "NAME_RELEASE", "MATCH_ADD", "MATCH_REMOVE"] as const) {
  test(`ABI-004 ${name} is as long as its structure`, covers("ABI-004"), async ({ bus }) => {
    const connection = await bus.connect();
    const { size } = STRUCTS[COMMAND_STRUCT[name]];

    const short = await connection.ioctl(name, encodeCommand(name, { size: size - 1 }));
    const negotiated = await connection.ioctl(name, encodeCommand(name, { flags: abi.FLAG_NEGOTIATE }));

    expectResult(short, "EINVAL");
    // 2015-03 wants mandatory items even here and says so with EINVAL; every other command takes its bare structure
    if (name === "NAME_ACQUIRE" || name === "NAME_RELEASE") expectResult(negotiated, null, "EINVAL");
    else expectResult(negotiated, null);
  });
}

test("ABI-007 an argument that is not 8-byte aligned gives EFAULT", covers("ABI-007"), async ({ bus }) => {
  const connection = await bus.connect();

  for (const skew of [1n, 2n, 4n, 7n]) expectResult(await connection.ioctl("LIST", connection.pool + skew), "EFAULT");
});
