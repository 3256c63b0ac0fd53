import { asSuiteError } from "../base/errors.ts";
import type { AgentClient } from "./agent-client.ts";
import type { Peer } from "./peer.ts";
import { Program, type Call } from "./program.ts";
import type { SpawnOptions } from "./spawn-options.ts";

const PAGE = 4096;
const SIGUSR1 = 10;
const [O_RDWR_CREATE, O_DIRECTORY] = [0o102, 0o200000];
const [F_ADD_SEALS, F_GET_SEALS] = [1033, 1034];
const [FIONREAD, POLLIN] = [0x541b, 1];
const [AF_UNIX, SOCK_SEQPACKET, SOL_SOCKET, SCM_RIGHTS] = [1, 5, 1, 1];

/** As tests make them: root, a user, and root of namespaces of its own. */
const PROCESSES: readonly SpawnOptions[] = [{}, { uid: 1000, gid: 1000, groups: [] }, { namespaces: ["user", "pid", "mount", "uts", "ipc"], mountProc: true }];

/**
 * Has the guest do once what processes of tests do all the time: begin, allocate, share memory, pass descriptors, wait,
 * send signals, read files of /proc, end. An emulator translates the kernel's code at its first execution, and clones of
 * the machine inherit that. The bus is not touched, for the first use of it belongs to a test, nor is any file kept.
 * @returns what the guest refused, in its words; it is left out, for this proves nothing
 */
export async function rehearse(agent: AgentClient, timeoutMs: number): Promise<readonly string[]> {
  const refused: string[] = [];
  const tried = <T>(doing: Promise<T>): Promise<T | undefined> =>
    doing.catch((error: unknown) => {
      refused.push(asSuiteError(error).message);
      return undefined;
    });
  const peers = (await Promise.all(PROCESSES.map((options) => tried(agent.spawnPeer(options))))).filter((peer): peer is Peer => peer !== undefined);
  for (let turn = 0; turn < 2; turn++) {
    await Promise.all(
      peers.map(async (peer, index) => {
        for (const program of [memory(), files(index), channels(), signals()]) await tried(peer.run(program, { timeoutMs }));
      }),
    );
  }
  const [first, second] = peers;
  if (first !== undefined && second !== undefined) {
    const event = await tried(first.syscall("eventfd2", 0, 0));
    if (event !== undefined) await tried(first.passFd(second, Number(event.value)));
    const fork = await tried(first.fork());
    await Promise.all([tried(first.thread().run(memory(), { timeoutMs })), fork === undefined ? fork : tried(fork.run(channels(), { timeoutMs }))]);
    if (fork !== undefined) await tried(fork.close());
    await tried(second.kill("SIGKILL"));
  }
  for (const peer of peers) if (peer !== second) await tried(peer.close());
  return refused;
}

function memory(): Program {
  const program = new Program();
  const fd = program.syscall("memfd_create", ["rehearsal", 3]).ret;
  const content = program.buffer(3 * PAGE, { guard: true });
  program.fill(content.at(), 7, 3 * PAGE);
  program.syscall("ftruncate", [fd, 16 * PAGE]);
  program.syscall("pwrite64", [fd, content.at(), 3 * PAGE, PAGE]);
  program.syscall("fcntl", [fd, F_ADD_SEALS, 2]);
  program.syscall("fcntl", [fd, F_GET_SEALS]);
  const shared = program.map(fd, 16 * PAGE);
  program.crc(shared.at(), 4 * PAGE);
  program.read(shared, PAGE, 8);
  const written = program.map(fd, 16 * PAGE, { prot: 3 });
  program.copy(written.at(8 * PAGE), content.at(), 2 * PAGE);
  program.syscall("read", [fd, content.at(3 * PAGE), PAGE]); // into the guard: EFAULT
  program.read(content, 3 * PAGE, 8, { catch: true });
  const large = program.buffer(256 * PAGE);
  program.fill(large.at(), 1, 256 * PAGE);
  program.free(large);
  program.free(written);
  program.syscall("close", [fd]);
  return program;
}

