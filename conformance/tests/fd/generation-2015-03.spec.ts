import { covers, expect, expectErrno, item, payloadText, test } from "../../support/index.ts";

test("FD-022 a memfd range behind the end of the file gives EBADF", covers("FD-022"), async ({ bus, root }) => {
  const [sender, receiver] = [await bus.connect(), await bus.connect()];
  const memfd = await root.memfd("x".repeat(100));

  for (const [start, size] of [[0, 101], [95, 10], [100, 1], [101, 1], [1, 100]] as const) {
    await expectErrno(sender.send(receiver, { items: [item.memfd(memfd, start, size)] }), "EBADF");
  }
  await expectErrno(receiver.recv(), "EAGAIN");

  await sender.send(receiver, { items: [item.memfd(memfd, 95, 5)] });
  expect((await receiver.recv()).payload).toMatchObject([{ kind: "memfd", start: 95n, size: 5n }]);
});

test("FD-030 a receiver that takes no descriptors finds -1 for memfds, but not in a synchronous reply", covers("FD-030"), async ({ bus, root }) => {
  const sender = await bus.connect();
  const receiver = await bus.connect({ flags: 0n });
  const memfd = await root.memfd("payload");

  await sender.send(receiver, { payload: [item.memfd(memfd, 0, 7)] });
  const queued = await receiver.recv();
  const call = await receiver.startCall(sender, { cookie: 30 });
  await sender.reply(await sender.recv(), { payload: ["inline", item.memfd(memfd, 0, 7)] });
  const reply = await call.done;

  expect(queued.returnFlags).toBe(0n);
  expect(queued.payload).toMatchObject([{ kind: "memfd", fd: -1 }]);
  const [, chunk] = reply.payload;
  expect(chunk?.kind === "memfd" ? new TextDecoder().decode(await root.readAt(chunk.fd, 0, 7)) : payloadText(reply)).toBe("payload");
});
