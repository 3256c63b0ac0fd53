import { abi, covers, encodeCommand, expect, expectErrno, expectResult, forkOf, grant, item, ownerOf, payloadText, test, type Bus, type Connection, type Item, type Spawn } from "../../support/index.ts";

const { SEE, TALK, OWN } = abi.POLICY;
const { USER, GROUP, WORLD } = abi.POLICY_TYPE;
const as = async (bus: Bus, spawn: Spawn, uid: number): Promise<Connection> => bus.connect({ by: await spawn({ uid, gid: uid, label: `user${uid}` }) });

let kept = 0;

/** The three ways to upload. */
type Uploads = Record<string, (items: readonly Item[]) => Promise<{ readonly errno: string | null }>>;

async function uploads(bus: Bus): Promise<Uploads> {
  const holder = await bus.connectPolicyHolder(`kept.name${(kept += 1)}`, [grant.user(1000, OWN)]);
  const endpoint = await bus.makeEndpoint({ name: `endpoint${kept}` });
  return {
    HELLO: async (items) => {
      const fd = await bus.owner.open(bus.path);
      const result = await bus.owner.command(fd, "HELLO", encodeCommand("HELLO", { flags: abi.HELLO.POLICY_HOLDER, pool_size: 4096 }, items));
      await bus.owner.close(fd);
      return result;
    },
    UPDATE: (items) => holder.ioctl("UPDATE", encodeCommand("UPDATE", {}, items)),
    ENDPOINT_UPDATE: (items) => bus.owner.command(endpoint.ownerFd, "ENDPOINT_UPDATE", encodeCommand("ENDPOINT_UPDATE", {}, items)),
  };
}

async function outcomes(ways: Uploads, cases: Record<string, readonly Item[]>): Promise<Record<string, string | null>> {
  const seen: Record<string, string | null> = {};
  for (const [way, upload] of Object.entries(ways)) {
    for (const [what, items] of Object.entries(cases)) seen[`${way}: ${what}`] = (await upload(items)).errno;
  }
  return seen;
}

const differing = (seen: Record<string, string | null>, errno: string | null): unknown[] => Object.entries(seen).filter(([, got]) => got !== errno);

test("POL-015 ids are 32 bits wide and mapped", covers("POL-015"), async ({ bus }) => {
  const ways = await uploads(bus);
  const bad: Record<string, readonly Item[]> = {};
  for (const [label, type] of [["user", USER], ["group", GROUP]] as const) {
    for (const id of [0xffff_ffffn, 0x1_0000_0000n, 0x1_0000_03e8n, 0xffff_ffff_ffff_ffffn]) bad[`${label} 0x${id.toString(16)}`] = [item.name("a.b"), item.policyAccess(type, OWN, id)];
  }

  const seen = await outcomes(ways, bad);
  expect(Object.keys(seen)).toHaveLength(24);
  expect(differing(seen, "EINVAL")).toEqual([]);
  expect(differing(await outcomes(ways, { good: [item.name("a.b"), grant.user(0xffff_fffe, OWN), grant.group(1000, OWN)] }), null)).toEqual([]);
});

test("POL-015 ids are those of the uploader's user namespace", covers("POL-015"), async ({ bus, root, spawn }) => {
  const inside = await forkOf(root, { namespaces: ["user"], uidMap: [[0, 0, 1], [5, 1000, 1]], gidMap: [[0, 0, 1]], uid: 0, gid: 0, label: "inside" });
  const holder = await bus.connectPolicyHolder("a.b", [grant.user(5, OWN)], { by: inside });
  const [mapped, number] = [await as(bus, spawn, 1000), await as(bus, spawn, 5)];

  await expectErrno(number.acquire("a.b"), "EPERM");
  await mapped.acquire("a.b");
  await expectErrno(holder.update([item.name("a.b"), grant.user(1000, OWN)]), "EINVAL");
});

