import { abi, covers, decodeStruct, encodeCommand, expect, expectErrno, ioctls, MAP, PROT, Script, test, type Connection } from "../../support/index.ts";

const PAGE = 4096;

/** LIST that keeps its slice. @returns offset and size */
async function listSlice(connection: Connection): Promise<{ readonly offset: bigint; readonly list_size: bigint }> {
  return decodeStruct("cmd_list", (await connection.ioctl("LIST", encodeCommand("LIST", { flags: abi.LIST.UNIQUE }))).bytes);
}

/** mmap of the handle by its process. */
async function mapping(connection: Connection, options: { readonly size?: number; readonly offset?: number; readonly protection?: number; readonly flags?: number } = {}) {
  const script = new Script();
  const map = script.map(connection.fd, options.size ?? connection.poolSize, connection.process.peer.reserve(0), { protection: options.protection ?? PROT.READ, flags: options.flags ?? MAP.SHARED, offset: options.offset ?? 0 });
  const { value, errno } = (await connection.process.run(script)).of(map);
  return { at: BigInt.asUintN(64, value), errno };
}

test("CONN-059 a slice can be freed once", covers("CONN-059"), async ({ bus }) => {
  const connection = await bus.connect();
  const { offset } = await listSlice(connection);

  await connection.free(offset);

  await expectErrno(connection.free(offset), "ENXIO");
});

test("CONN-059 FREE of anything but the start of a slice gives ENXIO", covers("CONN-059"), async ({ bus, root }) => {
  const connection = await bus.connect();
  const { offset, list_size: size } = await listSlice(connection);
  const pool = BigInt(connection.poolSize);
  const wrong = [offset + 8n, offset + 1n, offset + size - 8n, pool / 2n, pool - 8n, pool + 1n, pool + 8n, pool * 2n, (1n << 32n) | offset, (1n << 63n) | offset, 0xffff_ffff_ffff_fff8n, 0xffff_ffff_ffff_ffffn];

  const outcomes = await ioctls(root, connection.fd, "FREE", wrong.map((at) => encodeCommand("FREE", { offset: at })));

  expect(wrong.filter((_, index) => outcomes[index]?.errno !== "ENXIO").map(String), "offsets that did not give ENXIO").toEqual([]);
  await connection.free(offset);
});

test("CONN-059 FREE in a pool without slices gives ENXIO", covers("CONN-059"), async ({ bus }) => {
  const connection = await bus.connect(); // the slice of HELLO is freed

  for (const offset of [0n, 8n, connection.hello.offset, BigInt(PAGE)]) await expectErrno(connection.free(offset), "ENXIO");
});

test("CONN-060 FREE at the pool's size does nothing, as often as one likes", covers("CONN-060"), async ({ bus }) => {
  const connection = await bus.connect();
  const { offset } = await listSlice(connection);

  await connection.free(connection.poolSize);
  await connection.free(connection.poolSize);

  await connection.free(offset);
});

for (const [kind, flags] of Object.entries(MAP)) {
  test(`CONN-061 the pool cannot be mapped ${kind} for writing`, covers("CONN-061"), async ({ bus }) => {
    const connection = await bus.connect();

    expect((await mapping(connection, { flags, protection: PROT.WRITE })).errno).toBe("EPERM");
    expect((await mapping(connection, { flags, protection: PROT.READ | PROT.WRITE })).errno).toBe("EPERM");
    expect((await mapping(connection, { flags })).errno).toBeNull();
  });

  test(`CONN-061 a ${kind} mapping of the pool cannot be made writable`, covers("CONN-061"), async ({ bus, root }) => {
    const { at } = await mapping(await bus.connect(), { flags });

    expect((await root.syscall("mprotect", at, PAGE, PROT.READ | PROT.WRITE)).errno).toBe("EACCES");
    expect((await root.syscall("mprotect", at, PAGE, PROT.READ)).errno).toBeNull();
  });
}

test("CONN-062 a mapping longer than the pool gives EFAULT", covers("CONN-062"), async ({ bus }) => {
  const connection = await bus.connect({ pool: 4 * PAGE });

  expect((await mapping(connection, { size: 5 * PAGE })).errno).toBe("EFAULT");
  expect((await mapping(connection, { size: 64 * PAGE })).errno).toBe("EFAULT");
  expect((await mapping(connection, { size: 4 * PAGE })).errno).toBeNull();
});

test("CONN-063 a page of the pool can be mapped alone", covers("CONN-063"), async ({ bus, root }) => {
  const connection = await bus.connect();
  await connection.send(connection, { payload: Uint8Array.from({ length: 5 * PAGE }, (_, index) => (index * 7 + Math.floor(index / 251)) % 256) });
  const { offset } = await connection.recv({ keep: true });
  const page = (Math.floor(Number(offset) / PAGE) + 2) * PAGE;

  const { at, errno } = await mapping(connection, { size: PAGE, offset: page });

  expect(errno).toBeNull();
  const content = await root.readMemory(at, PAGE);
  expect(content).toEqual(await connection.poolBytes(page, PAGE));
  expect(new Set(content).size, "the page holds the payload").toBeGreaterThan(200);
});

for (const [end, run] of Object.entries({ BYEBYE: (connection: Connection) => connection.byebye(), "closing the handle": (connection: Connection) => connection.close() })) {
  test(`CONN-064 a mapping stays readable after ${end}`, covers("CONN-064"), async ({ bus, root }) => {
    const connection = await bus.connect();
    await connection.send(connection, { payload: "still here" });
    const { offset, slice } = await connection.recv({ keep: true });

    await run(connection);

    expect(await root.readMemory(connection.pool + offset, slice.length)).toEqual(slice);
  });
}
