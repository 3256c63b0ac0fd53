import { abi, covers, encodeCommand, expect, expectErrno, item, listDirectory, memory, resultOf, Script, stat, test, type Process } from "../../support/index.ts";

const { ACCESS_GROUP, ACCESS_WORLD } = abi.MAKE;
const CWD = -100;
const AT_REMOVEDIR = 0x200;
const [O_RDWR, O_CREAT, O_EXCL] = [2, 0o100, 0o200];
const text = (value: string): ReturnType<typeof memory> => memory(`${value}\0`);

for (const [flags, directory, file] of [[0n, 0o500, 0o600], [ACCESS_GROUP, 0o550, 0o660], [ACCESS_WORLD, 0o555, 0o666], [ACCESS_GROUP | ACCESS_WORLD, 0o555, 0o666]] as const) {
  test(`FS-010 a bus made with flags ${flags} has the modes 0${directory.toString(8)} and 0${file.toString(8)}`, covers("FS-010", "FS-011"), async ({ domain, spawn }) => {
    const maker = await spawn({ umask: 0o777, label: "maker" }); // no business of the tree

    const bus = await domain.makeBus(maker, { flags });

    const [outer, inner] = [await stat(maker, bus.directory), await stat(maker, bus.path)];
    expect([outer.kind, outer.mode, inner.kind, inner.mode]).toEqual(["directory", directory, "file", file]);
  });
}

test("FS-012 a bus belongs to the effective ids of its maker", covers("FS-012"), async ({ domain, root, spawn }) => {
  const maker = await spawn({ uid: { real: 0, effective: 1000, saved: 0 }, gid: { real: 0, effective: 1001, saved: 0 }, label: "maker" });

  const bus = await domain.makeBus(maker);

  for (const path of [bus.directory, bus.path]) expect(await stat(root, path), path).toMatchObject({ uid: 1000, gid: 1001 });
});

test("FS-013 listings tell buses as directories and all else as files, with the inode numbers of stat", covers("FS-013", "FS-014"), async ({ bus, domain, root }) => {
  await domain.makeBus(root, { name: "second" });
  await bus.makeEndpoint({ name: "extra" });

  const paths: string[] = [];
  const wrong: string[] = [];
  const inodes = new Set<bigint>();
  const look = async (directory: string): Promise<void> => {
    for (const { name, kind, ino } of await listDirectory(root, directory)) {
      const path = `${directory}/${name}`;
      const seen = await stat(root, path);
      if (seen.kind !== kind) wrong.push(`${path} is a ${seen.kind}, listed as ${kind}`);
      if (name === "..") continue;
      if (seen.ino !== ino || ino === 0n) wrong.push(`${path} has inode ${seen.ino}, listed with ${ino}`);
      if (name === ".") continue;
      paths.push(`${kind} ${path.slice(domain.path.length)}`);
      inodes.add(ino);
      if (kind === "directory") await look(path);
    }
  };
  await look(domain.path);

  expect(wrong).toEqual([]);
  expect(paths.sort()).toEqual([`directory /${bus.name}`, "directory /0-second", "file /control", `file /${bus.name}/bus`, `file /${bus.name}/0-extra`, "file /0-second/bus"].sort());
  expect(inodes.size).toBe(paths.length);
  expect(inodes).not.toContain((await stat(root, domain.path)).ino);
});

test("FS-015 directories have two links", covers("FS-015"), async ({ bus, domain, root }) => {
  expect([(await stat(root, domain.path)).links, (await stat(root, bus.directory)).links]).toEqual([2, 2]);
});

async function errors(process: Process, calls: Record<string, Parameters<Process["syscall"]>>): Promise<Record<string, string | null>> {
  const seen: Record<string, string | null> = {};
  for (const [what, call] of Object.entries(calls)) seen[what] = (await process.syscall(...call)).errno;
  return seen;
}

for (const [who, errno] of [["root", "EPERM"], ["an ordinary user", "EACCES"]] as const) {
  test(`FS-016 ${who} cannot make nodes by system calls`, covers("FS-016"), async ({ bus, domain, root, spawn }) => {
    const process = who === "root" ? root : await spawn({ uid: 1000, gid: 1000, label: "user" });
    const calls: Record<string, Parameters<Process["syscall"]>> = {};
    for (const [directory, file] of [[domain.path, domain.control], [bus.directory, bus.path]] as const) {
      const fresh = text(`${directory}/fresh`);
      calls[`mkdir in ${directory}`] = ["mkdirat", CWD, fresh, 0o755];
      // a fifo: for a regular file mknod is a create to the kernel, which answers EACCES before the file system is asked
      calls[`mknod in ${directory}`] = ["mknodat", CWD, fresh, 0o010644, 0];
      calls[`symlink in ${directory}`] = ["symlinkat", text("/tmp"), CWD, fresh];
      calls[`link in ${directory}`] = ["linkat", CWD, text(file), CWD, fresh, 0];
    }

    expect(await errors(process, calls)).toEqual(Object.fromEntries(Object.keys(calls).map((what) => [what, errno])));
    for (const directory of [domain.path, bus.directory]) await expectErrno(stat(root, `${directory}/fresh`), "ENOENT");
  });

  test(`FS-017 ${who} cannot remove or rename nodes by system calls`, covers("FS-017"), async ({ bus, domain, root, spawn }) => {
    const process = who === "root" ? root : await spawn({ uid: 1000, gid: 1000, label: "user" });
    const calls: Record<string, Parameters<Process["syscall"]>> = {
      "unlink control": ["unlinkat", CWD, text(domain.control), 0],
      "unlink an endpoint": ["unlinkat", CWD, text(bus.path), 0],
      "rmdir a bus": ["unlinkat", CWD, text(bus.directory), AT_REMOVEDIR],
      "rename control": ["renameat2", CWD, text(domain.control), CWD, text(`${domain.path}/fresh`), 0],
      "rename a bus": ["renameat2", CWD, text(bus.directory), CWD, text(`${domain.path}/fresh`), 0],
      "rename an endpoint": ["renameat2", CWD, text(bus.path), CWD, text(`${bus.directory}/fresh`), 0],
    };

    expect(await errors(process, calls)).toEqual(Object.fromEntries(Object.keys(calls).map((what) => [what, errno])));
    for (const path of [domain.control, bus.path]) expect((await stat(root, path)).kind).toBe("file");
  });
}

