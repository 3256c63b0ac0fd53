import { abi, covers, entries, expect, expectErrno, expectResult, heard, nameRules, ownerOf, test, tryRelease, watch } from "../../support/index.ts";

const { ALLOW_REPLACEMENT, REPLACE_EXISTING, QUEUE, IN_QUEUE, PRIMARY, ACQUIRED } = abi.NAME;

test("NAME-011 a replaced owner that used QUEUE waits and gets the name again", covers("NAME-011"), async ({ bus }) => {
  const [owner, other] = [await bus.connect(), await bus.connect()];
  await owner.acquire("a.b", ALLOW_REPLACEMENT | QUEUE);
  await other.acquire("a.b", REPLACE_EXISTING);
  expect(await ownerOf(owner, "a.b")).toBe(other.id);
  expect(await entries(owner, abi.LIST.QUEUED)).toMatchObject([{ id: owner.id, name: "a.b" }]);

  await other.release("a.b");

  expect(await ownerOf(owner, "a.b")).toBe(owner.id);
});

test("NAME-012 QUEUE on a name that cannot be taken waits for it", covers("NAME-012"), async ({ bus }) => {
  const [owner, waiter] = [await bus.connect(), await bus.connect()];
  await owner.acquire("a.b");

  expect((await waiter.acquire("a.b", QUEUE)) & IN_QUEUE).toBe(IN_QUEUE);

  expect(await ownerOf(waiter, "a.b")).toBe(owner.id);
});

test("NAME-013 REPLACE_EXISTING with QUEUE waits if the owner permits no replacement", covers("NAME-013"), async ({ bus }) => {
  const [owner, waiter] = [await bus.connect(), await bus.connect()];
  await owner.acquire("a.b");

  expect((await waiter.acquire("a.b", REPLACE_EXISTING | QUEUE)) & IN_QUEUE).toBe(IN_QUEUE);

  expect(await ownerOf(waiter, "a.b")).toBe(owner.id);
  await owner.release("a.b");
  expect(await ownerOf(waiter, "a.b")).toBe(waiter.id);
});

for (const end of ["releases the name", "disconnects"] as const) {
  test(`NAME-014 the longest waiting connection is next when the owner ${end}`, covers("NAME-014"), async ({ bus }) => {
    const [owner, first, second, observer] = [await bus.connect(), await bus.connect(), await bus.connect(), await bus.connect()];
    await owner.acquire("a.b");
    await first.acquire("a.b", QUEUE);
    await second.acquire("a.b", QUEUE);

    if (end === "disconnects") await owner.close();
    else await owner.release("a.b");
    const next = await ownerOf(observer, "a.b");
    if (end === "disconnects") await first.close();
    else await first.release("a.b");

    expect([next, await ownerOf(observer, "a.b")]).toEqual([first.id, second.id]);
  });
}

for (const end of ["says BYEBYE", "closes", "is killed"] as const) {
  test(`NAME-014 a waiting connection that ${end} waits no longer`, covers("NAME-014"), async ({ bus, spawn }) => {
    const [owner, second, observer] = [await bus.connect(), await bus.connect(), await bus.connect()];
    const ended = await bus.connect({ by: await spawn({ label: "ended" }) });
    const names = Array.from({ length: 8 }, (_, index) => `name.n${index}`);
    for (const name of names) await owner.acquire(name);
    for (const waiter of [ended, second]) for (const name of names) await waiter.acquire(name, QUEUE);

    if (end === "says BYEBYE") await ended.byebye();
    else if (end === "closes") await ended.close();
    else await ended.process.kill();
    await expect.poll(async () => (await entries(observer, abi.LIST.QUEUED)).map(({ id }) => id), { timeout: 10_000 }).toEqual(names.map(() => second.id));
    for (const name of names) await owner.release(name);

    for (const name of names) expect(await ownerOf(observer, name)).toBe(second.id);
  });
}

test("NAME-015 a connection that asks twice waits in one place", covers("NAME-015"), async ({ bus }) => {
  const [owner, waiter] = [await bus.connect(), await bus.connect()];
  await owner.acquire("a.b");
  await waiter.acquire("a.b", QUEUE);
  await waiter.acquire("a.b", QUEUE);
  expect(await entries(owner, abi.LIST.QUEUED)).toMatchObject([{ id: waiter.id, name: "a.b" }]);

  await owner.release("a.b");
  expect(await ownerOf(owner, "a.b")).toBe(waiter.id);
  await waiter.release("a.b");

  expect(await entries(owner, abi.LIST.NAMES | abi.LIST.QUEUED)).toEqual([]);
  await expectErrno(owner.send("a.b"), "ESRCH");
});

test("NAME-016 joining and leaving a queue is not announced", covers("NAME-016"), async ({ bus }) => {
  const [owner, waiter, leaver, watcher] = [await bus.connect(), await bus.connect(), await bus.connect(), await bus.connect()];
  await owner.acquire("a.b");
  await watch(watcher, nameRules());

  await waiter.acquire("a.b", QUEUE);
  await waiter.acquire("a.b", QUEUE);
  await leaver.acquire("a.b", QUEUE);
  await leaver.close();
  await waiter.release("a.b");
  expect(await heard(watcher)).toEqual([]);

  await owner.release("a.b");
  expect(await heard(watcher)).toMatchObject([{ kind: "NAME_REMOVE", name: "a.b" }]);
});

