import { abi, covers, encodeCommand, expect, item, memory, pipeProbe, test, together } from "../../support/index.ts";

/** What ends takes its memory and files along, whatever of it is still on its way. */

test("SCN-024 requesters that end leave no pool behind at a peer that does not read", covers("SCN-024"), async ({ bus, spawn, agent }) => {
  const [ROUNDS, PIECE] = [12, 1 << 20];
  const [silent, feeder] = [await bus.connect(), await bus.connect({ pool: 8 << 20 })];
  const sharedKiB = async (): Promise<number> => Number(/Shmem:\s+(\d+)/.exec(await agent.readText("/proc/meminfo"))?.[1] ?? NaN);
  const round = async (): Promise<void> => {
    const process = await spawn({ label: "requester" });
    const requester = await bus.connect({ by: process, pool: 8 << 20 });
    await feeder.send(requester, { payload: [item.vec(feeder.pool, PIECE)] });
    await requester.send(silent, { expectReplyMs: 600_000 });
    await process.kill();
  };

  await round();
  const before = await sharedKiB();
  for (let done = 0; done < ROUNDS; done++) await round();
  const after = await sharedKiB();

  expect(after - before, `KiB of shared memory more; ${ROUNDS} pools with a message each are ${(ROUNDS * PIECE) / 1024}`).toBeLessThan((ROUNDS * PIECE) / 2048);
  expect((await silent.recvAll()).length, "the requests themselves stay").toBe(ROUNDS + 1);
});

test("FD-018 a synchronous caller keeps nothing of the files it sent while it waits", covers("FD-018"), async ({ bus, root, spawn }) => {
  const server = await bus.connect({ by: await spawn({ label: "server" }) });
  const client = await bus.connect();
  const pipe = await pipeProbe(root);
  const call = await client.startCall(server, { fds: [pipe.write], expectReplyMs: 600_000 });
  const request = await server.recv();

  await server.process.close(request.fds?.[0] ?? -1);
  const released = await pipe.released();
  await server.reply(request);
  await call.done;

  expect(released, "the receiver's was the last copy").toBe(true);
});

test("ORD-015 messages move whole or not at all from an activator that ends meanwhile", covers({ cpus: 2 }, "ORD-015"), async ({ bus, spawn }) => {
  const [ROUNDS, MESSAGES, STEP_NS] = [24, 200, 100_000];
  const sender = await bus.connect();
  const cookies = Array.from({ length: MESSAGES }, (_, index) => BigInt(index + 1));
  const seen: (readonly bigint[])[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const name = `test.round${round}`;
    const activator = await bus.connectActivator(name, { by: await spawn({ label: "activator" }), pool: 1 << 20 });
    const service = await bus.connect({ pool: 1 << 20 });
    await sender.flood(name, MESSAGES);

    // whoever waits lets the other have a start; who is first, and by how much, changes from round to round
    const lateNs = (round - ROUNDS / 2) * STEP_NS;
    await together(64 * round, [
      {
        process: service.process,
        build: (script) => {
          script.program.sleepNs(Math.max(0, -lateNs));
          script.ioctl(service.fd, abi.COMMANDS.NAME_ACQUIRE, memory(encodeCommand("NAME_ACQUIRE", {}, [item.name(name)])));
        },
      },
      {
        process: activator.process,
        build: (script) => {
          script.program.sleepNs(Math.max(0, lateNs));
          script.syscall("close", activator.fd);
        },
      },
    ]);
    seen.push((await service.recvAll()).map((message) => message.header.cookie));
    await service.close();
  }

  expect(seen.filter((list) => list.length > 0)).toEqual(seen.filter((list) => list.length > 0).map(() => cookies));
});
