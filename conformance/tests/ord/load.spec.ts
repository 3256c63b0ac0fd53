import { abi, covers, encodeCommand, expect, expectOrdered, History, item, memory, MESSAGE_AT, prepareSend, Script, takeLoop, test, together, type Connection, type Message, type ScriptResult } from "../../support/index.ts";

type Step = ReturnType<Script["ioctl"]>;

/** Few enough that nothing is lost although nobody reads: 160 messages and 160 notifications. */
const [SENDERS, TURNS] = [4, 20];

for (const [where, processors, cpuOf] of [["on one CPU", 1, () => 0], ["across CPUs", 2, (index: number) => index]] as const) {
  for (const load of ["an idle", "a busy"] as const) {
    test(`ORD-005 messages, broadcasts and changes of many senders keep every promise ${where} of ${load} machine`, covers({ cpus: processors }, "ORD-005", "ORD-001", "ORD-007", "ORD-008", "ORD-010", "ORD-011"), async ({ bus, spawn, agent }) => {
      const cpus = Number((await agent.exec(["nproc"])).stdout.trim());
      const affinity = (index: number): bigint => 1n << BigInt(cpuOf(index) % cpus);
      const receivers: Connection[] = [];
      for (let index = 0; index < 2; index++) receivers.push(await bus.connect({ by: await spawn({ label: `receiver${index}`, affinity: affinity(index) }), attachRecv: abi.ATTACH.TIMESTAMP, pool: 4 << 20 }));
      const senders: Connection[] = [];
      for (let index = 0; index < SENDERS; index++) senders.push(await bus.connect({ by: await spawn({ label: `sender${index}`, affinity: affinity(index + 1) }) }));
      for (const receiver of receivers) await receiver.addMatch();

      const steps: Step[][] = [];
      const parts = [];
      for (const [index, sender] of senders.entries()) {
        const sends = [await prepareSend(sender, receivers[index % 2] as Connection, { cookie: 1 }), await prepareSend(sender, "broadcast", { cookie: 2, bloom: { filter: sender.bloomOnes() } })];
        const name = memory(encodeCommand("NAME_ACQUIRE", {}, [item.name(`name.of.sender${index}`)]));
        parts.push({
          process: sender.process,
          build: (script: Script) =>
            script.repeat(TURNS, () => {
              const [unicast, acquire, broadcast] = [sends[0]?.step(script).call, script.ioctl(sender.fd, abi.COMMANDS.NAME_ACQUIRE, name), sends[1]?.step(script).call];
              const release = script.ioctl(sender.fd, abi.COMMANDS.NAME_RELEASE, name);
              steps[index] = [unicast, acquire, broadcast, release] as Step[];
              return release;
            }, { add: sends.map(({ message }) => ({ memory: message, at: MESSAGE_AT.cookie, by: 2 })) }), // prettier-ignore
        });
      }
      const takes: ReturnType<typeof takeLoop>[] = [];
      for (const receiver of receivers) parts.push({ process: receiver.process, build: (script: Script) => void takes.push(takeLoop(script, receiver, 400)) });
      for (let index = 0; load === "a busy" && index < cpus; index++) {
        const busy = await spawn({ label: `busy${index}`, affinity: 1n << BigInt(index) });
        parts.push({ process: busy, build: (script: Script) => script.repeat(3000, () => script.syscall("sched_yield")) });
      }

      const results = await together(0, parts);

      const history = new History();
      for (const [index, sender] of senders.entries()) {
        const log = history.thread(`sender${index}`);
        const errors = (steps[index] ?? []).map((step) => (results[index] as ScriptResult).all(step).map(({ errno }) => errno));
        expect(errors.flat().filter((errno) => errno !== null), `what failed at sender ${index}`).toEqual([]);
        for (let turn = 0; turn < TURNS; turn++) {
          log.send(sender, receivers[index % 2] as Connection, 2 * turn + 1).announce([`NAME_ADD name.of.sender${index}`]);
          log.send(sender, "everybody", 2 * turn + 2).announce([`NAME_REMOVE name.of.sender${index}`]);
        }
      }
      const views: Message[][] = [];
      for (const [which, receiver] of receivers.entries()) views.push([...(takes[which] as (typeof takes)[number]).messages(results[SENDERS + which] as ScriptResult), ...(await receiver.recvAll())]);
      for (const [which, receiver] of receivers.entries()) history.view(receiver, views[which] ?? []);
      expectOrdered(history);
      const expected = SENDERS * TURNS * 3 + (SENDERS / 2) * TURNS;
      expect(views.map((view) => view.length), "messages and notifications").toEqual([expected, expected]);
    });
  }
}
