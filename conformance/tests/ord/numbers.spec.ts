import { abi, covers, encodeCommand, expect, expectOrdered, History, item, memory, MESSAGE_AT, prepareSend, Script, takeLoop, test, together, type Connection, type Message, type ScriptResult } from "../../support/index.ts";

type Step = ReturnType<Script["ioctl"]>;
const stamps = (messages: readonly Message[], of: "seqnum" | "monotonic_ns"): bigint[] => messages.map(({ metadata }) => metadata.timestamp?.[of] ?? -1n);

for (const [id, field] of [["ORD-007", "seqnum"], ["ORD-009", "monotonic_ns"]] as const) {
  test(`${id} ${field} ${field === "seqnum" ? "rises" : "does not fall"} along the messages of one thread`, covers(id), async ({ bus }) => {
    const TURNS = 80;
    const [sender, first, second] = [await bus.connect(), await bus.connect({ attachRecv: abi.ATTACH.TIMESTAMP }), await bus.connect({ attachRecv: abi.ATTACH.TIMESTAMP })];
    await second.addMatch([item.id(sender.id)]);
    const seen: [Message[], Message[]] = [[], []];
    const history = new History();
    const log = history.thread("sender");
    for (let batch = 0; batch < 4; batch++) {
      const from = 1 + batch * TURNS * 3;
      const kinds = [
        await prepareSend(sender, first, { cookie: from }),
        await prepareSend(sender, second, { cookie: from + 1, payload: "x".repeat(500) }),
        await prepareSend(sender, "broadcast", { cookie: from + 2, bloom: { filter: sender.bloomOnes() } }),
      ];
      const script = new Script();
      script.repeat(TURNS, () => kinds.map((kind) => kind.step(script).call)[0] as Step, { add: kinds.map(({ message }) => ({ memory: message, at: MESSAGE_AT.cookie, by: kinds.length })) });
      await sender.process.run(script);
      for (let cookie = from; cookie < from + TURNS * kinds.length; cookie++) log.send(sender, cookie % 3 === 0 ? "everybody" : cookie % 3 === 1 ? first : second, cookie);
      seen[0].push(...(await first.recvAll()));
      seen[1].push(...(await second.recvAll()));
    }
    expectOrdered(history.view(first, seen[0]).view(second, seen[1]));

    // the cookies tell the order in which they were sent
    const sent = stamps(seen.flat().sort((a, b) => Number(a.header.cookie - b.header.cookie)), field);
    expect(sent).toHaveLength(4 * TURNS * 3);
    expect(sent.filter((value) => value <= 0n), "messages without a time stamp").toEqual([]);
    expect(sent.flatMap((value, index) => (index > 0 && (field === "seqnum" ? value <= (sent[index - 1] as bigint) : value < (sent[index - 1] as bigint)) ? [[index, sent[index - 1], value]] : []))).toEqual([]);
  });
}

test("ORD-008 receivers of parallel broadcasts see one seqnum for each message", covers({ cpus: 2 }, "ORD-008", "ORD-005"), async ({ bus, spawn }) => {
  const TURNS = 20;
  const receivers: Connection[] = [];
  for (let index = 0; index < 4; index++) receivers.push(await bus.connect({ attachRecv: abi.ATTACH.TIMESTAMP }));
  const senders: Connection[] = [];
  for (let index = 0; index < 4; index++) senders.push(await bus.connect({ by: await spawn({ label: `sender${index}` }) }));
  for (const receiver of receivers) for (const sender of senders) await receiver.addMatch([item.id(sender.id)]);
  const parts: { readonly process: Connection["process"]; build(script: Script): void }[] = [];
  for (const sender of senders) {
    const send = await prepareSend(sender, "broadcast", { cookie: 1, bloom: { filter: sender.bloomOnes() } });
    parts.push({ process: sender.process, build: (script) => script.repeat(TURNS, () => send.step(script).call, { add: [{ memory: send.message, at: MESSAGE_AT.cookie, by: 1 }] }) });
  }

  await together(0, parts);

  const history = new History();
  for (const [index, sender] of senders.entries()) {
    const log = history.thread(`sender${index}`);
    for (let cookie = 1; cookie <= TURNS; cookie++) log.send(sender, "everybody", cookie);
  }
  const received: Message[][] = [];
  for (const receiver of receivers) received.push(await receiver.recvAll());
  for (const [index, receiver] of receivers.entries()) history.view(receiver, received[index] ?? []);
  expectOrdered(history);
  const views: Map<string, bigint>[] = [];
  for (const messages of received) {
    for (const sender of senders) expect(messages.filter(({ header }) => header.src_id === sender.id).map(({ header }) => Number(header.cookie))).toEqual(Array.from({ length: TURNS }, (_, index) => index + 1));
    views.push(new Map(messages.map(({ header, metadata }) => [`${header.src_id}/${header.cookie}`, metadata.timestamp?.seqnum ?? -1n])));
  }
  const sorted = views.map((view) => [...view].sort(([a], [b]) => (a < b ? -1 : 1)));
  expect(sorted[0]).toHaveLength(4 * TURNS);
  for (const view of sorted.slice(1)) expect(view).toEqual(sorted[0]);
  expect(new Set(views[0]?.values()).size, "different seqnums").toBe(4 * TURNS);
});

