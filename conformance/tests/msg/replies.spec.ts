import { abi, covers, expect, expectErrno, inTime, payloadText, readableAt, test, untilBehind } from "../../support/index.ts";

const LATER = 600_000;

test("MSG-035 a request without deadline gives EINVAL", covers("MSG-035"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];

  await expectErrno(client.send(server, { flags: abi.MSG.EXPECT_REPLY, timeoutNs: 0n, cookie: 1 }), "EINVAL");

  await client.send(server, { expectReplyMs: LATER, cookie: 2 });
  expect((await server.recvAll()).map((message) => message.header.cookie)).toEqual([2n]);
});

test("MSG-047 a reply needs no right but the request", covers("MSG-047"), async ({ bus, spawn }) => {
  const client = await bus.connect();
  const server = await bus.connect({ by: await spawn({ uid: 1000, gid: 1000, label: "server" }) });
  await client.send(server, { cookie: 5, expectReplyMs: LATER });
  await expectErrno(server.send(client), "EPERM");

  await server.reply(await server.recv(), { payload: "allowed" });

  const reply = await client.recv();
  expect([payloadText(reply), reply.header.timeout_ns, reply.header.src_id]).toEqual(["allowed", 5n, server.id]);
});

test("MSG-051 a request that nobody answers is reported at its deadline", covers("MSG-051"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  const deadline = await client.process.deadlineNs(250);
  await client.send(server, { flags: abi.MSG.EXPECT_REPLY, timeoutNs: deadline, cookie: 51 });

  const reported = await readableAt(client, 5000);

  expect(reported, "time of the notification").toBeDefined();
  const lateNs = Number((reported as bigint) - deadline);
  expect(lateNs, "ns behind the deadline").toBeGreaterThanOrEqual(0);
  const [notification, ...more] = await client.recvAll();
  expect(notification?.notification).toEqual({ kind: "REPLY_TIMEOUT" });
  expect(notification?.header).toMatchObject({ src_id: 0n, dst_id: client.id, timeout_ns: 51n, payload_type: abi.PAYLOAD.KERNEL });
  expect(more).toEqual([]);
});

test("MSG-051 the earlier of two deadlines brings no report of the later one", covers("MSG-051"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  const deadlines = [await client.process.deadlineNs(300), await client.process.deadlineNs(700)] as const;
  for (const [index, timeoutNs] of deadlines.entries()) await client.send(server, { flags: abi.MSG.EXPECT_REPLY, timeoutNs, cookie: index + 1 });

  for (const [index, deadline] of deadlines.entries()) {
    const reported = await readableAt(client, 5000);
    expect(reported, `time of notification ${index + 1}`).toBeDefined();
    expect(Number((reported as bigint) - deadline), `ns behind deadline ${index + 1}`).toBeGreaterThanOrEqual(0);
    expect((await client.recv()).header).toMatchObject({ src_id: 0n, timeout_ns: BigInt(index + 1) });
  }
});

test("MSG-052 a request with a deadline in the past is delivered and reported at once", covers("MSG-052"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];

  await client.send(server, { flags: abi.MSG.EXPECT_REPLY, timeoutNs: 1n, cookie: 52 });

  expect((await server.recv()).header.cookie).toBe(52n);
  expect(await readableAt(client, 1000), "the notification").toBeDefined();
  const { notification, header } = await client.recv();
  expect([notification?.kind, header.timeout_ns]).toEqual(["REPLY_TIMEOUT", 52n]);
});

