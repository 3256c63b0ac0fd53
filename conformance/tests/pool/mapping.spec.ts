import { covers, expect, expectErrno, expectResult, MAP, payloadText, PROT, Script, test, type Arg, type Process } from "../../support/index.ts";

const PAGE = 4096;

/** mmap(2) of a descriptor: where, or the error. */
async function mmap(process: Process, fd: number, size: Arg, options: { readonly protection?: number; readonly flags?: number; readonly offset?: Arg } = {}): Promise<{ readonly at: bigint; readonly errno: string | null }> {
  const script = new Script();
  const map = script.map(fd, size, process.peer.reserve(0), options);
  const { value, errno } = (await process.run(script)).of(map);
  process.note(`mmap of descriptor ${fd}`, errno ?? "0");
  return { at: BigInt.asUintN(64, value), errno };
}

for (const [sharing, flags] of [["shared", MAP.SHARED], ["private", MAP.PRIVATE]] as const) {
  test(`POOL-001 the whole pool can be mapped ${sharing} for reading`, covers("POOL-001"), async ({ bus, root }) => {
    const [sender, receiver] = [await bus.connect(), await bus.connect()];
    await sender.send(receiver, { payload: "seen through the mapping" });
    const received = await receiver.recv({ keep: true });

    const { at, errno } = await mmap(root, receiver.fd, receiver.poolSize, { flags });

    expect(errno).toBeNull();
    expect(await root.readMemory(at + received.offset, received.slice.length)).toEqual(received.slice);
    expect(await root.readMemory(at + BigInt(receiver.poolSize - 8), 8)).toHaveLength(8);
  });

  test(`POOL-002 a writable ${sharing} mapping gives EPERM`, covers("POOL-002"), async ({ bus, root }) => {
    const connection = await bus.connect();

    expectResult(await mmap(root, connection.fd, connection.poolSize, { flags, protection: PROT.READ | PROT.WRITE }), "EPERM");
    expectResult(await mmap(root, connection.fd, PAGE, { flags, protection: PROT.WRITE }), "EPERM");
  });

  test(`POOL-003 a ${sharing} mapping cannot be made writable`, covers("POOL-003"), async ({ bus, root }) => {
    const connection = await bus.connect();
    const { at } = await mmap(root, connection.fd, connection.poolSize, { flags });

    expectResult(await root.syscall("mprotect", at, PAGE, PROT.READ | PROT.WRITE), "EACCES");
    expectResult(await root.syscall("mprotect", at, PAGE, PROT.READ), null);
  });
}

test("POOL-004 a mapping of more pages than the pool has gives EFAULT", covers("POOL-004"), async ({ bus, root }) => {
  const connection = await bus.connect({ pool: 4 * PAGE });

  expectResult(await mmap(root, connection.fd, 4 * PAGE), null);
  expectResult(await mmap(root, connection.fd, 4 * PAGE - 100), null);
  expectResult(await mmap(root, connection.fd, 5 * PAGE), "EFAULT");
  expectResult(await mmap(root, connection.fd, 4 * PAGE + 1), "EFAULT");
});

test("POOL-005 a part of the pool shows what the whole shows there", covers("POOL-005"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await sender.send(receiver, { payload: "x".repeat(3 * PAGE) }); // so that the next one does not lie in the first page
  await receiver.recv({ keep: true });
  await sender.send(receiver, { payload: "in some page" });
  const received = await receiver.recv({ keep: true });
  const first = Number(received.offset) - (Number(received.offset) % PAGE);
  const end = Math.ceil((Number(received.offset) + received.slice.length) / PAGE) * PAGE;

  const { at, errno } = await mmap(root, receiver.fd, end - first, { offset: first });

  expect(errno).toBeNull();
  expect(await root.readMemory(at, end - first)).toEqual(await receiver.poolBytes(first, end - first));
  expect(await root.readMemory(at + received.offset - BigInt(first), received.slice.length)).toEqual(received.slice);
});

test("POOL-006 without a connection there is nothing to map", covers("POOL-006"), async ({ bus, root }) => {
  const untyped = await root.open(bus.path);
  const endpoint = await bus.makeEndpoint();

  expectResult(await mmap(root, untyped, PAGE), "EBADFD");
  expectResult(await mmap(root, endpoint.ownerFd, PAGE), "EBADFD");
});

test("POOL-007 a mapping outlives BYEBYE and the descriptor", covers("POOL-007"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await sender.send(receiver, { payload: "still there" });
  const received = await receiver.recv({ keep: true });
  expect(payloadText(received)).toBe("still there");

  await receiver.byebye();
  const afterByebye = await receiver.poolBytes(Number(received.offset), received.slice.length);
  await receiver.close();
  const afterClose = await receiver.poolBytes(Number(received.offset), received.slice.length);

  expect(afterByebye).toEqual(received.slice);
  expect(afterClose).toEqual(received.slice);
});

test("POOL-027 the pool can be mapped for execution, and behind its end", covers("POOL-027"), async ({ bus, root }) => {
  const connection = await bus.connect({ pool: 4 * PAGE });

  const executable = await mmap(root, connection.fd, PAGE, { protection: PROT.READ | PROT.EXEC });
  const behind = await mmap(root, connection.fd, PAGE, { offset: 8 * PAGE });

  expectResult(executable, null, "EPERM", "EACCES"); // a mount option or a security module may forbid it
  expectResult(behind, null);
  expect(await root.readMemory(behind.at, 8), "readable bytes behind the end").toHaveLength(0);
});

test("POOL-028 a pool that memory cannot hold gives ENOMEM and no connection", covers("POOL-028"), async ({ bus }) => {
  const watcher = await bus.connect();
  await watcher.addMatch();

  await expectErrno(bus.connect({ pool: 1n << 62n }), "ENOMEM");

  expect(await watcher.recvAll(), "announced connections").toEqual([]);
  await bus.connect();
  expect((await watcher.recv()).notification?.kind).toBe("ID_ADD");
});

test("POOL-001 another process that holds the handle maps the same pool", covers("POOL-001"), async ({ bus, root, spawn }) => {
  const [sender, receiver, other] = [await bus.connect(), await bus.connect(), await spawn({ label: "other" })];
  const there = await receiver.usedBy(other, await root.giveFd(receiver.fd, other));
  await sender.send(receiver, { payload: "seen by both" });
  const received = await receiver.recv({ keep: true });

  expect(await there.poolBytes(Number(received.offset), received.slice.length)).toEqual(received.slice);
});
