import { abi, covers, expect, expectErrno, helloOn, readableAt, test } from "../../support/index.ts";

const LATER = 600_000;

test("POL-034 a reply needs an open request and nothing else", covers("POL-034"), async ({ bus, spawn }) => {
  const client = await bus.connect();
  const server = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "server" }) });
  await expectErrno(server.send(client, { cookieReply: 1 }), "EPERM");
  await client.send(server, { cookie: 7, expectReplyMs: LATER });
  const request = await server.recv();

  await server.reply(request, { cookie: 70 });
  await expectErrno(server.reply(request, { cookie: 71 }), "EPERM");

  expect((await client.recvAll()).map(({ header }) => header.cookie)).toEqual([70n]);
});

test("POL-034 after its deadline a request permits no reply", covers("POL-034"), async ({ bus, spawn }) => {
  const client = await bus.connect();
  const server = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "server" }) });
  await client.send(server, { cookie: 7, flags: abi.MSG.EXPECT_REPLY, timeoutNs: 1n });
  const request = await server.recv();
  expect(await readableAt(client, 5000), "REPLY_TIMEOUT").toBeDefined();

  await expectErrno(server.reply(request), "EPERM");

  expect((await client.recvAll()).map(({ notification }) => notification?.kind)).toEqual(["REPLY_TIMEOUT"]);
});

test("POL-043 a privileged sender gets EPERM for a reply that nobody asked for", covers("POL-043"), async ({ bus }) => {
  const [owner, peer] = [await bus.connect(), await bus.connect()];
  await owner.send(peer, { cookie: 1 });
  await peer.recv();

  await expectErrno(owner.send(peer, { cookieReply: 4242 }), "EPERM");

  await expectErrno(peer.recv(), "EAGAIN");
});

test("POL-046 for signals the receiver is who called its HELLO", covers("POL-046"), async ({ bus, spawn }) => {
  const [opener, caller] = [await spawn({ uid: 1000, gid: 1000, label: "opener" }), await spawn({ uid: 65534, gid: 65534, label: "caller" })];
  const receiver = await helloOn(caller, await opener.giveFd(await opener.open(bus.path), caller));
  await receiver.addMatch();
  const [likeOpener, likeCaller] = [await bus.connect({ by: opener }), await bus.connect({ by: caller })];

  await likeOpener.broadcast({ cookie: 1000 });
  await likeCaller.broadcast({ cookie: 65534 });

  const seen = (await receiver.recvAll()).filter(({ notification }) => notification === undefined);
  expect(seen.map(({ header }) => header.cookie)).toEqual([65534n]);
});