// BYEBYE is refused while messages are queued, so an unread request cannot end that way
for (const [state, end] of [["read", "close"], ["read", "BYEBYE"], ["read", "SIGKILL"], ["unread", "close"], ["unread", "SIGKILL"]] as const) {
  test(`MSG-053 a ${state} request dies with its destination by ${end}, reported exactly once`, covers("MSG-053", "MSG-054"), async ({ bus, root, spawn }) => {
    const { client, deadline } = await inTime(root, async (timeoutNs) => {
      const asking = await bus.connect();
      const server = await bus.connect({ by: await spawn({ label: "server" }) });
      await asking.send(server, { cookie: 53, flags: abi.MSG.EXPECT_REPLY, timeoutNs });
      if (state === "read") await server.recv();

      if (end === "SIGKILL") await server.process.kill();
      else if (end === "BYEBYE") await server.byebye();
      else await server.close();
      return { client: asking, deadline: timeoutNs };
    });

    expect(await readableAt(client, 5000), "the notification").toBeDefined();
    const seen = await client.recvAll();
    expect(seen.map(({ notification, header }) => [notification?.kind, header.timeout_ns])).toEqual([["REPLY_DEAD", 53n]]);
    expect(await readableAt(client, await untilBehind(root, deadline)), "a second report, until the deadline is over").toBeUndefined();
  });
}

test("MSG-054 an answered request is not reported besides", covers("MSG-054"), async ({ bus, root }) => {
  const { client, deadline } = await inTime(root, async (timeoutNs) => {
    const [asking, server] = [await bus.connect(), await bus.connect()];
    await asking.send(server, { cookie: 1, flags: abi.MSG.EXPECT_REPLY, timeoutNs });
    await server.reply(await server.recv(), { cookie: 2 });
    await server.close();
    return { client: asking, deadline: timeoutNs };
  });

  expect((await client.recv()).header).toMatchObject({ cookie: 2n, timeout_ns: 1n });
  expect(await readableAt(client, await untilBehind(root, deadline)), "anything else until the deadline is over").toBeUndefined();
});

test("MSG-054 a request that timed out is not reported again when its destination ends", covers("MSG-054"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  await client.send(server, { cookie: 1, flags: abi.MSG.EXPECT_REPLY, timeoutNs: 1n });
  await readableAt(client, 1000);

  await server.close();

  expect((await client.recvAll()).map(({ notification }) => notification?.kind)).toEqual(["REPLY_TIMEOUT"]);
});

test("MSG-054 a synchronous caller gets no notification, also if the request was unread", covers("MSG-054"), async ({ bus, root }) => {
  const { client, deadline } = await inTime(root, async (timeoutNs) => {
    const [asking, server] = [await bus.connect(), await bus.connect()];
    const call = await asking.startCall(server, { timeoutNs });
    await server.close();
    await expectErrno(call.done, "EPIPE");
    return { client: asking, deadline: timeoutNs };
  });

  expect(await readableAt(client, await untilBehind(root, deadline)), "a notification").toBeUndefined();
  await expectErrno(client.recv(), "EAGAIN");
});

test("MSG-055 a reply to a requester that is gone gives ENXIO", covers("MSG-055"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  await client.send(server, { cookie: 1, expectReplyMs: LATER });
  const request = await server.recv();
  await client.close();

  await expectErrno(server.reply(request), "ENXIO");
});

test("MSG-056 a reply that could not be delivered may be tried again", covers("MSG-056"), async ({ bus, root }) => {
  const [client, server] = [await bus.connect({ flags: 0n }), await bus.connect()];
  await client.send(server, { cookie: 1, expectReplyMs: LATER });
  const request = await server.recv();
  const { read } = await root.pipe();

  await expectErrno(server.reply(request, { fds: [read] }), "ECOMM");
  await server.reply(request, { payload: "without" });

  expect(payloadText(await client.recv())).toBe("without");
});

test("MSG-056 a request whose reply could not be delivered still times out", covers("MSG-056"), async ({ bus, root }) => {
  const [client, server] = [await bus.connect({ flags: 0n }), await bus.connect()];
  await client.send(server, { cookie: 1, expectReplyMs: 2000 });
  const { read } = await root.pipe();

  await expectErrno(server.reply(await server.recv(), { fds: [read] }), "ECOMM");

  expect(await readableAt(client, 5000), "the notification").toBeDefined();
  expect((await client.recv()).notification?.kind).toBe("REPLY_TIMEOUT");
});

test("MSG-089 a request may have cookie 0", covers("MSG-089"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];

  await client.send(server, { cookie: 0n, expectReplyMs: 300 });

  expect((await server.recv()).header).toMatchObject({ cookie: 0n, flags: abi.MSG.EXPECT_REPLY });
  expect(await readableAt(client, 5000), "the notification").toBeDefined();
  const { notification, header } = await client.recv();
  expect([notification?.kind, header.timeout_ns]).toEqual(["REPLY_TIMEOUT", 0n]);
});