/** @param own number of the process: what one mounts on a folder of another hides the other's file, and the folder stays */
function files(own: number): Program {
  const program = new Program();
  const room = program.buffer(PAGE);
  for (const path of ["/proc/self/status", "/proc/self/cgroup", "/proc/self/mountinfo", "/proc/self/maps", "/proc/self/attr/current", "/proc/sys/kernel/tainted", "/proc/meminfo"]) {
    const fd = program.syscall("openat", [-100, path, 0]).ret;
    program.syscall("read", [fd, room.at(), PAGE]);
    program.syscall("fstat", [fd, room.at()]);
    program.syscall("close", [fd]);
  }
  const dir = program.syscall("openat", [-100, "/proc/self/fd", O_DIRECTORY]).ret;
  program.syscall("getdents64", [dir, room.at(), PAGE]);
  program.syscall("close", [dir]);
  const name = `/dev/shm/buslab-rehearsal-${own}`;
  program.syscall("mkdir", [name, 0o700]);
  program.syscall("mount", ["none", name, "tmpfs", 0, 0]);
  const file = program.syscall("openat", [-100, `${name}/file`, O_RDWR_CREATE, 0o600]).ret;
  program.syscall("write", [file, room.at(), PAGE]);
  program.syscall("close", [file]);
  program.syscall("chmod", [`${name}/file`, 0o644]);
  program.syscall("stat", [`${name}/file`, room.at()]);
  program.syscall("unlink", [`${name}/file`]);
  program.syscall("umount2", [name, 0]);
  program.syscall("rmdir", [name]);
  return program;
}

/** A page of memory with the numbers of two descriptors, as system calls write them. */
function pair(program: Program, make: (at: ReturnType<Program["addr"]>) => Call): readonly [ReturnType<Program["load"]>, ReturnType<Program["load"]>] {
  const numbers = program.buffer(8);
  make(numbers.at());
  return [program.load(numbers.at(), 4), program.load(numbers.at(4), 4)];
}

function channels(): Program {
  const program = new Program();
  const room = program.buffer(PAGE);
  const event = program.syscall("eventfd2", [1, 0]).ret;
  program.poll(event, POLLIN, 0);
  program.syscall("read", [event, room.at(), 8]);
  program.poll(event, POLLIN, 1);
  program.ioctl(event, FIONREAD, room.at());
  const [out, into] = pair(program, (at) => program.syscall("pipe2", [at, 0]));
  program.syscall("write", [into, room.at(), 64]);
  program.ioctl(out, FIONREAD, room.at());
  program.poll(out, POLLIN, 10);
  program.syscall("read", [out, room.at(), 64]);
  const [left, right] = pair(program, (at) => program.syscall("socketpair", [AF_UNIX, SOCK_SEQPACKET, 0, at]));
  const [message, control, vector] = [program.buffer(64), program.buffer(24), program.buffer(16)];
  program.store(control.at(), 20).store(control.at(8), SOL_SOCKET, 4).store(control.at(12), SCM_RIGHTS, 4).store(control.at(16), event, 4);
  program.patchAddress(vector, 0, room).store(vector.at(8), 8);
  program.patchAddress(message, 16, vector).store(message.at(24), 1);
  program.patchAddress(message, 32, control).store(message.at(40), 24);
  program.syscall("sendmsg", [left, message.at(), 0]);
  program.syscall("recvmsg", [right, message.at(), 0]);
  for (const fd of [event, out, into, left, right]) program.syscall("close", [fd]);
  return program;
}

function signals(): Program {
  const program = new Program();
  program.onSignal(SIGUSR1, "count");
  const pid = program.syscall("getpid").ret;
  for (const call of ["getuid", "getegid", "gettid", "getppid"] as const) program.syscall(call);
  program.syscall("kill", [pid, SIGUSR1]);
  program.signalCount(SIGUSR1);
  program.sleepNs(1_000_000);
  program.clock();
  program.loop(20, () => program.syscall("sched_yield"));
  const limits = program.buffer(16);
  program.syscall("prlimit64", [0, 7, 0, limits.at()]);
  program.onSignal(SIGUSR1, "default");
  return program;
}
