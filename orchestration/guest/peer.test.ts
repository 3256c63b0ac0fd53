import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import type { AgentClient } from "./agent-client.ts";
import type { Peer } from "./peer.ts";
import { Program } from "./program.ts";
import type { SpawnOptions } from "./spawn-options.ts";
import { needsRoot, TestAgent } from "./test-agent.ts";

const O_RDONLY = 0;
const AT_FDCWD = -100;

let agent: TestAgent;
let client: AgentClient;

before(async () => {
  agent = await TestAgent.start();
  client = await agent.connect();
});
after(async () => {
  await client.close();
  await agent[Symbol.asyncDispose]();
});

/** The peer's file as the peer itself reads it. */
async function read(peer: Peer, path: string): Promise<string> {
  const program = new Program();
  const buf = program.buffer(65536);
  const fd = program.syscall("openat", [AT_FDCWD, path, O_RDONLY, 0], { orStop: true });
  const got = program.syscall("read", [fd, buf, buf.size], { orStop: true });
  program.syscall("close", [fd]);
  const bytes = program.read(buf, 0, got);
  return new TextDecoder().decode((await peer.run(program)).bytes(bytes));
}

function field(status: string, name: string): string {
  return new RegExp(`^${name}:\\t(.*)$`, "m").exec(status)?.[1] ?? `no line ${name}`;
}

async function spawned(options: SpawnOptions = {}): Promise<Peer> {
  return client.spawnPeer(options);
}

test("a peer is a process of its own with descriptors 0 to 2 alone below 1000", async () => {
  await using peer = await spawned();
  assert.notEqual(peer.pid, client.info.agentPid);
  assert.equal((await peer.syscall("getpid")).value, BigInt(peer.pid));
  assert.equal((await peer.syscall("dup", 0)).value, 3n);
});

test("a peer has the ids and groups that were asked for", { skip: needsRoot }, async () => {
  await using peer = await spawned({ uid: { real: 1001, effective: 1002, saved: 1003, fs: 1001 }, gid: { real: 2001, effective: 2002, saved: 2003, fs: 2001 }, groups: [7, 8, 100000] });
  const status = await read(peer, "/proc/self/status");
  assert.equal(field(status, "Uid"), "1001\t1002\t1003\t1001");
  assert.equal(field(status, "Gid"), "2001\t2002\t2003\t2001");
  assert.equal(field(status, "Groups").trim(), "7 8 100000");
  assert.equal(field(status, "CapEff"), "0000000000000000");
});

test("capabilities are kept and dropped as masks say, for an ordinary user too", { skip: needsRoot }, async () => {
  const ipcOwner = 1n << 15n;
  const sets = { effective: ipcOwner, permitted: ipcOwner | 1n, inheritable: ipcOwner, bounding: ipcOwner | 3n, ambient: ipcOwner };
  await using peer = await spawned({ uid: 1000, gid: 1000, capabilities: sets });
  const status = await read(peer, "/proc/self/status");
  const hex = (mask: bigint): string => mask.toString(16).padStart(16, "0");
  for (const [name, mask] of [["CapEff", sets.effective], ["CapPrm", sets.permitted], ["CapInh", sets.inheritable], ["CapBnd", sets.bounding], ["CapAmb", sets.ambient]] as const) assert.equal(field(status, name), hex(mask), name); // prettier-ignore
});

test("root without CAP_SYS_ADMIN is refused what needs it", { skip: needsRoot }, async () => {
  await using peer = await spawned({ capabilities: { drop: 1n << 21n } });
  const status = await read(peer, "/proc/self/status");
  for (const name of ["CapEff", "CapPrm", "CapBnd"]) assert.equal(BigInt(`0x${field(status, name)}`) & (1n << 21n), 0n, name);
  assert.notEqual(field(status, "CapEff"), "0000000000000000");
  assert.equal((await peer.syscall("sethostname", "never", 5)).errnoName, "EPERM");
});

test("a peer in a new user namespace has the ids its maps give it", { skip: needsRoot }, async () => {
  await using peer = await spawned({ namespaces: ["user"], uidMap: [[0, 100000, 1000]], gidMap: [[0, 200000, 1000]], uid: 5, gid: 6 });
  assert.equal((await peer.syscall("getuid")).value, 5n);
  assert.match(readFileSync(`/proc/${peer.pid}/status`, "utf8"), /^Uid:\t100005\t100005\t100005\t100005$/m);
  assert.match(readFileSync(`/proc/${peer.pid}/status`, "utf8"), /^Gid:\t200006\t/m);
});