test("MSG-093 a reply without an open request gives EBADSLT and is not delivered", covers("MSG-093"), async ({ bus }) => {
  const [client, server, third] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await client.send(server, { cookie: 1, expectReplyMs: LATER });
  await client.send(third, { cookie: 10 }); // a one-way message opens nothing

  await expectErrno(server.send(client, { cookieReply: 2 }), "EBADSLT");
  await expectErrno(third.send(client, { cookieReply: 1 }), "EBADSLT");
  await expectErrno(third.send(client, { cookieReply: 10 }), "EBADSLT");
  await expectErrno(third.send(client, { timeoutNs: (await client.process.monotonicNs()) + 1_000_000_000n }), "EBADSLT");
  await expectErrno(client.recv(), "EAGAIN");

  await server.send(client, { cookieReply: 1, cookie: 3 });
  expect((await client.recv()).header.cookie).toBe(3n);
});

test("MSG-093 the request of one connection is no request of another", covers("MSG-093"), async ({ bus }) => {
  const [client, other, server] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await client.send(server, { cookie: 1, expectReplyMs: LATER });

  await expectErrno(server.send(other, { cookieReply: 1 }), "EBADSLT");

  await expectErrno(other.recv(), "EAGAIN");
  await server.send(client, { cookieReply: 1, cookie: 2 });
  expect((await client.recv()).header.cookie).toBe(2n);
});

test("MSG-094 a request can be answered once", covers("MSG-094"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  await client.send(server, { cookie: 1, expectReplyMs: LATER });
  const request = await server.recv();

  await server.reply(request, { cookie: 1 });
  await expectErrno(server.reply(request, { cookie: 2 }), "EBADSLT");

  expect((await client.recvAll()).map((message) => message.header.cookie)).toEqual([1n]);
});

test("MSG-095 a reply behind the deadline gives EBADSLT and is not delivered", covers("MSG-095"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  await client.send(server, { cookie: 1, expectReplyMs: 150 });
  const request = await server.recv();
  expect(await readableAt(client, 5000), "the notification").toBeDefined();

  await expectErrno(server.reply(request), "EBADSLT");

  expect((await client.recvAll()).map(({ notification }) => notification?.kind)).toEqual(["REPLY_TIMEOUT"]);
});

test("MSG-100 two requests with one cookie take two replies", covers("MSG-100"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  await client.send(server, { cookie: 5, expectReplyMs: LATER });
  await client.send(server, { cookie: 5, expectReplyMs: LATER });

  await server.send(client, { cookieReply: 5, cookie: 1 });
  await server.send(client, { cookieReply: 5, cookie: 2 });
  await expectErrno(server.send(client, { cookieReply: 5, cookie: 3 }), "EBADSLT", "EPERM"); // the second in generation 2015-03

  expect((await client.recvAll()).map(({ header }) => [header.timeout_ns, header.cookie])).toEqual([[5n, 1n], [5n, 2n]]);
});

test("MSG-101 a shorter deadline is not held back by a longer one", covers("MSG-101"), async ({ bus }) => {
  const [client, server] = [await bus.connect(), await bus.connect()];
  const long = await client.process.deadlineNs(8_000);
  await client.send(server, { cookie: 1, flags: abi.MSG.EXPECT_REPLY, timeoutNs: long });
  const deadline = await client.process.deadlineNs(200);
  await client.send(server, { cookie: 2, flags: abi.MSG.EXPECT_REPLY, timeoutNs: deadline });

  const reported = (await readableAt(client, 20_000)) ?? 0n;

  expect((await client.recv()).header.timeout_ns).toBe(2n);
  expect(reported >= deadline, `reported at ${reported}, not before ${deadline}`).toBe(true);
  expect(reported < long, `reported at ${reported}, while the other one waits until ${long}`).toBe(true);
  expect(await readableAt(client, 20_000), "the other notification").toBeDefined();
  expect((await client.recv()).header.timeout_ns).toBe(1n);
});