test("NAME-017 what a waiting connection permitted counts when it owns the name", covers("NAME-017"), async ({ bus }) => {
  const [owner, open, closed, third] = [await bus.connect(), await bus.connect(), await bus.connect(), await bus.connect()];
  await owner.acquire("open.name");
  await owner.acquire("closed.name");
  await open.acquire("open.name", QUEUE | ALLOW_REPLACEMENT);
  await closed.acquire("closed.name", QUEUE);
  await owner.close();

  await third.acquire("open.name", REPLACE_EXISTING);
  await expectErrno(third.acquire("closed.name", REPLACE_EXISTING), "EEXIST");

  expect([await ownerOf(third, "open.name"), await ownerOf(third, "closed.name")]).toEqual([third.id, closed.id]);
});

test("NAME-055 return_flags tell a new place in the queue from a kept one", covers("NAME-055"), async ({ bus }) => {
  const [owner, first, second] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await owner.acquire("a.b");

  expect(await first.acquire("a.b", QUEUE)).toBe(0x4cn);
  expect(await second.acquire("a.b", QUEUE | ALLOW_REPLACEMENT)).toBe(0x4en);
  expect(await second.acquire("a.b", QUEUE)).toBe(0xcn);
  expect(await first.acquire("a.b", QUEUE | ALLOW_REPLACEMENT)).toBe(0xen);

  await owner.release("a.b");
  expect(await ownerOf(second, "a.b")).toBe(first.id); // the place was kept
  await owner.acquire("a.b", REPLACE_EXISTING); // the flags were replaced
  expect(await ownerOf(second, "a.b")).toBe(owner.id);
});

test("NAME-057 a waiting connection that asks without QUEUE leaves the queue", covers("NAME-057"), async ({ bus }) => {
  const [owner, waiter] = [await bus.connect(), await bus.connect()];
  await owner.acquire("a.b");
  await waiter.acquire("a.b", QUEUE);

  const returned = await waiter.acquire("a.b");
  expect(returned & (IN_QUEUE | PRIMARY | ACQUIRED)).toBe(0n);
  expect(await entries(owner, abi.LIST.QUEUED)).toEqual([]);

  await owner.release("a.b");
  expect(await entries(owner, abi.LIST.NAMES)).toEqual([]);
});

test("NAME-059 a replaced owner that used QUEUE is first in the queue", covers("NAME-059"), async ({ bus }) => {
  const [owner, waiter, third] = [await bus.connect(), await bus.connect(), await bus.connect()];
  await owner.acquire("a.b", ALLOW_REPLACEMENT | QUEUE);
  await waiter.acquire("a.b", QUEUE);
  await third.acquire("a.b", REPLACE_EXISTING);

  await third.release("a.b");
  const next = await ownerOf(third, "a.b");
  await owner.release("a.b");

  expect([next, await ownerOf(third, "a.b")]).toEqual([owner.id, waiter.id]);
});

test("NAME-023 a released name without heirs is gone", covers("NAME-023"), async ({ bus }) => {
  const [owner, other] = [await bus.connect(), await bus.connect()];
  await owner.acquire("a.b");
  expect((await other.info("a.b")).id).toBe(owner.id);

  await owner.release("a.b");

  await expectErrno(other.info("a.b"), "ESRCH");
  expect(await entries(other, abi.LIST.NAMES)).toEqual([]);
});

test("NAME-024 what is not registered cannot be released, whatever it looks like", covers("NAME-024"), async ({ bus }) => {
  const connection = await bus.connect();
  await connection.acquire("a.b");
  await connection.release("a.b");

  const seen: Record<string, string | null> = {};
  const names = ["a.b", "never.seen", ".bla.blaz", "foo", "foo.bla.bl.*", "a..b", ""];
  for (const name of names) seen[name] = (await tryRelease(connection, name)).errno;

  expect(seen).toEqual(Object.fromEntries(names.map((name) => [name, "ESRCH"])));
});

test("NAME-025 a foreign name cannot be released", covers("NAME-025"), async ({ bus }) => {
  const [owner, other] = [await bus.connect(), await bus.connect()];
  await owner.acquire("a.b");

  expectResult(await tryRelease(other, "a.b"), "EADDRINUSE");

  expect(await ownerOf(other, "a.b")).toBe(owner.id);
});

test("NAME-026 a waiting connection that releases the name leaves the queue", covers("NAME-026"), async ({ bus }) => {
  const [owner, waiter] = [await bus.connect(), await bus.connect()];
  await owner.acquire("a.b");
  await waiter.acquire("a.b", QUEUE);

  await waiter.release("a.b");
  expect(await entries(owner, abi.LIST.QUEUED)).toEqual([]);
  await owner.release("a.b");

  expect(await entries(owner, abi.LIST.NAMES)).toEqual([]);
});
