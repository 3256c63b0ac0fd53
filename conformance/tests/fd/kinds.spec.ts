import { abi, covers, eventfd, expect, expectErrno, expectResult, item, memory, pipeProbe, Script, test, unsupported, type Bus, type Domain, type Process } from "../../support/index.ts";

const AF = { UNIX: 1, INET: 2, NETLINK: 16 } as const;
const SOCK = { STREAM: 1, DGRAM: 2, RAW: 3, SEQPACKET: 5 } as const;
const O = { PATH: 0o10000000, CLOEXEC: 0o2000000 } as const;
const number = async (value: Promise<bigint>): Promise<number> => Number(await value);

test("FD-004 descriptors for a connection that takes none give ECOMM", covers("FD-004"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect({ flags: 0n })];
  const probe = await pipeProbe(root);

  await expectErrno(sender.send(receiver, { fds: [probe.write] }), "ECOMM");

  await expectErrno(receiver.recv(), "EAGAIN");
  expect(await probe.released()).toBe(true);
});

test("FD-005 descriptors on a broadcast give ENOTUNIQ", covers("FD-005"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await receiver.addMatch();
  const probe = await pipeProbe(root);

  await expectErrno(sender.broadcast({ fds: [probe.write] }), "ENOTUNIQ");

  expect((await receiver.recvAll()).filter((message) => message.notification === undefined)).toEqual([]);
  expect(await probe.released()).toBe(true);
});

for (const [what, bad] of [["negative", -1], ["closed", 999]] as const) {
  test(`FD-006 a ${what} number among the descriptors gives EBADF and keeps none of them`, covers("FD-006", "FD-017"), async ({ bus, root }) => {
    const [sender, receiver] = [await bus.connect(), await bus.connect()];
    const probe = await pipeProbe(root);

    await expectErrno(sender.send(receiver, { fds: [probe.write, bad] }), "EBADF");
    await expectErrno(sender.send(receiver, { fds: [bad, probe.write] }), "EBADF");

    await expectErrno(receiver.recv(), "EAGAIN");
    expect(await probe.released()).toBe(true);
  });
}

const kdbusDescriptors: Readonly<Record<string, (bus: Bus, domain: Domain, process: Process) => Promise<number>>> = {
  control: (_bus, domain, process) => process.open(domain.control),
  "endpoint before HELLO": (bus, _domain, process) => process.open(bus.path),
  connection: async (bus) => (await bus.connect()).fd,
  "bus owner": async (bus) => bus.ownerFd,
  "endpoint owner": async (bus) => (await bus.makeEndpoint()).ownerFd,
};
for (const [state, open] of Object.entries(kdbusDescriptors)) {
  test(`FD-007 a ${state} descriptor gives EOPNOTSUPP`, covers("FD-007"), async ({ bus, domain, root }) => {
    const [sender, receiver] = [await bus.connect(), await bus.connect()];
    const probe = await pipeProbe(root);
    const fd = await open(bus, domain, root);

    await expectErrno(sender.send(receiver, { fds: [fd] }), "EOPNOTSUPP");
    await expectErrno(sender.send(receiver, { fds: [probe.write, fd] }), "EOPNOTSUPP");

    await expectErrno(receiver.recv(), "EAGAIN");
    expect(await probe.released()).toBe(true);
  });
}

for (const [kind, type] of [["stream", SOCK.STREAM], ["datagram", SOCK.DGRAM], ["seqpacket", SOCK.SEQPACKET], ["listening stream", SOCK.STREAM]] as const) {
  test(`FD-008 an AF_UNIX ${kind} socket gives EOPNOTSUPP`, covers("FD-008"), async ({ bus, root }) => {
    const [sender, receiver] = [await bus.connect(), await bus.connect()];
    const socket = await number(root.must("socket", AF.UNIX, type | O.CLOEXEC, 0));
    if (kind === "listening stream") {
      await root.must("bind", socket, memory(Uint8Array.of(AF.UNIX, 0), "address"), 2); // an address of the kernel's choice
      await root.must("listen", socket, 1);
    }

    await expectErrno(sender.send(receiver, { fds: [socket] }), "EOPNOTSUPP");

    await expectErrno(receiver.recv(), "EAGAIN");
  });
}

test("FD-017 a socket that is refused is not kept", covers("FD-017", "FD-008"), async ({ bus, root }) => {
  const POLLHUP = 0x10;
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const pair = memory(8, "pair");
  const script = new Script();
  const made = script.syscall("socketpair", AF.UNIX, SOCK.STREAM | O.CLOEXEC, 0, pair);
  const numbers = script.load(pair);
  const result = await root.run(script);
  expectResult(result.of(made), null);
  const [near, far] = new Int32Array(result.bytes(numbers).buffer) as unknown as readonly [number, number];

  await expectErrno(sender.send(receiver, { fds: [near] }), "EOPNOTSUPP");
  await root.close(near);

  expect((await root.poll(far, 0, 1000)) & POLLHUP, "the other end is alone").toBe(POLLHUP);
});

