import { abi, covers, expect, expectErrno, expectResult, item, memory, openFds, pipeProbe, sharedKiB, stat, test, unusedMemfdKiB, words, type Connection, type Process } from "../../support/index.ts";

const FD_CLOEXEC = 1n;
const RLIMIT_NOFILE = 7;

test("FD-001 descriptors arrive with new numbers in the order sent", covers("FD-001"), async ({ bus, root, spawn }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ by: await spawn({ label: "receiver" }) })];
  const pipes = [await root.pipe(), await root.pipe(), await root.pipe()];
  for (const [index, { write }] of pipes.entries()) await root.write(write, `pipe ${index}`);
  const before = await openFds(receiver.process);

  await sender.send(receiver, { fds: pipes.map(({ read }) => read) });
  expect(await openFds(receiver.process), "nothing is installed before RECV").toEqual(before);
  const { fds, returnFlags } = await receiver.recv();

  expect(returnFlags).toBe(0n);
  const texts = [];
  for (const fd of fds ?? []) texts.push(new TextDecoder().decode(await receiver.process.read(fd, 16)));
  expect(texts).toEqual(["pipe 0", "pipe 1", "pipe 2"]);
  expect((await openFds(receiver.process)).sort()).toEqual([...before, ...(fds ?? [])].sort());
});

test("FD-002 a received descriptor is the same open file", covers("FD-002"), async ({ bus, root, spawn }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ by: await spawn({ label: "receiver" }) })];
  const file = await root.memfd("0123456789", { seals: 0 });

  await sender.send(receiver, { fds: [file] });
  const [there] = (await receiver.recv()).fds ?? [];

  await root.must("lseek", file, 7, 0);
  expect(await receiver.process.must("lseek", there as number, 0, 1)).toBe(7n);
  await receiver.process.must("lseek", there as number, 2, 0);
  expect(await root.must("lseek", file, 0, 1)).toBe(2n);
});

test("FD-003 received descriptors are closed on exec", covers("FD-003"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const { read } = await root.pipe();
  await root.must("fcntl", read, 2, 0); // the sender's own is not

  await sender.send(receiver, { fds: [read], payload: [item.memfd(await root.memfd("content"), 0, 7)] });
  const { fds, payload } = await receiver.recv();

  const received = [...(fds ?? []), ...payload.flatMap((chunk) => (chunk.kind === "memfd" ? [chunk.fd] : []))];
  expect(received).toHaveLength(2);
  for (const fd of received) expect((await root.must("fcntl", fd, 1)) & FD_CLOEXEC).toBe(FD_CLOEXEC);
});

test("FD-014 PEEK installs nothing and shows no numbers", covers("FD-014"), async ({ bus, root, spawn }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ by: await spawn({ label: "receiver" }) })];
  const { read } = await root.pipe();
  await sender.send(receiver, { fds: [read, read], payload: [item.memfd(await root.memfd("content"), 0, 7)] });
  const before = await openFds(receiver.process);

  for (let round = 0; round < 2; round++) {
    const peeked = await receiver.peek();
    expect(peeked.fds).toEqual([-1, -1]);
    expect(peeked.payload.map((chunk) => (chunk.kind === "memfd" ? chunk.fd : chunk.kind))).toEqual([-1]);
    expect(peeked.returnFlags).toBe(0n);
  }
  expect(await openFds(receiver.process)).toEqual(before);

  const { fds, payload } = await receiver.recv();
  expect([...(fds ?? []), ...payload.map((chunk) => (chunk.kind === "memfd" ? chunk.fd : -1))].filter((fd) => fd < 0)).toEqual([]);
  expect(await openFds(receiver.process)).toHaveLength(before.length + 3);
});

test("FD-015 DROP releases descriptors without installing them", covers("FD-015"), async ({ bus, root, spawn }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ by: await spawn({ label: "receiver" }) })];
  const probe = await pipeProbe(root);
  await sender.send(receiver, { fds: [probe.write] });
  const before = await openFds(receiver.process);

  await receiver.drop();

  expect(await openFds(receiver.process)).toEqual(before);
  expect(await probe.released()).toBe(true);
});

