import { abi, covers, Domain, encodeCommand, Endpoint, expect, expectErrno, forkOf, item, listDirectory, memory, payloadText, Script, resultOf, test, type Process } from "../../support/index.ts";

const MS_BIND = 4096n;

test("NS-001 two mounts are separate domains", covers("NS-001"), async ({ domain, mountDomain, root }) => {
  const other = await mountDomain();
  const bus = await domain.makeBus(root, { name: "same" });
  const names = async (path: string): Promise<string[]> => (await listDirectory(root, path)).map((entry) => entry.name).filter((name) => name.startsWith("0-"));

  const before = [await names(domain.path), await names(other.path)];
  const twin = await other.makeBus(root, { name: "same" });
  const [owner, stranger] = [await bus.connect(), await twin.connect()];
  await owner.acquire("test.name");

  expect(before).toEqual([["0-same"], []]);
  await expectErrno(stranger.send("test.name"), "ESRCH");
  expect(await names(other.path)).toEqual(["0-same"]);
  await bus.close();
  expect([await names(domain.path), await names(other.path)]).toEqual([[], ["0-same"]]);
  await stranger.send(stranger);
});

test("NS-002 a bind mount shows the same domain", covers("NS-002"), async ({ bus, domain, agent, root }) => {
  await agent.mount({ source: domain.path, target: "/run/bound", type: "none", flags: MS_BIND, makeTarget: true });
  const bound = new Endpoint(`/run/bound/${bus.name}/bus`, root, bus.ownerFd);
  const [here, there] = [await bus.connect(), await bound.connect()];

  await here.send(there, { payload: "to there" });
  await there.send(here, { payload: "to here" });

  expect(payloadText(await there.recv())).toBe("to there");
  expect(payloadText(await here.recv())).toBe("to here");
  const entries = async (path: string): Promise<string[]> => (await listDirectory(root, path)).map((entry) => entry.name).sort();
  expect(await entries("/run/bound")).toEqual(await entries(domain.path));
});

/** Root of a user namespace made by uid 1000, with kdbusfs mounted in a mount namespace of its own. uid 7 inside is 2000 outside. */
async function mounter(parent: Process): Promise<{ readonly inside: Process; readonly domain: Domain }> {
  const inside = await forkOf(parent, { namespaces: ["user", "mount"], uidMap: [[0, 1000, 1], [7, 2000, 1]], gidMap: [[0, 1000, 1], [7, 2000, 1]], uid: 0, gid: 0, label: "inside" });
  await inside.must("mount", memory("kdbusfs\0"), memory("/mnt\0"), memory("kdbusfs\0"), 0, 0);
  return { inside, domain: new Domain("/mnt") };
}

test("NS-003 root of an unprivileged user and mount namespace mounts kdbusfs and uses it", covers("NS-003", "NS-014"), async ({ spawn }) => {
  const user = await spawn({ uid: 1000, gid: 1000, label: "user" });
  const { inside, domain } = await mounter(user);
  const bus = await domain.makeBus(inside, { name: "inner" });
  const [sender, receiver] = [await bus.connect(), await bus.connect()];

  await receiver.acquire("test.name");
  await sender.send("test.name", { payload: "inside" });

  expect(payloadText(await receiver.recv())).toBe("inside");
  expect((await listDirectory(inside, "/mnt")).map((entry) => entry.name)).toContain("0-inner");
  const monitor = await bus.connectMonitor();
  await monitor.close();
});

test("NS-014 prefixes are uids as the domain's user namespace shows them", covers("NS-014"), async ({ spawn }) => {
  const user = await spawn({ uid: 1000, gid: 1000, label: "user" });
  const { inside, domain } = await mounter(user);
  const outsider = await spawn({ uid: 3000, gid: 3000, label: "outsider" });
  const second = await forkOf(inside, { uid: 7, gid: 7, label: "second" });
  const make = async (by: Process, fd: number, command: "BUS_MAKE" | "ENDPOINT_MAKE", name: string): Promise<string | null> => {
    const bloom = command === "BUS_MAKE" ? [item.bloomParameter(64, 1)] : [];
    return (await by.command(fd, command, encodeCommand(command, { flags: abi.MAKE.ACCESS_WORLD }, [item.makeName(name), ...bloom]))).errno;
  };

  const seen: Record<string, string | null> = {};
  for (const name of ["2000-a", "1000-a", "0-a", "7-a"]) seen[`uid 7 makes ${name}`] = await make(second, await second.open(domain.control), "BUS_MAKE", name);
  for (const name of ["3000-a", "65534-a", "0-a"]) seen[`unmapped makes ${name}`] = await make(outsider, await inside.giveFd(await inside.open(domain.control), outsider), "BUS_MAKE", name);
  const bus = await domain.makeBus(inside, { name: "b" });
  for (const name of ["1000-e", "7-e", "0-e"]) seen[`owner makes endpoint ${name}`] = await make(inside, await inside.open(bus.path), "ENDPOINT_MAKE", name);
  for (const name of ["3000-e", "65534-e"]) seen[`unmapped makes endpoint ${name}`] = await make(outsider, await inside.giveFd(await inside.open(bus.path), outsider), "ENDPOINT_MAKE", name);

  expect(seen).toEqual({
    "uid 7 makes 2000-a": "EINVAL", "uid 7 makes 1000-a": "EINVAL", "uid 7 makes 0-a": "EINVAL", "uid 7 makes 7-a": null,
    "unmapped makes 3000-a": "EINVAL", "unmapped makes 65534-a": "EINVAL", "unmapped makes 0-a": "EINVAL",
    "owner makes endpoint 1000-e": "EINVAL", "owner makes endpoint 7-e": "EINVAL", "owner makes endpoint 0-e": null,
    "unmapped makes endpoint 3000-e": "EINVAL", "unmapped makes endpoint 65534-e": "EINVAL",
  }); // prettier-ignore
});

test("NS-015 one uid has one limit, in whatever user namespace its tasks are", covers("NS-015"), async ({ bus, spawn }) => {
  const rlimits = [{ resource: 7, soft: 4096n, hard: 4096n }];
  const plain = await spawn({ uid: 4242, gid: 4242, rlimits, label: "plain" });
  const maker = await spawn({ uid: 4242, gid: 4242, rlimits, label: "maker" });
  const inside = await forkOf(maker, { namespaces: ["user"], uidMap: [[0, 4242, 1]], gidMap: [[0, 4242, 1]], uid: 0, gid: 0, label: "inside" });
  const connectMany = async (by: Process, times: number): Promise<{ made: number; errno: string | null }> => {
    const script = new Script();
    const path = memory(`${bus.path}\0`);
    const hello = memory(encodeCommand("HELLO", { pool_size: 4096 }));
    let calls: ReturnType<Script["ioctl"]> | undefined;
    script.repeat(times, () => {
      const open = by.openStep(script, path);
      calls = script.ioctl(resultOf(open), abi.COMMANDS.HELLO, hello);
      return calls;
    }, { untilError: true }); // prettier-ignore
    const outcomes = (await by.run(script)).all(calls!);
    return { made: outcomes.filter((outcome) => outcome.errno === null).length, errno: outcomes.at(-1)?.errno ?? null };
  };

  const first = await connectMany(plain, 600);
  const second = await connectMany(inside, abi.LIMITS.connectionsPerUser);

  expect(first).toEqual({ made: 600, errno: null });
  expect(second).toEqual({ made: abi.LIMITS.connectionsPerUser - 600, errno: "EMFILE" });
});