test("ORD-020 messages and notifications take their seqnum from one counter", covers("ORD-020"), async ({ bus }) => {
  const monitor = await bus.connectMonitor({ attachRecv: abi.ATTACH.TIMESTAMP, pool: 4 << 20 });
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  await monitor.recvAll();
  const history = new History();
  const [log, visitors] = [history.thread("sender"), history.thread("visitors")];
  for (let round = 0; round < 12; round++) {
    log.send(sender, receiver, (await sender.send(receiver)).cookie);
    await sender.acquire(`name.n${round}`);
    const visitor = await bus.connect();
    await visitor.close();
    log.announce([`NAME_ADD name.n${round}`]);
    visitors.announce([`ID_ADD ${visitor.id}`]).ends(visitor);
    log.send(sender, "everybody", (await sender.broadcast()).cookie);
  }

  const all = await monitor.recvAll();
  expectOrdered(history.view(monitor, all, { monitor: true }));

  expect(all.filter(({ notification }) => notification !== undefined).length).toBeGreaterThanOrEqual(36);
  expect(all.filter(({ notification }) => notification === undefined)).toHaveLength(24);
  const numbers = stamps(all, "seqnum");
  expect(numbers.filter((number) => number <= 0n), "without a seqnum").toEqual([]);
  expect(numbers.filter((number, index) => numbers.indexOf(number) !== index), "seqnums that occur twice").toEqual([]);
  // one thread did it all, so the numbers rise across both kinds
  expect(numbers.flatMap((number, index) => (index > 0 && number <= (numbers[index - 1] as bigint) ? [index] : []))).toEqual([]);
});

test("ORD-010 all connections get the notifications in one order", covers({ cpus: 2 }, "ORD-010"), async ({ bus, spawn }) => {
  const TURNS = 12;
  const subscribers: Connection[] = [];
  for (let index = 0; index < 4; index++) {
    const subscriber = await bus.connect();
    await subscriber.addMatch(index % 2 === 0 ? [] : [item.nameChange(abi.ITEM.NAME_ADD, abi.MATCH_ID_ANY, abi.MATCH_ID_ANY)]);
    if (index % 2 === 1) await subscriber.addMatch([item.nameChange(abi.ITEM.NAME_REMOVE, abi.MATCH_ID_ANY, abi.MATCH_ID_ANY)]);
    subscribers.push(subscriber);
  }
  for (const subscriber of subscribers) await subscriber.recvAll();
  const owners: Connection[] = [];
  for (let index = 0; index < 4; index++) owners.push(await bus.connect({ by: await spawn({ label: `owner${index}` }) }));
  for (const subscriber of subscribers) await subscriber.recvAll();

  await together(0, owners.map((owner, index) => ({
    process: owner.process,
    build: (script: Script) => {
      const name = memory(encodeCommand("NAME_ACQUIRE", {}, [item.name(`owner.n${index}`)]));
      script.repeat(TURNS, () => {
        script.ioctl(owner.fd, abi.COMMANDS.NAME_ACQUIRE, name);
        return script.ioctl(owner.fd, abi.COMMANDS.NAME_RELEASE, name);
      });
    },
  }))); // prettier-ignore

  const history = new History();
  const received: Message[][] = [];
  for (const subscriber of subscribers) received.push(await subscriber.recvAll());
  for (const [index, subscriber] of subscribers.entries()) history.view(subscriber, received[index] ?? []);
  expectOrdered(history);
  const views: string[][] = [];
  for (const messages of received) views.push(messages.flatMap(({ notification }) => (notification !== undefined && "name" in notification ? [`${notification.kind} ${notification.name}`] : [])));
  expect(views[0]).toHaveLength(4 * TURNS * 2);
  for (const view of views.slice(1)) expect(view).toEqual(views[0]);
});

test("ORD-005 sorted by seqnum, each sender's messages are in its order", covers({ cpus: 2 }, "ORD-005", "ORD-007"), async ({ bus, spawn }) => {
  const receiver = await bus.connect({ attachRecv: abi.ATTACH.TIMESTAMP });
  const sends: Step[] = [];
  const senders: Connection[] = [];
  for (let index = 0; index < 3; index++) senders.push(await bus.connect({ by: await spawn({ label: `sender${index}` }) }));
  const parts: { readonly process: Connection["process"]; build(script: Script): void }[] = [];
  for (const sender of senders) {
    const send = await prepareSend(sender, receiver, { cookie: 1 });
    parts.push({ process: sender.process, build: (script) => script.repeat(150, () => (sends[senders.indexOf(sender)] = send.step(script).call), { add: [{ memory: send.message, at: MESSAGE_AT.cookie, by: 1 }] }) });
  }
  let taken: ReturnType<typeof takeLoop> | undefined;
  parts.push({ process: receiver.process, build: (script) => void (taken = takeLoop(script, receiver, 600)) });

  const results = await together(0, parts);

  const messages = [...(taken as ReturnType<typeof takeLoop>).messages(results.at(-1) as ScriptResult), ...(await receiver.recvAll())];
  const history = new History();
  for (const [index, sender] of senders.entries()) {
    const log = history.thread(`sender${index}`);
    for (const [turn, { errno }] of (results[index] as ScriptResult).all(sends[index] as Step).entries()) log.send(sender, receiver, turn + 1, { errno });
  }
  expectOrdered(history.view(receiver, messages));
  const sorted = [...messages].sort((a, b) => Number((a.metadata.timestamp?.seqnum ?? 0n) - (b.metadata.timestamp?.seqnum ?? 0n)));
  expect(messages.length).toBeGreaterThan(200);
  for (const sender of senders) {
    const of = (list: readonly Message[]): bigint[] => list.filter(({ header }) => header.src_id === sender.id).map(({ header }) => header.cookie);
    expect(of(sorted)).toEqual(of(messages));
  }
});
