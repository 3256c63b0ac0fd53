import { covers, expect, expectErrno, item, test } from "../../support/index.ts";

test("MATCH-028 a rule with DST_ID gives EINVAL, alone and beside others", covers("MATCH-028"), async ({ bus }) => {
  const [connection, sender] = [await bus.connect(), await bus.connect()];

  await expectErrno(connection.addMatch([item.dstId(connection.id)], { cookie: 1n }), "EINVAL");
  await expectErrno(connection.addMatch([item.id(sender.id), item.dstId(connection.id)], { cookie: 2n }), "EINVAL");

  await sender.broadcast();
  await expectErrno(connection.recv(), "EAGAIN");
  await connection.addMatch([item.id(sender.id)], { cookie: 1n });
  await sender.broadcast({ cookie: 28 });
  expect((await connection.recv()).header.cookie).toBe(28n);
});
