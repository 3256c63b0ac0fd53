import { abi, address, covers, encodeCommand, encodeMessage, expect, item, memory, openToWorld, resultOf, Script, test, textVec, unsupported, words, type Connection, type Process } from "../../support/index.ts";

const PIECE = 2 << 20;

test("SCN-018 1 GiB in pieces of 2 MiB arrives complete and in order", covers("SCN-018"), async ({ bus, spawn }) => {
  const PIECES = 512;
  const receiver = await bus.connect({ by: await spawn({ label: "receiver" }), pool: 64 << 20 });
  const sender = await bus.connect({ by: await spawn({ label: "sender" }) });

  const push = new Script();
  {
    const { program } = push;
    const data = program.buffer(PIECE);
    program.fill(data.at(0), 0xa5, PIECE);
    const message = memory(encodeMessage({ dst_id: receiver.id, payload_type: abi.PAYLOAD.DBUS }, [item.vec(1, PIECE)]));
    const send = memory(encodeCommand("SEND", { msg_address: address(message) }));
    const drop = memory(encodeCommand("RECV", { flags: abi.RECV.DROP }));
    program.store(push.place(message).plus(88), data.at(0));
    const sent = program.compute(0, "+", 0);
    program.loop(PIECES * 1000, () => {
      program.breakIf(sent, ">=", PIECES);
      program.store(data.at(0), sent);
      program.store(data.at(PIECE - 8), sent);
      program.store(push.place(message).plus(48), sent);
      const { err } = push.ioctl(sender.fd, abi.COMMANDS.SEND, send);
      program.if(err, "==", 0, () => program.compute(sent, "+", 1, sent), () => program.poll(sender.fd, 1, 1000)); // prettier-ignore
      push.ioctl(sender.fd, abi.COMMANDS.RECV, drop); // takes one acknowledgement, if there is one
    });
  }
  const pull = new Script();
  const { program } = pull;
  const wanted = program.buffer(PIECE);
  program.fill(wanted.at(0), 0xa5, PIECE);
  const recv = memory(encodeCommand("RECV", {}));
  const free = memory(encodeCommand("FREE", {}));
  const ack = memory(encodeCommand("SEND", { msg_address: address(memory(encodeMessage({ dst_id: sender.id, payload_type: abi.PAYLOAD.DBUS }))) }));
  const [right, taken] = [program.compute(0, "+", 0), program.compute(0, "+", 0)];
  program.loop(PIECES * 1000, () => {
    program.breakIf(taken, ">=", PIECES);
    const { err } = pull.ioctl(receiver.fd, abi.COMMANDS.RECV, recv);
    program.if(err, "==", 0, () => {
      program.store(wanted.at(0), taken);
      program.store(wanted.at(PIECE - 8), taken);
      const slice = program.compute(receiver.pool, "+", program.load(pull.place(recv).plus(40)));
      const data = program.compute(slice, "+", program.load(slice.plus(88)));
      program.if(program.compareMemory(data, wanted.at(0), PIECE), "==", -1, () => program.compute(right, "+", 1, right));
      program.compute(taken, "+", 1, taken);
      pull.copy({ memory: recv, at: 40 }, { memory: free, at: 24 });
      pull.ioctl(receiver.fd, abi.COMMANDS.FREE, free);
      pull.ioctl(receiver.fd, abi.COMMANDS.SEND, ack);
    }, () => program.poll(receiver.fd, 1, 1000)); // prettier-ignore
  });

  const pushing = sender.process.peer.start(push.program);
  const result = await receiver.process.peer.start(program).result;
  await pushing.result;

  expect([result.number(taken), result.number(right)]).toEqual([PIECES, PIECES]);
});