for (const end of ["close", "SIGKILL"] as const) {
  test(`FD-016 a receiver that ends by ${end} releases queued descriptors`, covers("FD-016"), async ({ bus, root, spawn }) => {
    const [sender, receiver] = [await bus.connect(), await bus.connect({ by: await spawn({ label: "receiver" }) })];
    const probe = await pipeProbe(root);
    await sender.send(receiver, { fds: [probe.write, probe.write] });
    await sender.send(receiver, { fds: [probe.write] });

    if (end === "close") await receiver.close();
    else await receiver.process.kill();

    expect(await probe.released()).toBe(true);
  });
}

const MEMFDS = 12;
const MEMFD_KIB = 2048;

for (const [id, what, end] of [
  ["FD-015", "DROP", async (receiver: Connection) => { for (let count = 0; count < MEMFDS; count++) await receiver.drop(); }],
  ["FD-016", "close", (receiver: Connection) => receiver.close()],
  ["FD-016", "SIGKILL", (receiver: Connection) => receiver.process.kill()],
] as const) { // prettier-ignore
  test(`${id} ${what} gives back the memory of memfds that nobody took`, covers(id), async ({ agent, bus, root, spawn }) => {
    const [sender, receiver] = [await bus.connect(), await bus.connect({ by: await spawn({ label: "receiver" }) })];
    const content = new Uint8Array(MEMFD_KIB * 1024).fill(0x5a);
    const before = await sharedKiB(agent);
    for (let count = 0; count < MEMFDS; count++) {
      const memfd = await root.memfd(content);
      await sender.send(receiver, { payload: [item.memfd(memfd, 0, content.length)] });
      await root.close(memfd);
    }
    expect((await sharedKiB(agent)) - before, "KiB that the queue keeps").toBeGreaterThan((MEMFDS - 1) * MEMFD_KIB);

    await end(receiver);

    expect(await unusedMemfdKiB(agent, before, MEMFD_KIB), "KiB that nobody gave back").toBeLessThan(MEMFD_KIB);
  });
}

test("FD-017 a SEND that fails gives back the memory of its memfds", covers("FD-017"), async ({ agent, bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const content = new Uint8Array(MEMFD_KIB * 1024).fill(0x5a);
  const before = await sharedKiB(agent);
  for (let count = 0; count < MEMFDS; count++) {
    const memfd = await root.memfd(content);
    await expectErrno(sender.send(receiver, { payload: [item.memfd(memfd, 0, content.length)], fds: [-1] }), "EBADF");
    await root.close(memfd);
  }

  expect(await unusedMemfdKiB(agent, before, MEMFD_KIB), "KiB that nobody gave back").toBeLessThan(MEMFD_KIB);
});

test("FD-018 the sender may close at once", covers("FD-018"), async ({ bus, root, spawn }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ by: await spawn({ label: "receiver" }) })];
  const { read, write } = await root.pipe();
  await root.write(write, "still here");
  const memfd = await root.memfd("memfd too");
  await sender.send(receiver, { fds: [read], payload: [item.memfd(memfd, 0, 9)] });
  for (const fd of [read, write, memfd]) await root.close(fd);

  const { fds, payload } = await receiver.recv();

  expect(new TextDecoder().decode(await receiver.process.read(fds?.[0] as number, 32))).toBe("still here");
  const [chunk] = payload;
  expect(new TextDecoder().decode(await receiver.process.readAt(chunk?.kind === "memfd" ? chunk.fd : -1, 0, 9))).toBe("memfd too");
});

test("FD-019 FREE leaves received descriptors open", covers("FD-019"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const { read, write } = await root.pipe();
  await root.write(write, "x");
  await sender.send(receiver, { fds: [read] });
  const { fds, offset } = await receiver.recv({ keep: true });
  await root.close(read);

  await receiver.free(offset);

  expect(await root.read(fds?.[0] as number, 4)).toHaveLength(1);
});

/** Leaves the process room for so many further descriptors. */
async function leaveRoom(process: Process, room: number): Promise<void> {
  const open = new Set(await openFds(process));
  // new descriptors get the lowest free numbers: the first number that must not be had is the limit
  let limit = 0;
  for (let left = room; left > 0 || open.has(limit); limit++) if (!open.has(limit)) left--;
  await process.must("prlimit64", 0, RLIMIT_NOFILE, memory(words(8, [limit, 4096])), 0);
}