test("a peer in new pid and mount namespaces is process 1 and sees its own /proc", { skip: needsRoot }, async () => {
  await using peer = await spawned({ namespaces: ["pid", "mount"], mountProc: true });
  assert.equal(peer.innerPid, 1);
  assert.notEqual(peer.pid, 1);
  assert.equal(field(await read(peer, "/proc/self/status"), "NSpid"), "1");
  assert.notEqual(readFileSync(`/proc/${peer.pid}/status`, "utf8"), "");
});

test("user and pid namespaces together work, and the death is seen from outside", { skip: needsRoot }, async () => {
  await using peer = await spawned({ namespaces: ["user", "pid", "ipc", "uts", "net", "cgroup"], hostname: "inside" });
  assert.equal(peer.innerPid, 1);
  assert.equal(await read(peer, "/proc/sys/kernel/hostname"), "inside\n");
  await peer.kill("SIGKILL");
  assert.deepEqual(await peer.exited, { kind: "killed", signal: 9 });
});

test("a peer enters the namespaces of another", { skip: needsRoot }, async () => {
  await using first = await spawned({ namespaces: ["uts", "pid"], hostname: "shared-name" });
  await using second = await spawned({ join: [{ peer: first.id, namespaces: ["uts", "pid"] }] });
  assert.equal(await read(second, "/proc/sys/kernel/hostname"), "shared-name\n");
  assert.equal(second.innerPid, 2);
});

test("a time namespace shifts the monotonic clock", { skip: needsRoot }, async () => {
  await using plain = await spawned();
  await using shifted = await spawned({ namespaces: ["time"], timeOffsets: "monotonic 1000 0\n" });
  const now = async (peer: Peer): Promise<bigint> => {
    const program = new Program();
    const clock = program.clock();
    return (await peer.run(program)).value(clock);
  };
  const ahead = (await now(shifted)) - (await now(plain));
  assert.ok(ahead > 999_000_000_000n && ahead < 1_010_000_000_000n, `${ahead} ns ahead`);
});

test("limits, niceness, name, umask, no_new_privs and working folder are set", { skip: needsRoot }, async () => {
  await using peer = await spawned({ rlimits: [{ resource: 7, soft: 5n, hard: 6n }], nice: 3, comm: "tester", umask: 0o27, noNewPrivs: true, cwd: "/usr", oomScoreAdj: 500, affinity: 1n, setsid: true });
  const status = await read(peer, "/proc/self/status");
  assert.equal(field(status, "Name"), "tester");
  assert.equal(field(status, "Umask"), "0027");
  assert.equal(field(status, "NoNewPrivs"), "1");
  assert.equal(field(status, "Cpus_allowed_list"), "0");
  assert.equal(await read(peer, "/proc/self/oom_score_adj"), "500\n");
  assert.equal((await peer.syscall("getsid", 0)).value, BigInt(peer.pid));
  const opened = [await peer.syscall("dup", 0), await peer.syscall("dup", 0), await peer.syscall("dup", 0)];
  assert.deepEqual(opened.map((call) => call.errnoName), ["", "", "EMFILE"]); // prettier-ignore
});

test("a chroot is the peer's root", { skip: needsRoot }, async () => {
  await using peer = await spawned({ chroot: "/usr/share" });
  assert.equal((await peer.syscall("openat", AT_FDCWD, "/proc", O_RDONLY, 0)).errnoName, "ENOENT");
});

test("a peer may be a fresh image of the agent, its options still hold", { skip: needsRoot }, async () => {
  await using peer = await spawned({ exec: true, uid: 1000, gid: 1000, comm: "again" });
  const status = await read(peer, "/proc/self/status");
  assert.equal(field(status, "Name"), "again");
  assert.equal(field(status, "Uid"), "1000\t1000\t1000\t1000");
  assert.match(await read(peer, "/proc/self/cmdline"), /^buslab-peer\0/);
  assert.equal((await peer.syscall("dup", 0)).value, 3n);
});

test("options the kernel refuses are named with the errno", { skip: needsRoot }, async () => {
  await assert.rejects(spawned({ chroot: "/no/such/folder" }), { code: "GUEST_REFUSED", message: /chroot \/no\/such\/folder: No such file or directory \(ENOENT\)/ });
  await assert.rejects(spawned({ labels: [{ file: "nonsense", value: "x" }] }), { code: "GUEST_REFUSED", message: /label x/ });
  await assert.rejects(spawned({ join: [{ peer: 4711, namespaces: ["pid"] }] }), { code: "GUEST_REFUSED", message: /ESRCH/ });
});

