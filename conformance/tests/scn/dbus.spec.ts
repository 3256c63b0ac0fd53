import { abi, covers, expect, expectErrno, grant, item, payloadText, test, unsupported } from "../../support/index.ts";

test("SCN-016 what D-Bus needs works together in a systemd guest", covers("SCN-016"), async ({ domain, root, spawn, agent }) => {
  const state = await agent.exec(["systemctl", "is-active", "multi-user.target"]);
  if (state.stdout.trim() !== "active") unsupported("systemd with multi-user.target in the guest");
  const mounted = await agent.readText("/proc/mounts");
  expect(mounted, "the domain was mounted during boot").toMatch(/ \/sys\/fs\/kdbus kdbusfs /);

  const bus = await domain.makeBus(root, { name: "system", bloom: { size: 64, hashes: 8 } });
  const [client, first, second] = [await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "client" }) }), await bus.connect(), await bus.connect()];
  await bus.connectPolicyHolder("org.example.*", [grant.world(abi.POLICY.TALK)]);
  const activator = await bus.connectActivator("org.example.Activated", { items: [grant.world(abi.POLICY.TALK)] });
  await client.addMatch([item.nameChange(abi.ITEM.NAME_ADD, abi.MATCH_ID_ANY, abi.MATCH_ID_ANY, "org.example.Service")]);
  await client.addMatch([item.nameChange(abi.ITEM.NAME_CHANGE, abi.MATCH_ID_ANY, abi.MATCH_ID_ANY, "org.example.Service")]);
  const [bit3, bit5] = [new Uint8Array(64), new Uint8Array(64)];
  bit3[0] = 1 << 3;
  bit5[0] = 1 << 5;
  await client.addMatch([item.bloomMask(bit3), item.name("org.example.Service")]);

  // names and queued ownership
  await first.acquire("org.example.Service", abi.NAME.ALLOW_REPLACEMENT);
  expect((await second.acquire("org.example.Service", abi.NAME.QUEUE)) & abi.NAME.IN_QUEUE).toBe(abi.NAME.IN_QUEUE);
  // calls and errors
  const call = await client.startCall("org.example.Service", { payload: "ping", at: first });
  await first.reply(await first.recv(), { payload: "pong" });
  expect(payloadText(await call.done)).toBe("pong");
  await expectErrno(client.send("org.example.Nobody"), "ESRCH");
  // signals
  await first.broadcast({ cookie: 3, bloom: { filter: bit3 } });
  await first.broadcast({ cookie: 5, bloom: { filter: bit5 } });
  // ownership moves on
  await first.release("org.example.Service");
  // activation
  await client.send("org.example.Activated", { cookie: 9 });
  expect((await activator.poll(0)) & 1).toBe(1);
  await second.acquire("org.example.Activated");

  expect((await second.recv()).header.cookie).toBe(9n);
  const seen = (await client.recvAll()).map((message) => message.notification?.kind ?? message.header.cookie);
  expect(seen).toEqual(["NAME_ADD", 3n, "NAME_CHANGE"]);
});

test("SCN-017 messages sent before and between ten lives of an activated service are all answered in order", covers("SCN-017"), async ({ bus, spawn }) => {
  const NAME = "org.example.Activated";
  const activator = await bus.connectActivator(NAME);
  const client = await bus.connect({ by: await spawn({ label: "client" }) });
  const handled: bigint[] = [];
  let cookie = 1n;

  for (let life = 0; life < 10; life++) {
    const ask = async (count: number): Promise<void> => {
      for (let asked = 0; asked < count; asked++) await client.send(NAME, { cookie: cookie++, expectReplyMs: 600_000 });
    };
    await ask(4); // nobody is there yet
    expect((await activator.poll(0)) & 1, "the activator is told").toBe(1);
    const service = await bus.connect({ by: await spawn({ label: `service ${life}` }) });
    await service.acquire(NAME);
    await ask(3);
    for (let served = 0; served < 5; served++) {
      const request = await service.recv();
      handled.push(request.header.cookie);
      await service.reply(request);
    }
    await service.process.kill(); // two are still unread: they go back to the activator
  }
  const last = await bus.connect();
  await last.acquire(NAME);
  for (const request of await last.recvAll()) {
    handled.push(request.header.cookie);
    await last.reply(request);
  }

  const answered = (await client.recvAll()).map((message) => message.header.timeout_ns);
  const all = Array.from({ length: 70 }, (_, index) => BigInt(index + 1));
  expect(handled).toEqual(all);
  expect(answered).toEqual(all);
});

test("SCN-027 unicast and broadcast signals arrive once each through one match of each kind", covers("SCN-027"), async ({ bus }) => {
  const [client, sender] = [await bus.connect(), await bus.connect()];
  const mask = new Uint8Array(64);
  mask[7] = 0x11;
  await client.addMatch([item.bloomMask(mask), item.dstId(client.id)]);
  await client.addMatch([item.bloomMask(mask), item.dstId(abi.DST_ID_BROADCAST)]);
  const other = new Uint8Array(64);
  other[8] = 0x11;

  await sender.send(client, { cookie: 1, bloom: { filter: mask } });
  await sender.broadcast({ cookie: 2, bloom: { filter: mask } });
  await sender.send(client, { cookie: 3, bloom: { filter: other } });
  await sender.broadcast({ cookie: 4, bloom: { filter: other } });

  expect((await client.recvAll()).map((message) => message.header.cookie)).toEqual([1n, 2n]);
});
