import { abi, covers, decodeWords, expect, itemOf, test, type Process } from "../../support/index.ts";

/** A line of /proc/self/status. */
async function statusOf(process: Process, key: string): Promise<string> {
  const fd = await process.open("/proc/self/status", 0);
  const text = new TextDecoder().decode(await process.readAt(fd, 0, 4096));
  await process.close(fd);
  return new RegExp(`^${key}:\\s*(.*)$`, "m").exec(text)?.[1] ?? `no line ${key}`;
}

for (const [flag, value] of Object.entries(abi.ATTACH)) {
  test(`ABI-038 ATTACH ${flag} asks for items of its own type`, covers("ABI-038"), async ({ bus }) => {
    const connection = await bus.connect({ description: "text", attachRecv: value });
    await connection.acquire("test.name");
    await connection.send(connection);

    const type = 0x1000 + Math.log2(Number(value));
    const inMessage = (await connection.recv()).items.map((entry) => entry.type);
    const inInfo = (await connection.info(connection, value)).items.map((entry) => entry.type);

    // cgroup, audit and labels depend on the kernel, groups may be none; everything else is always there
    const may = ["CGROUP", "AUDIT", "SECLABEL", "AUXGROUPS"].includes(flag);
    expect([...new Set(inMessage)]).toEqual(may && inMessage.length === 0 ? [] : [type]);
    if (flag === "TIMESTAMP") expect(inInfo).toEqual([]);
    else expect([...new Set(inInfo)]).toEqual(may && inInfo.length === 0 ? [] : [type]);
  });
}

test("ABI-039 CREDS holds the eight ids in their order", covers("ABI-039"), async ({ bus, spawn }) => {
  const process = await spawn({ uid: { real: 1001, effective: 0, saved: 1003, fs: 1004 }, gid: { real: 2001, effective: 2002, saved: 2003, fs: 2004 }, label: "many ids" });
  const connection = await bus.connect({ by: process });

  const { items, metadata } = await connection.info(connection, abi.ATTACH.CREDS);

  expect(itemOf(items, "CREDS").size).toBe(16 + 64);
  expect(metadata.creds).toEqual({ uid: 1001n, euid: 0n, suid: 1003n, fsuid: 1004n, gid: 2001n, egid: 2002n, sgid: 2003n, fsgid: 2004n });
});

test("ABI-040 AUXGROUPS holds one 64-bit id per supplementary group", covers("ABI-040"), async ({ bus, spawn }) => {
  const connection = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, groups: [77, 1000, 3_000_000_000], label: "groups" }) });

  const { items } = await connection.info(connection, abi.ATTACH.AUXGROUPS);

  const groups = itemOf(items, "AUXGROUPS");
  expect(groups.size).toBe(16 + 3 * 8);
  expect(decodeWords(groups.payload).sort((a, b) => Number(a - b))).toEqual([77n, 1000n, 3_000_000_000n]);
});

test("ABI-041 CAPS holds the highest capability and the four sets of /proc", covers("ABI-041"), async ({ bus, spawn, agent }) => {
  const capabilities = { inheritable: 0x5n, permitted: (1n << 40n) | (1n << 38n) | 0x3ffn, effective: (1n << 38n) | 0x3n, drop: 1n << 33n };
  const process = await spawn({ capabilities, label: "capable" });
  const connection = await bus.connect({ by: process });

  const { items, metadata } = await connection.info(connection, abi.ATTACH.CAPS);

  const lastCap = Number((await agent.readText("/proc/sys/kernel/cap_last_cap")).trim());
  expect(itemOf(items, "CAPS").payload).toHaveLength(4 + 4 * 4 * (Math.floor(lastCap / 32) + 1));
  expect(metadata.caps).toEqual({
    lastCap,
    inheritable: BigInt(`0x${await statusOf(process, "CapInh")}`),
    permitted: BigInt(`0x${await statusOf(process, "CapPrm")}`),
    effective: BigInt(`0x${await statusOf(process, "CapEff")}`),
    bounding: BigInt(`0x${await statusOf(process, "CapBnd")}`),
  });
  expect(new Set(Object.values(metadata.caps ?? {})).size, "the sets differ, so that none can stand for another").toBe(5);
});
