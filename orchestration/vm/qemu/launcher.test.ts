import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { exec } from "../../base/exec.ts";
import { leftoversOf } from "../leftovers.ts";
import { launch, launchAlone, type ForkOptions, type LaunchOptions, type Launched } from "./launcher.ts";
import { Qmp } from "./qmp.ts";

const QEMU = "qemu-system-x86_64";
const RUN = "20260101-000000-abcdef";
const skip = existsSync(`/usr/bin/${QEMU}`) && existsSync("/usr/bin/gcc") ? false : `needs ${QEMU} and gcc`;
/** A machine without anything that goes on until it is told to end, with its monitor at the standard streams. */
const IDLE = [QEMU, "-name", `buslab-${RUN}-m1`, "-machine", "none", "-display", "none", "-monitor", "stdio"] as const;

const WAYS = {
  "from the launcher": launch,
  alone: (...given: Parameters<typeof launch>): Promise<Launched> => Promise.resolve(launchAlone(...given)),
} as const;

async function optionsIn(t: TestContext): Promise<LaunchOptions & { dir: string }> {
  const dir = await mkdtemp(join(tmpdir(), "buslab-launcher-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return { dir, stdout: join(dir, "out"), stderr: join(dir, "err"), tmpDir: dir, tunables: "glibc.malloc.arena_max=1" };
}

for (const [way, start] of Object.entries(WAYS)) {
  test(`a machine started ${way} has its streams, its command line and its input, and its end is told`, { skip }, async (t) => {
    const options = await optionsIn(t);
    await writeFile(join(options.dir, "input"), "given");
    const machine = await start(IDLE, { ...options, input: join(options.dir, "input") });

    t.after(() => machine.kill());
    await until(() => printed(options.stdout, "QEMU"));
    assert.deepEqual(await leftoversOf(RUN), [machine.pid]);
    assert.equal(await readFile(`/proc/${machine.pid}/fd/3`, "utf8"), "given");
    assert.match(await readFile(`/proc/${machine.pid}/stat`, "utf8"), new RegExp(`\\) \\S \\d+ ${machine.pid} `), "it leads a process group");
    machine.feed("info name\nquit\n");

    assert.deepEqual(await machine.ended, { code: 0, signal: null });
    assert.match(await readFile(options.stdout, "utf8"), new RegExp(`buslab-${RUN}-m1`));
  });

  test(`a machine started ${way} that is killed or refuses its arguments says so`, { skip }, async (t) => {
    const options = await optionsIn(t);
    const killed = await start(IDLE, options);
    killed.kill();
    assert.deepEqual(await killed.ended, { code: null, signal: "SIGKILL" });
    killed.kill();

    const refused = await start([QEMU, "-nonsense"], options);
    assert.deepEqual(await refused.ended, { code: 1, signal: null });
    assert.match(await readFile(options.stderr, "utf8"), /-nonsense: invalid option/);
  });

  test(`a program that is not installed cannot be started ${way}`, async (t) => {
    const options = await optionsIn(t);
    assert.deepEqual(await (await start(["buslab-no-such-program"], options)).ended, { code: 127, signal: null });
  });
}

test("machines from the launcher see nothing of each other's files", { skip }, async (t) => {
  const options = await optionsIn(t);
  const machines = [await launch(IDLE, options), await launch(IDLE, options), await launch(IDLE, options)];
  for (const machine of machines) t.after(() => machine.kill());
  await until(async () => (await readFile(options.stdout, "utf8").catch(() => "")).split("QEMU").length > machines.length);

  for (const { pid } of machines) {
    const open = await Promise.all((await readdir(`/proc/${pid}/fd`)).map((fd) => readFile(`/proc/${pid}/fdinfo/${fd}`, "utf8")));
    assert.ok(open.length < 16, `${open.length} open files`);
    assert.equal(open.filter((info) => info.includes("sigmask")).length, (await ownSignalFds()), "none of the launcher's");
  }
  for (const machine of machines) machine.kill();
  await Promise.all(machines.map((machine) => machine.ended));

  /** What one that was executed has. */
  async function ownSignalFds(): Promise<number> {
    const alone = launchAlone(IDLE, options);
    await delay(300);
    const infos = await Promise.all((await readdir(`/proc/${alone.pid}/fd`)).map((fd) => readFile(`/proc/${alone.pid}/fdinfo/${fd}`, "utf8")));
    alone.kill();
    await alone.ended;
    return infos.filter((info) => info.includes("sigmask")).length;
  }
});

/** A machine without anything, with the two sockets that every machine of the house has. */
async function withSockets(t: TestContext, label: string): Promise<{ options: LaunchOptions & { dir: string }; machine: Launched; monitor: Qmp; own: (label: string) => ForkOptions }> {
  const options = await optionsIn(t);
  const own = (of: string): ForkOptions => ({ ...options, stdout: join(options.dir, `${of}.out`), name: `buslab-${RUN}-${of}`, agentSocket: join(options.dir, `${of}.a`), monitorSocket: join(options.dir, `${of}.q`) });
  const { name, agentSocket, monitorSocket, ...files } = own(label);
  const listening = await Qmp.listen(monitorSocket);
  const argv = [QEMU, "-name", name, "-machine", "none", "-display", "none", "-monitor", "stdio", "-chardev", `socket,id=agent,path=${agentSocket},server=on,wait=off`, "-qmp", `unix:${monitorSocket}`] as const;
  const machine = await launch(argv, { ...options, ...files });
  t.after(() => machine.kill());
  return { options, machine, monitor: await listening.connected, own };
}

/** Forks a machine and connects to the monitor of its copy. */
async function forked(t: TestContext, of: Launched, options: ForkOptions): Promise<{ machine: Launched; monitor: Qmp }> {
  const listening = await Qmp.listen(options.monitorSocket, true);
  const machine = await of.fork?.(options);
  assert.ok(machine !== undefined, "it can be forked");
  t.after(() => machine.kill());
  return { machine, monitor: await listening.connected };
}

test("a fork goes on by itself: own threads, monitor, sockets, streams, name and end", { skip }, async (t) => {
  const { machine: parent, monitor, own } = await withSockets(t, "parent");
  const copy = await forked(t, parent, own("m1"));

  const threads = async (pid: number): Promise<number> => (await readdir(`/proc/${pid}/task`)).length;
  await until(async () => (await threads(copy.machine.pid)) === (await threads(parent.pid)));
  assert.match(await readFile(`/proc/${copy.machine.pid}/stat`, "utf8"), new RegExp(`\\) \\S \\d+ ${copy.machine.pid} `), "it leads a process group");
  assert.deepEqual((await leftoversOf(RUN)).sort(), [parent.pid, copy.machine.pid].sort());
  assert.match(await readFile(`/proc/${copy.machine.pid}/cmdline`, "utf8"), new RegExp(`buslab-${RUN}-m1\0`));

  // an event goes to the machine that it happened in, and to no other
  const events: string[] = [];
  monitor.onEvent(({ event }) => events.push(`parent ${event}`));
  copy.monitor.onEvent(({ event }) => events.push(`copy ${event}`));
  await copy.monitor.send("cont");
  assert.deepEqual([await statusOf(copy.monitor), await statusOf(monitor)], ["running", "running"]);
  await monitor.send("stop");
  assert.deepEqual([await statusOf(copy.monitor), await statusOf(monitor)], ["running", "paused"]);
  assert.deepEqual(events, ["parent STOP"]);

  for (const path of [own("parent").agentSocket, own("m1").agentSocket]) await connects(path);
  copy.machine.feed("info version\n");
  await until(() => printed(own("m1").stdout, "info version"));
  assert.ok(!(await printed(own("parent").stdout, "info version")), "the parent's console is its own");

  await copy.monitor.send("quit").catch(() => undefined);
  assert.deepEqual(await copy.machine.ended, { code: 0, signal: null });
  assert.equal(await statusOf(monitor), "paused");
});

test("forks are made of a fork, of a machine with worker threads, many in a row, and outlive their parent", { skip }, async (t) => {
  const { machine: parent, own } = await withSockets(t, "parent");
  let last = parent;
  const copies: { machine: Launched; monitor: Qmp }[] = [];
  for (let n = 0; n < 20; n++) {
    const copy = await forked(t, last, own(`m${n}`));
    // reading a file takes a thread of the pool, which ends by itself some time later
    await copy.monitor.send("blockdev-add", { driver: "raw", "node-name": `disk${n}`, file: { driver: "file", filename: import.meta.filename }, "read-only": true });
    copies.push(copy);
    last = n % 4 === 3 ? copy.machine : parent;
  }
  parent.kill();
  assert.deepEqual(await parent.ended, { code: null, signal: "SIGKILL" });
  for (const { monitor } of copies) {
    assert.equal(await statusOf(monitor), "running");
    assert.match(JSON.stringify(await monitor.send("query-named-block-nodes")), /"disk\d+"/);
  }
  await assert.rejects(parent.fork?.(own("late")) ?? Promise.resolve(), /its parent has ended/);
});

test("what is written to a disk without a name is a fork's own", { skip }, async (t) => {
  const { options, machine: parent, monitor, own } = await withSockets(t, "parent");
  const disk = join(options.dir, "disk.qcow2");
  await exec(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1M"]);
  await monitor.send("human-monitor-command", { "command-line": `drive_add 0 if=none,id=root,file=${disk},format=qcow2,snapshot=on` });
  /** What qemu-io says of a whole disk of this pattern stands on the machine's output. */
  const io = async (label: string, to: Qmp, command: string): Promise<"done" | "failed"> => {
    const size = (await stat(own(label).stdout).catch(() => ({ size: 0 }))).size;
    await to.human(`qemu-io root "${command} 0 64k"`);
    let said = "";
    await until(async () => /failed|\d+ bytes/.test((said = (await readFile(own(label).stdout, "utf8")).slice(size))));
    return said.includes("failed") ? "failed" : "done";
  };
  assert.equal(await io("parent", monitor, "write -P 0x11"), "done");
  const copies = [await forked(t, parent, own("m1")), await forked(t, parent, own("m2"))];

  for (const [index, copy] of copies.entries()) {
    assert.equal(await io(`m${index + 1}`, copy.monitor, "read -P 0x11"), "done", "what was there is copied");
    assert.equal(await io(`m${index + 1}`, copy.monitor, `write -P 0x2${index}`), "done");
  }
  for (const [index, copy] of copies.entries()) assert.equal(await io(`m${index + 1}`, copy.monitor, `read -P 0x2${index}`), "done");
  assert.equal(await io("parent", monitor, "read -P 0x11"), "done");
  assert.equal(await io("parent", monitor, "read -P 0x20"), "failed", "the comparison can fail");
});

test("a machine with a file that cannot be copied, or without its sockets, is not forked", { skip }, async (t) => {
  const { machine: parent, monitor, own } = await withSockets(t, "parent");
  await monitor.send("chardev-add", { id: "odd", backend: { type: "pty", data: {} } });
  await assert.rejects(forked(t, parent, own("m1")), /cannot be copied/);
  assert.equal(await statusOf(monitor), "running", "and goes on");

  const options = await optionsIn(t);
  const bare = await launch(IDLE, options);
  t.after(() => bare.kill());
  await until(() => printed(options.stdout, "QEMU"));
  await assert.rejects(forked(t, bare, own("m2")), /a socket of it is missing/);
});

async function statusOf(monitor: Qmp): Promise<string> {
  return String(((await monitor.send("query-status")) as { status: string }).status);
}

function connects(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path, () => {
      socket.destroy();
      resolve();
    });
    socket.on("error", reject);
  });
}

async function printed(path: string, text: string): Promise<boolean> {
  return (await readFile(path, "utf8").catch(() => "")).includes(text); // it is made by the process, a moment after its start
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 500; tries += 1) {
    if (await condition()) return;
    await delay(20);
  }
  assert.fail("did not come to pass");
}
