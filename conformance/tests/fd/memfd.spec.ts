import { covers, expect, expectErrno, expectResult, item, memory, openFds, SEALS, stat, test, unsupported, type Message, type Process } from "../../support/index.ts";

const MFD = { CLOEXEC: 1, ALLOW_SEALING: 2, HUGETLB: 4 } as const;
const F_ADD_SEALS = 1033;
const F_SEAL_FUTURE_WRITE = 0x10;
const O = { RDWR: 2, CREAT: 0o100, PATH: 0o10000000, CLOEXEC: 0o2000000 } as const;

const memfdsOf = (message: Message): number[] => message.payload.flatMap((chunk) => (chunk.kind === "memfd" ? [chunk.fd] : []));

test("FD-020 a memfd needs all four seals", covers("FD-020"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];

  // one process, one round trip after the other: 16 subsets are 16 answers of one rule, not 16 behaviours
  const refused: number[] = [];
  for (let seals = 0; seals < SEALS.ALL; seals++) {
    const result = await sender.process.memfd("content", { seals }).then((memfd) => sender.encodeSend(receiver, { payload: [item.memfd(memfd, 0, 7)] }));
    if ((await sender.rawSend(result.command, result.message)).errno === "ETXTBSY") refused.push(seals);
  }
  await sender.send(receiver, { cookie: 4711, payload: [item.memfd(await root.memfd("content", { seals: SEALS.ALL }), 0, 7)] });

  expect(refused, "subsets that gave ETXTBSY").toEqual(Array.from({ length: SEALS.ALL }, (_, seals) => seals));
  expect((await receiver.recvAll()).map((message) => message.header.cookie)).toEqual([4711n]);
});

test("FD-020 FUTURE_WRITE is no replacement for WRITE, and no harm besides it", covers("FD-020"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const without = await root.memfd("content", { seals: 0 });
  await root.must("fcntl", without, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | SEALS.SHRINK | SEALS.GROW | SEALS.SEAL);
  const besides = await root.memfd("content", { seals: 0 });
  await root.must("fcntl", besides, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | SEALS.ALL);

  await expectErrno(sender.send(receiver, { payload: [item.memfd(without, 0, 7)] }), "ETXTBSY");
  await sender.send(receiver, { payload: [item.memfd(besides, 0, 7)] });

  expect(await receiver.recvAll()).toHaveLength(1);
});

test("FD-020 a plain file of tmpfs gives ETXTBSY", covers("FD-020"), async ({ bus, root, agent }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await agent.mount({ source: "tmpfs", target: "/run/fd-test", type: "tmpfs", makeTarget: true });
  const file = Number(await root.must("openat", -100, memory("/run/fd-test/file\0"), O.RDWR | O.CREAT | O.CLOEXEC, 0o600));
  await root.write(file, "content");

  await expectErrno(sender.send(receiver, { payload: [item.memfd(file, 0, 7)] }), "ETXTBSY");
});

const unsealable: Readonly<Record<string, (process: Process) => Promise<number>>> = {
  pipe: async (process) => (await process.pipe()).read,
  eventfd: async (process) => Number(await process.must("eventfd2", 0, O.CLOEXEC)),
  "/dev/null": (process) => process.open("/dev/null"),
  "file of /proc": (process) => process.open("/proc/self/status", O.CLOEXEC),
  "file on disk": (process) => process.open("/etc/passwd", O.CLOEXEC),
};
for (const [what, open] of Object.entries(unsealable)) {
  test(`FD-021 a ${what} as memfd gives EMEDIUMTYPE`, covers("FD-021"), async ({ bus, root }) => {
    const [sender, receiver] = [await bus.connect(), await bus.connect()];

    await expectErrno(sender.send(receiver, { payload: [item.memfd(await open(root), 0, 1)] }), "EMEDIUMTYPE");

    await expectErrno(receiver.recv(), "EAGAIN");
  });
}

test("FD-021 a memfd of huge pages gives EMEDIUMTYPE", covers("FD-021"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const { value, errno } = await root.syscall("memfd_create", memory("huge\0"), MFD.CLOEXEC | MFD.ALLOW_SEALING | MFD.HUGETLB);
  if (errno !== null) unsupported("memfd_create with MFD_HUGETLB");
  await root.syscall("fcntl", Number(value), F_ADD_SEALS, SEALS.ALL);

  await expectErrno(sender.send(receiver, { payload: [item.memfd(Number(value), 0, 1)] }), "EMEDIUMTYPE");
});

test("FD-023 a memfd that is closed or opened with O_PATH gives EBADF", covers("FD-023"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const memfd = await root.memfd("content");
  const path = await root.open(`/proc/self/fd/${memfd}`, O.PATH | O.CLOEXEC);

  await expectErrno(sender.send(receiver, { payload: [item.memfd(999, 0, 7)] }), "EBADF");
  await expectErrno(sender.send(receiver, { payload: [item.memfd(-1, 0, 7)] }), "EBADF");
  await expectErrno(sender.send(receiver, { payload: [item.memfd(path, 0, 7)] }), "EBADF");

  await expectErrno(receiver.recv(), "EAGAIN");
});