test("POL-016 unknown types and rights are refused", covers("POL-016"), async ({ bus }) => {
  const ways = await uploads(bus);
  const one = (type: bigint, access: bigint): Item[] => [item.name("a.b"), item.policyAccess(type, access, 1000)];
  const bad = { "type 0": one(0n, OWN), "type 4": one(4n, OWN), "type 1 << 32": one(USER | (1n << 32n), OWN), "access 3": one(USER, 3n), "world access 3": one(WORLD, 3n), "access 1 << 32": one(USER, 1n << 32n) };

  expect(differing(await outcomes(ways, bad), "EINVAL")).toEqual([]);
  expect(differing(await outcomes(ways, { good: one(USER, OWN) }), null)).toEqual([]);
});

test("POL-017 a grant follows its name", covers("POL-017"), async ({ bus }) => {
  const ways = await uploads(bus);
  expect(differing(await outcomes(ways, { "grant first": [grant.world(OWN), item.name("a.b")], "grant alone": [grant.world(OWN)] }), "EINVAL")).toEqual([]);
});

test("POL-018 names in uploads are valid", covers("POL-018"), async ({ bus }) => {
  const ways = await uploads(bus);
  const names = [".example.*", "example", "", "a..b", "a.1b", "*", "a.b.", "a.*.b", "a.b*", `a.${"b".repeat(254)}`];

  const seen = await outcomes(ways, Object.fromEntries(names.map((name) => [name, [item.name(name), grant.world(TALK)]])));

  expect(Object.keys(seen)).toHaveLength(3 * names.length);
  expect(differing(seen, "EINVAL")).toEqual([]);
});

test("POL-019 an entry belongs to one uploader; a name and its wildcard are two entries", covers("POL-019"), async ({ bus }) => {
  await bus.connectPolicyHolder("com.example.a", []);
  const other = await bus.connectPolicyHolder("com.example.a.*", []);

  await expectErrno(bus.connectPolicyHolder("com.example.a", []), "EEXIST");
  await expectErrno(bus.connectPolicyHolder("com.example.a.*", [grant.world(OWN)]), "EEXIST");
  await expectErrno(other.update([item.name("com.example.a")]), "EEXIST");
  await expectErrno(bus.connectActivator("com.example.a"), "EEXIST");

  await other.update([item.name("com.example.a.*"), grant.world(OWN)]); // its own entry
});

test("POL-020 a failed upload leaves the earlier entries in force", covers("POL-020"), async ({ bus, spawn }) => {
  const holder = await bus.connectPolicyHolder("a.b", [grant.user(1000, OWN)]);
  await bus.connectPolicyHolder("c.d", []);
  const user = await as(bus, spawn, 1000);

  await expectErrno(holder.update([item.name("c.d"), grant.user(1000, OWN)]), "EEXIST");
  await expectErrno(holder.update([item.name("a.b"), grant.world(SEE), item.policyAccess(9, OWN, 1)]), "EINVAL");

  await user.acquire("a.b");
  await expectErrno(user.acquire("c.d"), "EPERM");
  await expectErrno(bus.connectPolicyHolder("a.b", []), "EEXIST");
});

test("POL-021 a good upload takes the place of the earlier entries", covers("POL-021", "POL-025"), async ({ bus, spawn }) => {
  const holder = await bus.connectPolicyHolder("com.example.a", [grant.world(OWN)]);
  const user = await as(bus, spawn, 1000);

  await holder.update([item.name("com.example.*"), grant.user(2000, OWN)]);

  await expectErrno(user.acquire("com.example.a"), "EPERM");
  await bus.connectPolicyHolder("com.example.a", [grant.user(1000, OWN)]);
  await user.acquire("com.example.a");
});

test("POL-022 a name without grants grants nothing", covers("POL-022"), async ({ bus, spawn }) => {
  const holder = await bus.connectPolicyHolder("a.b", [grant.world(OWN)]);
  const user = await as(bus, spawn, 1000);
  await user.acquire("a.b");
  await user.release("a.b");

  await holder.update([item.name("a.b")]);

  await expectErrno(user.acquire("a.b"), "EPERM");
  await expectErrno(bus.connectPolicyHolder("a.b", []), "EEXIST");
});