const numbersOf = (message: Awaited<ReturnType<Connection["recv"]>>): number[] => message.payload.flatMap((chunk) => (chunk.kind === "memfd" ? [chunk.fd] : []));

test("FD-012 RECV without room for all descriptors delivers the message with -1 and says so", covers("FD-012"), async ({ bus, root, spawn }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ by: await spawn({ label: "receiver" }) })];
  const pipes = [await root.pipe(), await root.pipe(), await root.pipe()];
  await root.write(pipes[0]?.write as number, "first");
  await sender.send(receiver, { cookie: 12, fds: pipes.map(({ read }) => read) });
  await leaveRoom(receiver.process, 1);

  const received = await receiver.recv();

  expect(received.header.cookie).toBe(12n);
  expect(received.returnFlags).toBe(abi.RECV_RETURN.INCOMPLETE_FDS);
  expect(received.fds?.slice(1)).toEqual([-1, -1]);
  expect(new TextDecoder().decode(await receiver.process.read(received.fds?.[0] as number, 16))).toBe("first");
});

test("FD-013 a synchronous caller without room gets the reply with -1 and is told", covers("FD-013"), async ({ bus, root, spawn }) => {
  const [client, server] = [await bus.connect({ by: await spawn({ label: "client" }) }), await bus.connect()];
  await leaveRoom(client.process, 0);
  const call = await client.startCall(server);
  const { read } = await root.pipe();

  await server.reply(await server.recv(), { cookie: 13, fds: [read, read] });

  const reply = await call.done;
  expect([reply.header.cookie, reply.fds, reply.returnFlags]).toEqual([13n, [-1, -1], abi.RECV_RETURN.INCOMPLETE_FDS]);
});

test("FD-013 a synchronous caller with room gets descriptors that work", covers("FD-013", "FD-001"), async ({ bus, root, spawn }) => {
  const [client, server] = [await bus.connect({ by: await spawn({ label: "client" }) }), await bus.connect()];
  const call = await client.startCall(server);
  const { read, write } = await root.pipe();
  await root.write(write, "in the reply");

  await server.reply(await server.recv(), { fds: [read] });

  const reply = await call.done;
  expect(reply.returnFlags).toBe(0n);
  expect(new TextDecoder().decode(await client.process.read(reply.fds?.[0] as number, 32))).toBe("in the reply");
});

test("FD-031 a memfd without room is -1 in its own record only", covers("FD-031"), async ({ bus, root, spawn }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ by: await spawn({ label: "receiver" }) })];
  const memfds = [await root.memfd("one"), await root.memfd("two"), await root.memfd("three")];
  await sender.send(receiver, { payload: memfds.map((fd) => item.memfd(fd, 0, 3)) });
  await leaveRoom(receiver.process, 1);

  const received = await receiver.recv();

  const numbers = numbersOf(received);
  expect(received.returnFlags).toBe(abi.RECV_RETURN.INCOMPLETE_FDS);
  expect(numbers).toHaveLength(3);
  expect(numbers.filter((fd) => fd === -1)).toHaveLength(2);
  for (const [index, fd] of numbers.entries()) if (fd !== -1) expect((await stat(receiver.process, fd)).ino).toBe((await stat(root, memfds[index] as number)).ino);
});

test("FD-031 with room for all records and entries nothing is missing", covers("FD-031", "FD-012"), async ({ bus, root, spawn }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ by: await spawn({ label: "receiver" }) })];
  const [memfd, { read }] = [await root.memfd("one"), await root.pipe()];
  await sender.send(receiver, { payload: [item.memfd(memfd, 0, 3), item.memfd(memfd, 1, 2)], fds: [read] });
  await leaveRoom(receiver.process, 3);

  const received = await receiver.recv();

  expect(received.returnFlags).toBe(0n);
  expect([...numbersOf(received), ...(received.fds ?? [])].filter((fd) => fd < 0)).toEqual([]);
  await expectErrno(receiver.process.open("/dev/null"), "EMFILE");
  expectResult(await receiver.process.syscall("fcntl", received.fds?.[0] as number, 1), null);
});
