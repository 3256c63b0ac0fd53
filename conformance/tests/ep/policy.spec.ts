import { abi, covers, encodeCommand, expect, expectErrno, expectResult, grant, item, test, type Bus, type Connection, type CustomEndpoint, type Item } from "../../support/index.ts";

const { SEE, TALK, OWN } = abi.POLICY;
const ANY = abi.MATCH_ID_ANY;
const everything = (access: bigint, ...names: readonly string[]): Item[] => names.flatMap((name) => [item.name(name), grant.world(access)]);

/** An endpoint without policy, a connection through it and a peer on the default endpoint that owns names. All are root's. */
async function setUp(bus: Bus, ...names: readonly string[]): Promise<{ readonly endpoint: CustomEndpoint; readonly inside: Connection; readonly peer: Connection }> {
  const [endpoint, peer] = [await bus.makeEndpoint(), await bus.connect()];
  for (const name of names) await peer.acquire(name);
  return { endpoint, peer, inside: await endpoint.connect() };
}

/** Names among these that the connection can look up. */
async function visible(inside: Connection, ...names: readonly string[]): Promise<string[]> {
  const seen: string[] = [];
  for (const name of names) {
    const { errno } = await inside.ioctl("CONN_INFO", encodeCommand("CONN_INFO", {}, [item.name(name)]));
    if (errno === null) seen.push(name);
    else expect(errno, `CONN_INFO of ${name}`).toBe("ESRCH");
  }
  return seen;
}

test("EP-012 through a fresh endpoint nothing is seen, talked to or owned", covers("EP-012"), async ({ bus }) => {
  const { inside, peer } = await setUp(bus, "test.name");

  await expectErrno(inside.send(peer), "EPERM");
  await expectErrno(inside.send("test.name"), "EPERM");
  await expectErrno(inside.acquire("other.name"), "EPERM");
  await expectErrno(inside.info("test.name"), "ESRCH");
  const listed = (await inside.list(abi.LIST.UNIQUE | abi.LIST.NAMES | abi.LIST.ACTIVATORS | abi.LIST.QUEUED)).flatMap(({ metadata }) => metadata.names.map(({ name }) => name));
  expect(listed).toEqual([]);
  await expectErrno(peer.recv(), "EAGAIN");
});

test("EP-013 ENDPOINT_UPDATE replaces the whole policy, for present connections too", covers("EP-013"), async ({ bus }) => {
  const { endpoint, inside, peer } = await setUp(bus, "first.name", "second.name");

  await endpoint.update(everything(SEE, "first.name"));
  expect(await visible(inside, "first.name", "second.name")).toEqual(["first.name"]);
  await expectErrno(inside.send("first.name"), "EPERM");

  await endpoint.update(everything(TALK, "second.name"));
  expect(await visible(inside, "first.name", "second.name")).toEqual(["second.name"]);
  await inside.send("second.name", { cookie: 5 });
  expect((await peer.recv()).header.cookie).toBe(5n);
});

for (const [what, damage, errno] of [
  ["a bad access", [item.name("second.name"), item.policyAccess(abi.POLICY_TYPE.WORLD, 3)], "EINVAL"],
  ["a bad type", [item.name("second.name"), item.policyAccess(4, SEE)], "EINVAL"],
  ["a bad name", [item.name("second"), grant.world(SEE)], "EINVAL"],
  ["a name twice", [item.name("second.name"), item.name("second.name")], "EEXIST"],
] as const) {
  test(`EP-014 ENDPOINT_UPDATE with ${what} leaves the policy in force`, covers("EP-014"), async ({ bus }) => {
    const { endpoint, inside } = await setUp(bus, "first.name", "second.name", "third.name");
    await endpoint.update(everything(SEE, "first.name"));

    await expectErrno(endpoint.update([...everything(SEE, "third.name"), ...damage]), errno);

    expect(await visible(inside, "first.name", "second.name", "third.name")).toEqual(["first.name"]);
  });
}

test("EP-015 ENDPOINT_UPDATE without items removes all entries", covers("EP-015"), async ({ bus }) => {
  const { endpoint, inside } = await setUp(bus, "first.name", "second.name");
  await endpoint.update(everything(SEE, "first.name", "second.name"));
  expect(await visible(inside, "first.name", "second.name")).toHaveLength(2);

  await endpoint.update([]);

  expect(await visible(inside, "first.name", "second.name")).toEqual([]);
});

test("EP-016 ENDPOINT_UPDATE takes several names at once", covers("EP-016"), async ({ bus }) => {
  const names = Array.from({ length: 20 }, (_, index) => `name.n${index}`);
  const { endpoint, inside } = await setUp(bus, ...names, "other.name");

  await endpoint.update(everything(SEE, ...names));

  expect(await visible(inside, ...names, "other.name")).toEqual(names);
});