test("FS-018 open makes no files, and opens those that exist", covers("FS-018"), async ({ bus, domain, root, spawn }) => {
  const user = await spawn({ uid: 1000, gid: 1000, label: "user" });

  for (const process of [root, user]) {
    for (const directory of [domain.path, bus.directory]) await expectErrno(process.open(`${directory}/foo`, O_CREAT | O_RDWR), "EACCES");
    await process.open(domain.control, O_CREAT | O_RDWR);
    await expectErrno(process.open(domain.control, O_CREAT | O_EXCL | O_RDWR), "EEXIST");
  }
});

test("FS-020 the modes of directory and file decide who opens an endpoint", covers("FS-020"), async ({ bus, domain, root, spawn }) => {
  const stranger = await spawn({ uid: 1000, gid: 1000, label: "stranger" });
  const member = await spawn({ uid: 1000, gid: 1000, groups: [0], label: "member" });
  const own = await bus.makeEndpoint({ name: "own", flags: 0n });
  const group = await bus.makeEndpoint({ name: "group", flags: ACCESS_GROUP });
  const world = await bus.makeEndpoint({ name: "world", flags: ACCESS_WORLD });
  const hidden = await (await domain.makeBus(root, { flags: 0n })).makeEndpoint({ flags: ACCESS_WORLD });
  const opens = async (process: Process): Promise<(string | null)[]> => {
    const seen: (string | null)[] = [];
    for (const { path } of [own, group, world, hidden]) seen.push((await process.syscall("openat", CWD, text(path), O_RDWR, 0)).errno);
    return seen;
  };

  expect(await opens(stranger)).toEqual(["EACCES", "EACCES", null, "EACCES"]);
  expect(await opens(member)).toEqual(["EACCES", null, null, "EACCES"]);
  expect(await opens(root)).toEqual([null, null, null, null]);
});

test("FS-034 a bus is gone when its owner handle is closed, and its name is free", covers("FS-034"), async ({ domain, root }) => {
  const bus = await domain.makeBus(root, { name: "again" });
  await bus.connect();

  await bus.close();

  for (const path of [bus.directory, bus.path]) await expectErrno(stat(root, path), "ENOENT");
  const again = await domain.makeBus(root, { name: "again" });
  expect((await stat(root, again.path)).kind).toBe("file");
});

test("FS-040 a removed bus directory that is still in use is empty", covers("FS-040"), async ({ bus, spawn }) => {
  const visitor = await spawn({ label: "visitor" });
  await visitor.must("chdir", text(bus.directory));
  expect((await stat(visitor, "bus")).kind).toBe("file");

  await bus.close();

  await expectErrno(stat(visitor, "bus"), "ENOENT");
  expect((await listDirectory(visitor, ".")).map(({ name }) => name).sort()).toEqual([".", ".."]);
});

test("FS-041 a listing read in small pieces has every node once", covers("FS-041"), async ({ bus, domain, root }) => {
  const others = [];
  for (let index = 0; index < 12; index++) others.push(await domain.makeBus(root, { name: `n${index}` }));

  const whole = (await listDirectory(root, domain.path)).map(({ name }) => name);
  expect(whole).toEqual(expect.arrayContaining([bus.name, ...others.map(({ name }) => name)]));
  for (const bytes of [40, 72, 100, 200]) expect((await listDirectory(root, domain.path, bytes)).map(({ name }) => name).sort(), `in buffers of ${bytes} bytes`).toEqual([...whole].sort());
});

test("FS-041 listings repeat and skip nothing while buses come and go", covers("FS-041"), async ({ bus, domain, root, spawn }) => {
  const maker = await spawn({ label: "maker" });
  const script = new Script();
  const control = text(domain.control);
  const makes = ["0-x1", "0-x2", "0-x3"].map((name) => memory(encodeCommand("BUS_MAKE", { flags: ACCESS_WORLD }, [item.makeName(name), item.bloomParameter(64, 1)])));
  script.repeat(150, () => {
    const opened = makes.map((make) => {
      const open = maker.openStep(script, control);
      script.ioctl(resultOf(open), abi.COMMANDS.BUS_MAKE, make);
      return open;
    });
    return opened.map((open) => script.syscall("close", resultOf(open))).at(-1) as ReturnType<Script["syscall"]>;
  });
  const started = maker.peer.start(script.program);
  let ended = false;
  void started.result.finally(() => (ended = true));

  let listings = 0;
  do {
    const entries = await listDirectory(root, domain.path);
    // a name made again while the listing is read is another node
    const nodes = entries.filter(({ name }) => !name.startsWith(".")).map(({ name, ino }) => `${name} (${ino})`);
    expect(new Set(nodes).size, nodes.join(", ")).toBe(nodes.length);
    const seen = entries.map(({ name }) => name);
    expect(seen.filter((name) => name === bus.name)).toHaveLength(1);
    expect(seen).toEqual(expect.arrayContaining([bus.name, "control", ".", ".."]));
    listings++;
  } while (!ended && listings < 2000);
  await started.result;
});