const acceptable: Readonly<Record<string, (process: Process) => Promise<number>>> = {
  "inet stream socket": (process) => number(process.must("socket", AF.INET, SOCK.STREAM | O.CLOEXEC, 0)),
  "inet datagram socket": (process) => number(process.must("socket", AF.INET, SOCK.DGRAM | O.CLOEXEC, 0)),
  "netlink socket": (process) => number(process.must("socket", AF.NETLINK, SOCK.RAW | O.CLOEXEC, 0)),
  pipe: async (process) => (await process.pipe()).write,
  eventfd: (process) => eventfd(process),
  timerfd: (process) => number(process.must("timerfd_create", 1, O.CLOEXEC)),
  signalfd: (process) => number(process.must("signalfd4", -1, memory(new Uint8Array(8)), 8, O.CLOEXEC)),
  epoll: (process) => number(process.must("epoll_create1", O.CLOEXEC)),
  pidfd: (process) => number(process.must("pidfd_open", process.peer.innerPid, 0)),
  directory: (process) => process.open("/etc", O.CLOEXEC),
  "regular file": (process) => process.open("/etc/passwd", O.CLOEXEC),
  device: (process) => process.open("/dev/null"),
  "unsealed memfd": (process) => process.memfd("x", { seals: 0 }),
  "sealed memfd": (process) => process.memfd("x"),
  "O_PATH of a file": (process) => process.open("/etc/passwd", O.PATH | O.CLOEXEC),
  "O_PATH of a bus node": (process) => process.open("/sys/fs/kdbus/control", O.PATH | O.CLOEXEC),
};
test("FD-009 every other kind of descriptor is accepted and the same file arrives", covers("FD-009"), async ({ bus, root }) => {
  const KCMP_FILE = 0;
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const pid = root.peer.innerPid;

  const seen: Record<string, string> = {};
  for (const [kind, open] of Object.entries(acceptable)) {
    const fd = await open(root);
    try {
      await sender.send(receiver, { fds: [fd] });
      const there = (await receiver.recv()).fds?.[0] ?? -1;
      const flags = await root.syscall("fcntl", there, 3);
      const same = await root.syscall("kcmp", pid, pid, KCMP_FILE, fd, there);
      seen[kind] = flags.errno ?? (same.errno === "ENOSYS" || same.value === 0n ? "same file" : `another file (${same.value})`);
    } catch (error) {
      seen[kind] = (error as Error).message;
    }
  }

  expect(seen).toEqual(Object.fromEntries(Object.keys(acceptable).map((kind) => [kind, "same file"])));
});

test("FD-010 an io_uring descriptor gives EOPNOTSUPP", covers("FD-010"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const { value, errno } = await root.syscall("io_uring_setup", 1, memory(120));
  if (errno !== null) unsupported("io_uring");

  await expectErrno(sender.send(receiver, { fds: [Number(value)] }), "EOPNOTSUPP");
});

test("FD-011 a list of descriptors that is no whole number of them gives EINVAL", covers("FD-011"), async ({ bus }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];

  for (const size of [1, 2, 3, 6]) await expectErrno(sender.send(receiver, { items: [item.raw(abi.ITEM.FDS, new Uint8Array(size))] }), "EINVAL");

  await expectErrno(receiver.recv(), "EAGAIN");
});

test("FD-011 an empty list of descriptors is accepted and harms nothing, from any user", covers("FD-011"), async ({ bus, spawn }) => {
  const user = await spawn({ uid: 1000, gid: 1000, label: "user" });
  const [sender, receiver] = [await bus.connect({ by: user }), await bus.connect({ by: user })];

  await sender.send(receiver, { cookie: 1, fds: [] });
  await sender.send(receiver, { cookie: 2, payload: "a normal exchange" });

  const [empty, normal] = await receiver.recvAll();
  expect([empty?.header.cookie, empty?.fds ?? [], normal?.header.cookie]).toEqual([1n, [], 2n]);
});

test("FD-017 a SEND that is refused keeps no descriptor", covers("FD-017"), async ({ bus, root }) => {
  const [sender, receiver, deaf] = [await bus.connect(), await bus.connect(), await bus.connect({ flags: 0n })];
  const { read } = await root.pipe();
  const probe = await pipeProbe(root);
  const many = Array.from({ length: 17 }, () => probe.write);
  const tooLarge = "x".repeat(400_000);

  await expectErrno(sender.send(deaf, { fds: [probe.write] }), "ECOMM");
  await expectErrno(sender.send(receiver, { fds: many }), "EMFILE");
  await expectErrno(sender.send(receiver, { fds: [probe.write], payload: tooLarge }), "ENOBUFS");
  await expectErrno(sender.send(receiver, { fds: [probe.write, -1] }), "EBADF");
  await expectErrno(sender.send(receiver, { fds: [probe.write], items: [item.memfd(read, 0, 1)] }), "EMEDIUMTYPE");
  for (let count = 0; count < 16; count++) await sender.send(receiver, { fds: [read] });
  await expectErrno(sender.send(receiver, { fds: [probe.write] }), "EMFILE");

  expect(await probe.released()).toBe(true);
  expectResult(await root.syscall("fcntl", read, 1), null);
});
