import { abi, covers, expect, expectErrno, forkOf, listDirectory, memory, Script, stat, test, type Process } from "../../support/index.ts";

const text = (value: string): ReturnType<typeof memory> => memory(`${value}\0`);
const names = async (process: Process, path: string): Promise<string[]> => (await listDirectory(process, path)).map(({ name }) => name).filter((name) => name !== "." && name !== "..").sort();

test("FS-001 kdbusfs is a file system without a device", covers("FS-001"), async ({ agent, root }) => {
  expect(await agent.readText("/proc/filesystems")).toMatch(/^nodev\s+kdbusfs$/m);

  await agent.mount({ source: "whatever/you like", target: "/run/any-source", type: "kdbusfs", makeTarget: true });

  expect(await names(root, "/run/any-source")).toEqual(["control"]);
});

test("FS-002 the module makes an empty directory to mount on", covers("FS-002"), async ({ domain, root, spawn }) => {
  expect((await stat(root, domain.path)).kind).toBe("directory");
  const apart = await spawn({ namespaces: ["mount"], label: "apart" });
  await apart.must("umount2", text("/sys/fs/kdbus"), 0);

  expect((await stat(apart, "/sys/fs/kdbus")).kind).toBe("directory");
  expect(await names(apart, "/sys/fs/kdbus")).toEqual([]);
});

test("FS-003 each mount is a domain of its own", covers("FS-003"), async ({ domain, mountDomain, root }) => {
  const other = await mountDomain();

  const first = await domain.makeBus(root, { name: "same" });
  expect(await names(root, other.path)).toEqual(["control"]);
  const second = await other.makeBus(root, { name: "same" });
  await first.close();

  expect(await names(root, domain.path)).toEqual(["control"]);
  expect(await names(root, other.path)).toEqual(["0-same", "control"]);
  await second.connect();
});

test("FS-004 a bind mount shows the same domain", covers("FS-004"), async ({ domain, root }) => {
  await root.must("mkdirat", -100, text("/run/bound"), 0o755);
  await root.must("mount", text(domain.path), text("/run/bound"), text("none"), 0x1000, 0);

  const bus = await domain.makeBus(root, { name: "shared" });

  expect(await names(root, "/run/bound")).toEqual(["0-shared", "control"]);
  expect((await stat(root, "/run/bound/0-shared/bus")).ino).toBe((await stat(root, bus.path)).ino);
});

test("FS-005 the owner of a user namespace mounts a domain there", covers("FS-005"), async ({ spawn }) => {
  const user = await spawn({ uid: 1000, gid: 1000, label: "user" });
  const inside = await forkOf(user, { namespaces: ["user", "mount"], uidMap: [[0, 1000, 1]], gidMap: [[0, 1000, 1]], uid: 0, gid: 0, label: "inside" });

  await inside.must("mount", text("kdbusfs"), text("/mnt"), text("kdbusfs"), 0, 0);

  expect(await names(inside, "/mnt")).toEqual(["control"]);
});

test("FS-006 statfs knows the file system", covers("FS-006"), async ({ domain, root }) => {
  const buffer = memory(256);
  const script = new Script();
  const call = script.syscall("statfs", text(domain.path), buffer);
  const load = script.load(buffer);
  const result = await root.run(script);

  expect(result.of(call).errno).toBeNull();
  expect(new DataView(result.bytes(load).buffer).getUint32(0, true)).toBe(abi.KDBUSFS_MAGIC);
});

test("FS-007 an option string is ignored or refused", covers("FS-007"), async ({ root }) => {
  const { errno } = await root.syscall("mount", text("kdbusfs"), text("/mnt"), text("kdbusfs"), 0, text("some=option"));

  if (errno === null) expect(await names(root, "/mnt")).toEqual(["control"]);
  else expect(errno).toBe("EINVAL");
});

test("FS-008 a fresh mount holds the file control", covers("FS-008"), async ({ mountDomain, root }) => {
  const fresh = await mountDomain();

  expect((await listDirectory(root, fresh.path)).map(({ name, kind }) => `${kind} ${name}`).sort()).toEqual(["directory .", "directory ..", "file control"]);
  expect((await stat(root, fresh.control)).kind).toBe("file");
});

test("FS-009 everybody may read the root and open control", covers("FS-009"), async ({ mountDomain, root }) => {
  const fresh = await mountDomain();

  expect([(await stat(root, fresh.path)).mode, (await stat(root, fresh.control)).mode]).toEqual([0o555, 0o666]);
});

test("FS-039 a domain at its usual place keeps no user namespace from mounting sysfs", covers("FS-039"), async ({ domain, root, spawn }) => {
  expect(await names(root, domain.path)).toContain("control");
  const inside = await spawn({ namespaces: ["user", "net", "mount"], label: "inside" });

  await inside.must("mount", text("sysfs"), text("/mnt"), text("sysfs"), 0, 0);

  expect(await names(inside, "/mnt")).toContain("fs");
});

test("FS-019 a missing name is not there", covers("FS-019"), async ({ bus, domain, root }) => {
  for (const path of [`${domain.path}/nosuch`, `${bus.directory}/nosuch`, `${domain.path}/0-nosuch/bus`]) await expectErrno(root.open(path), "ENOENT");
});