test("SCN-019 nobody waits for a receiver that is stopped", covers("SCN-019"), async ({ bus, spawn }) => {
  const receiver = await bus.connect({ by: await spawn({ label: "receiver" }) });
  await openToWorld(bus, receiver);
  const senders: Connection[] = [];
  for (const uid of [1000, 2000, 3000]) senders.push(await bus.connect({ by: await spawn({ uid, gid: uid, label: `user ${uid}` }) }));
  const [one, other] = [await bus.connect(), await bus.connect()];
  await receiver.process.peer.kill("SIGSTOP");

  const accepted: bigint[] = [];
  for (const [number, sender] of senders.entries()) {
    const { message } = await sender.encodeSend(receiver, { cookie: BigInt(number * 1000), payload: "to be kept" });
    const send = memory(encodeCommand("SEND", { msg_address: address(message) }));
    const script = new Script();
    const { program } = script;
    const [sent, longest, refusal] = [program.compute(0, "+", 0), program.compute(0, "+", 0), program.compute(0, "+", 0)];
    program.loop(300, () => {
      const before = program.clock(1);
      const { err } = script.ioctl(sender.fd, abi.COMMANDS.SEND, send);
      const took = program.compute(program.clock(1), "-", before);
      program.if(took, ">", longest, () => program.compute(took, "+", 0, longest));
      program.if(err, "==", 0, () => {
        program.compute(sent, "+", 1, sent);
        program.store(script.place(message).plus(48), program.compute(program.load(script.place(message).plus(48)), "+", 1));
      }, () => program.compute(err, "+", 0, refusal)); // prettier-ignore
    });
    const { result } = await sender.process.run(script);
    expect(result.number(longest), "nanoseconds of the longest SEND").toBeLessThan(1e9);
    expect(result.number(sent)).toBeGreaterThan(0);
    expect([105, 54], `errno ${result.number(refusal)} is ENOBUFS or EXFULL`).toContain(result.number(refusal));
    accepted.push(...Array.from({ length: result.number(sent) }, (_, index) => BigInt(number * 1000 + index)));
  }
  await one.send(other, { cookie: 7 });
  expect((await other.recv()).header.cookie).toBe(7n);
  await one.acquire("test.name");
  await (await bus.connect()).list(abi.LIST.NAMES);
  await receiver.process.peer.kill("SIGCONT");

  expect((await receiver.recvAll()).map((message) => message.header.cookie)).toEqual(accepted);
});

const UFFD = { API: 0xc018aa3f, REGISTER: 0xc020aa00 } as const;

/** Memory whose first touch waits for somebody who never comes. */
async function unansweredMemory(process: Process): Promise<bigint> {
  const { value, errno } = await process.syscall("userfaultfd", 0o2000000);
  if (errno !== null) unsupported("userfaultfd");
  await process.must("ioctl", value, UFFD.API, memory(words(8, [0xaa, 0, 0])));
  const script = new Script();
  const map = script.map(-1, 8192, process.peer.reserve(0), { protection: 3, flags: 0x22 });
  const at = BigInt.asUintN(64, (await process.run(script)).of(map).value);
  await process.must("ioctl", value, UFFD.REGISTER, memory(words(8, [at, 8192, 1, 0])));
  return at;
}

test("SCN-020 a sender stuck on its own memory holds up nobody and can be killed", covers("SCN-020"), async ({ bus, spawn, root }) => {
  const stuck = await bus.connect({ by: await spawn({ label: "stuck" }) });
  const [receiver, other] = [await bus.connect(), await bus.connect()];
  await receiver.addMatch([item.id(stuck.id)]);
  const hole = await unansweredMemory(stuck.process);
  const { command, message } = await stuck.encodeSend(receiver, { cookie: 1, payload: [item.vec(hole, 100)] });
  const bad = new Script();
  bad.ioctl(stuck.fd, abi.COMMANDS.SEND, memory({ bytes: command.bytes, patches: [{ at: 24, width: 8, source: address(message).later }] }));
  const pending = await stuck.process.start(bad);
  await pending.started.blocked();

  const script = new Script();
  const { program } = script;
  const clocks = [program.clock(1)];
  const recvEmpty = script.ioctl(receiver.fd, abi.COMMANDS.RECV, memory(encodeCommand("RECV", {})));
  clocks.push(program.clock(1));
  const send = script.ioctl(other.fd, abi.COMMANDS.SEND, memory(encodeCommand("SEND", { msg_address: address(memory(encodeMessage({ dst_id: receiver.id, payload_type: abi.PAYLOAD.DBUS, cookie: 2 }, [textVec("unhindered")]))) })));
  clocks.push(program.clock(1));
  const recv = script.ioctl(receiver.fd, abi.COMMANDS.RECV, memory(encodeCommand("RECV", {})));
  clocks.push(program.clock(1));
  const acquire = script.ioctl(receiver.fd, abi.COMMANDS.NAME_ACQUIRE, memory(encodeCommand("NAME_ACQUIRE", {}, [item.name("test.name")])));
  clocks.push(program.clock(1));
  const hello = script.ioctl(resultOf(root.openStep(script, memory(`${bus.path}\0`))), abi.COMMANDS.HELLO, memory(encodeCommand("HELLO", { pool_size: 4096 })));
  clocks.push(program.clock(1));
  const result = await root.run(script);
  const errors = [recvEmpty, send, recv, acquire, hello].map((call) => result.of(call).errno);
  await stuck.process.kill();

  expect(errors).toEqual(["EAGAIN", null, null, null, null]);
  const times = clocks.slice(1).map((clock, index) => Number(result.result.unsigned(clock) - result.result.unsigned(clocks[index]!)));
  expect(Math.max(...times), "nanoseconds of the longest command").toBeLessThan(1e9);
  expect(await receiver.recvAll(), "nothing of the stuck message arrives").toEqual([]);
  await other.send(receiver, { cookie: 3 });
  expect((await receiver.recv()).header.cookie).toBe(3n);
});