test("EP-017 ENDPOINT_UPDATE with a name twice gives EEXIST", covers("EP-017"), async ({ bus }) => {
  const endpoint = await bus.makeEndpoint();

  await expectErrno(endpoint.update([item.name("a.b"), item.name("a.b")]), "EEXIST");
  await expectErrno(endpoint.update([...everything(SEE, "a.b", "a.c"), ...everything(TALK, "a.b")]), "EEXIST");
  await expectErrno(endpoint.update([...everything(SEE, "a.*"), ...everything(TALK, "a.*")]), "EEXIST");
  await endpoint.update(everything(SEE, "a.b", "a.c"));
});

test("EP-018 ENDPOINT_UPDATE with a grant before any name gives EINVAL", covers("EP-018"), async ({ bus, root }) => {
  const endpoint = await bus.makeEndpoint();
  const update = (items: readonly Item[]) => root.command(endpoint.ownerFd, "ENDPOINT_UPDATE", encodeCommand("ENDPOINT_UPDATE", {}, items));

  expectResult(await update([grant.world(SEE)]), "EINVAL");
  expectResult(await update([grant.world(SEE), ...everything(SEE, "a.b")]), "EINVAL");
  expectResult(await update(everything(SEE, "a.b")), null);
});

test("EP-019 ENDPOINT_UPDATE takes wildcard names", covers("EP-019"), async ({ bus }) => {
  const endpoint = await bus.makeEndpoint();

  await endpoint.update([...everything(SEE, "a.b.*"), ...everything(SEE, "a.b")]);
});

test("EP-028 a wildcard covers names with exactly one more element", covers("EP-028"), async ({ bus }) => {
  const names = ["a.b", "a.b.c", "a.b.xyz", "a.b.c.d", "a.bc.d"];
  const { endpoint, inside } = await setUp(bus, ...names);

  await endpoint.update(everything(SEE, "a.b.*"));

  expect(await visible(inside, ...names)).toEqual(["a.b.c", "a.b.xyz"]);
});

test("EP-028 an exact entry hides the wildcard", covers("EP-028"), async ({ bus }) => {
  const { endpoint, inside } = await setUp(bus, "a.b.c", "a.b.d");

  await endpoint.update([...everything(SEE, "a.b.*"), item.name("a.b.c")]);

  expect(await visible(inside, "a.b.c", "a.b.d")).toEqual(["a.b.d"]);
});

test("EP-023 NAME notifications come only for names that may be seen", covers("EP-023"), async ({ bus }) => {
  const { endpoint, inside, peer } = await setUp(bus);
  const second = await bus.connect();
  for (const type of [abi.ITEM.NAME_ADD, abi.ITEM.NAME_REMOVE, abi.ITEM.NAME_CHANGE]) await inside.addMatch([item.nameChange(type, ANY, ANY)]);
  const changes = async (): Promise<string[]> => {
    for (const name of ["seen.name", "hidden.name"]) {
      await peer.acquire(name);
      await second.acquire(name, abi.NAME.QUEUE);
      await peer.release(name);
      await second.release(name);
    }
    return (await inside.recvAll()).map(({ notification }) => (notification !== undefined && "name" in notification ? `${notification.kind} ${notification.name}` : "other"));
  };

  expect(await changes()).toEqual([]);
  await endpoint.update(everything(SEE, "seen.name"));
  expect(await changes()).toEqual(["NAME_ADD seen.name", "NAME_CHANGE seen.name", "NAME_REMOVE seen.name"]);
  await endpoint.update([]);
  expect(await changes()).toEqual([]);
});

test("EP-025 an invisible name gives ESRCH, a peer without visible name ENXIO", covers("EP-025"), async ({ bus }) => {
  const { endpoint, inside, peer } = await setUp(bus, "first.name", "second.name");
  const bare = await bus.connect();

  await expectErrno(inside.info("first.name"), "ESRCH");
  await expectErrno(inside.info(peer), "ENXIO");
  await endpoint.update(everything(SEE, "first.name"));

  expect((await inside.info("first.name")).id).toBe(peer.id);
  expect((await inside.info(peer)).id).toBe(peer.id);
  await expectErrno(inside.info("second.name"), "ESRCH");
  await expectErrno(inside.info(bare), "ENXIO");
});

test("EP-022 nobody is privileged through a custom endpoint", covers("EP-022"), async ({ bus }) => {
  const { endpoint, inside } = await setUp(bus);

  await expectErrno(inside.acquire("test.name"), "EPERM");
  await endpoint.update(everything(OWN, "test.name"));
  await expectErrno(inside.acquire("test.name"), "EPERM");
  await bus.connectPolicyHolder("test.name", [grant.world(OWN)]);
  await inside.acquire("test.name");
});

test("EP-027 ID_ADD and ID_REMOVE come through custom endpoints whatever their policy", covers("EP-027"), async ({ bus }) => {
  const { inside } = await setUp(bus);
  await inside.addMatch([item.idChange(abi.ITEM.ID_ADD, ANY)]);
  await inside.addMatch([item.idChange(abi.ITEM.ID_REMOVE, ANY)]);

  const other = await bus.connect();
  await other.close();

  expect((await inside.recvAll()).map(({ notification }) => notification)).toMatchObject([{ kind: "ID_ADD", id: other.id }, { kind: "ID_REMOVE", id: other.id }]);
});