test("a forked peer has its parent's descriptors and memory, and the supervisor as parent", async () => {
  await using parent = await spawned();
  const kept = parent.reserve(16);
  const program = new Program();
  program.write(program.buffer(16, { keep: kept }), 0, new TextEncoder().encode("inherited"));
  const fd = program.syscall("memfd_create", ["shared", 0]);
  const number = (await parent.run(program)).number(fd);

  await using child = await parent.fork({ comm: "child" });
  const look = new Program();
  const bytes = look.read(kept, 0, 9);
  const flags = look.syscall("fcntl", [number, 1]);
  const ppid = look.syscall("getppid");
  const result = await child.run(look);

  assert.equal(new TextDecoder().decode(result.bytes(bytes)), "inherited");
  assert.equal(result.errnoName(flags), "");
  assert.equal(result.number(ppid), client.info.agentPid);
  assert.notEqual(child.pid, parent.pid);
});

test("a descriptor handed to another peer is the same file, at the number asked for", async () => {
  await using from = await spawned();
  await using to = await spawned();
  const program = new Program();
  const fds = program.buffer(8);
  program.syscall("pipe2", [fds, 0], { orStop: true });
  const pair = program.read(fds);
  const view = new DataView((await from.run(program)).bytes(pair).buffer);

  assert.equal(await from.passFd(to, view.getInt32(0, true)), 3);
  assert.equal(await from.passFd(to, view.getInt32(0, true), { at: 77, closeOnExec: true }), 77);
  await from.syscall("write", view.getInt32(4, true), "over", 4);
  const reading = new Program();
  const buf = reading.buffer(4);
  reading.syscall("read", [77, buf, 4]);
  const got = reading.read(buf);
  const flags = reading.syscall("fcntl", [77, 1]);
  const result = await to.run(reading);
  assert.equal(new TextDecoder().decode(result.bytes(got)), "over");
  assert.equal(result.value(flags), 1n);
  await assert.rejects(from.passFd(to, 555), { code: "GUEST_REFUSED", message: /EBADF/ });
});

test("a stopped peer answers after it was continued", async () => {
  await using peer = await spawned();
  await peer.kill("SIGSTOP");
  const later = peer.syscall("getpid");
  // the signal is sent; the peer stops when its processor next looks
  for (let looks = 1; (await peer.state())[0]?.state !== "T"; looks++) assert.ok(looks < 10_000, "it does not stop");
  await peer.kill("SIGCONT");
  assert.equal((await later).value, BigInt(peer.pid));
});

test("a peer that dies in a program is reported with its status, and its requests are refused", async () => {
  const killed = await spawned();
  const waiting = killed.start(pausing()).result;
  const onMain = killed.run(pausing());
  await killed.kill("SIGKILL");
  await assert.rejects(waiting, { code: "GUEST_REFUSED", message: /ESRCH/ });
  await assert.rejects(onMain, { code: "GUEST_REFUSED", message: /ESRCH/ });
  assert.deepEqual(await killed.exited, { kind: "killed", signal: 9 });
  await assert.rejects(killed.syscall("getpid"), { code: "GUEST_REFUSED", message: /does not exist/ });

  const left = await spawned();
  await assert.rejects(left.syscall("exit_group", 42));
  assert.deepEqual(await left.exited, { kind: "exited", code: 42 });
});

test("a cgroup is made on demand", { skip: needsRoot === false && !isCgroup2() ? "needs cgroup v2 at /sys/fs/cgroup" : needsRoot }, async () => {
  await using peer = await spawned({ cgroup: "buslab-test/one" });
  assert.match(await read(peer, "/proc/self/cgroup"), /buslab-test\/one$/m);
});

function pausing(): Program {
  const program = new Program();
  program.syscall("ppoll", [0, 0, 0, 0, 0]); // no timeout: until a signal
  return program;
}

function isCgroup2(): boolean {
  try {
    return readFileSync("/proc/mounts", "utf8").includes(" /sys/fs/cgroup cgroup2 rw");
  } catch {
    return false;
  }
}

test("a peer that outlives SIGKILL is told with the place where the kernel holds it", { skip: needsRoot }, async () => {
  await using short = await agent.connect({ requestTimeoutMs: 1_000 }); // takes the agent over: keep this the last test
  const init = await short.spawnPeer({ namespaces: ["pid"] });
  // the first process of a pid namespace ends after all others are reaped, and a stopped parent outside reaps none
  const held = await short.exec(["sh", "-c", `nsenter --target ${init.pid} --pid sleep 1000 >/dev/null 2>&1 & until pgrep -P $!; do sleep 0.01; done >/dev/null; kill -STOP $!; echo $!`]);
  const parent = Number(held.stdout);
  assert.ok(parent > 1, held.stderr);
  await assert.rejects(init.close(), { name: "HeldInKernel", message: /outlives SIGKILL \([SD]\) in zap_pid_ns_processes, system call/ });
  await short.exec(["kill", "-KILL", String(parent)]);
  await init.exited;
});