test("FD-024 every receiver of a broadcast gets a memfd of its own", covers("FD-024"), async ({ bus, root, spawn }) => {
  const sender = await bus.connect();
  const receivers = [await bus.connect({ by: await spawn({ label: "first" }) }), await bus.connect({ by: await spawn({ label: "second" }) })];
  for (const receiver of receivers) await receiver.addMatch([item.id(sender.id)]);
  const memfd = await root.memfd("shared content");

  await sender.broadcast({ payload: [item.memfd(memfd, 7, 7)] });
  await root.close(memfd);

  for (const receiver of receivers) {
    const [fd] = memfdsOf(await receiver.recv());
    expect(new TextDecoder().decode(await receiver.process.readAt(fd as number, 7, 7))).toBe("content");
    await receiver.process.close(fd as number);
  }
});

test("FD-025 a delivered memfd record has start and size as sent and padding 0", covers("FD-025"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ pool: 16384 })];
  const memfd = await root.memfd("0123456789");
  await sender.send(receiver, { payload: new Uint8Array(2400).fill(0xa5) }); // what the pool had there before
  await receiver.recv();
  const record = item.memfd(memfd, 3, 5);
  record.payload.bytes.fill(0x77, 20, 24); // the sender's own padding

  await sender.send(receiver, { payload: [record] });

  const [chunk] = (await receiver.recv()).payload;
  expect(chunk).toMatchObject({ kind: "memfd", start: 3n, size: 5n, padding: 0 });
});

test("FD-026 a receiver that takes no descriptors gets memfds that work", covers("FD-026"), async ({ bus, root, spawn }) => {
  const sender = await bus.connect();
  const receiver = await bus.connect({ flags: 0n, by: await spawn({ label: "receiver" }) });
  const memfd = await root.memfd("payload");

  await sender.send(receiver, { payload: [item.memfd(memfd, 0, 7)] });

  const received = await receiver.recv();
  expect(received.returnFlags).toBe(0n);
  expect((await stat(receiver.process, memfdsOf(received)[0] as number)).ino).toBe((await stat(root, memfd)).ino);
});

test("FD-027 a monitor that takes no descriptors finds -1 and gets none", covers("FD-027"), async ({ bus, root, spawn }) => {
  const monitor = await bus.connectMonitor({ flags: 0n, by: await spawn({ label: "monitor" }) });
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await monitor.recvAll();
  const { read } = await root.pipe();
  const before = await openFds(monitor.process);
  await sender.send(receiver, { cookie: 27, fds: [read, read] });

  const copy = await monitor.recv();

  expect([copy.header.cookie, copy.fds, copy.returnFlags]).toEqual([27n, [-1, -1], 0n]);
  expect(await openFds(monitor.process)).toEqual(before);
  expect((await receiver.recv()).fds).toHaveLength(2);
});

test("FD-028 a range that leaves the file gives EFAULT", covers("FD-028"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const memfd = await root.memfd("x".repeat(100));

  await expectErrno(sender.send(receiver, { payload: [item.memfd(memfd, 0, 101)] }), "EFAULT");
  await expectErrno(sender.send(receiver, { payload: [item.memfd(memfd, 95, 10)] }), "EFAULT");
  await expectErrno(sender.send(receiver, { payload: [item.memfd(memfd, 101, 1)] }), "EFAULT");
  await sender.send(receiver, { payload: [item.memfd(memfd, 95, 5)] });

  expect(await receiver.recvAll()).toHaveLength(1);
});

test("FD-029 a range that wraps around gives EMSGSIZE", covers("FD-029"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const memfd = await root.memfd("x".repeat(100));

  await expectErrno(sender.send(receiver, { payload: [item.memfd(memfd, -1, 2)] }), "EMSGSIZE");
  await expectErrno(sender.send(receiver, { payload: [item.memfd(memfd, 50, -50)] }), "EMSGSIZE");

  await expectErrno(receiver.recv(), "EAGAIN");
});

test("FD-032 a monitor that takes descriptors gets its own", covers("FD-032"), async ({ bus, root, spawn }) => {
  const monitor = await bus.connectMonitor({ by: await spawn({ label: "monitor" }) });
  const [sender, receiver] = [await bus.connect(), await bus.connect({ by: await spawn({ label: "receiver" }) })];
  await monitor.recvAll();
  const { read, write } = await root.pipe();
  const memfd = await root.memfd("payload");
  await sender.send(receiver, { fds: [read], payload: [item.memfd(memfd, 0, 7)] });
  for (const fd of [read, memfd]) await root.close(fd);

  const received = await receiver.recv();
  for (const fd of [...(received.fds ?? []), ...memfdsOf(received)]) await receiver.process.close(fd);

  const copy = await monitor.recv();
  expect(copy.returnFlags).toBe(0n);
  await root.write(write, "seen by the monitor");
  expect(new TextDecoder().decode(await monitor.process.read(copy.fds?.[0] as number, 32))).toBe("seen by the monitor");
  expect(new TextDecoder().decode(await monitor.process.readAt(memfdsOf(copy)[0] as number, 0, 7))).toBe("payload");
  expectResult(await monitor.process.syscall("fcntl", memfdsOf(copy)[0] as number, 1), null);
});