for (const way of ["HELLO", "UPDATE"] as const) {
  test(`POL-023 a wildcard uploaded by ${way} covers exactly one further element`, covers("POL-023", "POL-025", "POL-047"), async ({ bus, spawn }) => {
    const grants = [grant.user(1000, OWN), grant.user(2000, TALK)];
    if (way === "HELLO") await bus.connectPolicyHolder("com.example.*", grants);
    else await (await bus.connectPolicyHolder("other.name", [])).update([item.name("com.example.*"), ...grants]);
    const [user, talker] = [await as(bus, spawn, 1000), await as(bus, spawn, 2000)];
    await expectErrno(talker.send(user), "EPERM");

    await user.acquire("com.example.x");
    await user.acquire("com.example.other-one");
    for (const name of ["com.example.x.y", "com.example", "com.examples.x", "com.x"]) await expectErrno(user.acquire(name), "EPERM");

    await talker.send("com.example.x", { payload: "hello" });
    expect(payloadText(await user.recv())).toBe("hello");
    await expectErrno(talker.acquire("com.example.y"), "EPERM");
  });
}

test("POL-024 an exact entry hides the wildcard", covers("POL-024"), async ({ bus, spawn }) => {
  await bus.connectPolicyHolder("com.example.*", [grant.world(OWN)]);
  const exact = await bus.connectPolicyHolder("com.example.a", []);
  const user = await as(bus, spawn, 1000);

  await expectErrno(user.acquire("com.example.a"), "EPERM");
  await user.acquire("com.example.b");
  await exact.close();
  await user.acquire("com.example.a");
});

test("POL-026 a change of policy counts from the next operation on", covers("POL-026", "POL-028"), async ({ bus, spawn }) => {
  const holder = await bus.connectPolicyHolder("a.b", [grant.user(1000, OWN), grant.user(2000, TALK)]);
  const [owner, user] = [await as(bus, spawn, 1000), await as(bus, spawn, 2000)];
  await owner.acquire("a.b");
  await user.send("a.b", { cookie: 1 });

  await holder.update([item.name("a.b")]);
  await expectErrno(user.send("a.b"), "EPERM");
  await expectErrno(user.send(owner), "EPERM");
  expect(await ownerOf(user, "a.b")).toBe(owner.id); // it keeps what it has
  await (await bus.connect()).send("a.b", { cookie: 2 });

  await holder.update([item.name("a.b"), grant.user(2000, TALK)]);
  await user.send("a.b", { cookie: 3 });
  expect((await owner.recvAll()).map(({ header }) => header.cookie)).toEqual([1n, 2n, 3n]);
  await owner.release("a.b");
  await expectErrno(owner.acquire("a.b"), "EPERM");
});

test("POL-027 entries end with their holder", covers("POL-027"), async ({ bus, spawn }) => {
  const holder = await bus.connectPolicyHolder("a.b", [grant.world(TALK)]);
  const [owner, user] = [await bus.connect(), await as(bus, spawn, 1000)];
  await owner.acquire("a.b");
  await user.send("a.b");

  await holder.close();

  await expectErrno(user.send("a.b"), "EPERM");
  await bus.connectPolicyHolder("a.b", []);
});

test("POL-029 an activator's grants count for its name as long as it lives", covers("POL-029"), async ({ bus, spawn }) => {
  const activator = await bus.connectActivator("a.b", { items: [grant.world(TALK), grant.user(1000, OWN)] });
  const [user, owner] = [await as(bus, spawn, 2000), await as(bus, spawn, 1000)];

  await user.send("a.b");
  await expectErrno(user.acquire("a.b"), "EPERM");
  await owner.acquire("a.b");
  await user.send("a.b");

  await activator.close();
  await expectErrno(user.send("a.b"), "EPERM");
  await owner.release("a.b");
  await expectErrno(owner.acquire("a.b"), "EPERM");
});

test("POL-020 an upload that names an entry twice changes nothing", covers("POL-020"), async ({ bus }) => {
  const owner = await bus.connect();
  await owner.acquire("a.b");
  const endpoint = await bus.makeEndpoint({ name: `endpoint${kept}` });
  await endpoint.update([item.name("a.b"), grant.world(SEE)]);
  const inside = await endpoint.connect();

  const twice = [item.name("c.d"), grant.world(SEE), item.name("c.d")];
  expectResult(await bus.owner.command(endpoint.ownerFd, "ENDPOINT_UPDATE", encodeCommand("ENDPOINT_UPDATE", {}, twice)), "EEXIST");

  expect((await inside.info("a.b")).id).toBe(owner.id);
});
