import { randomBytes } from "node:crypto";
import { ByteReader } from "./bytes.ts";
import { Channel, type ConnectOptions } from "./channel.ts";
import { FRAME, type Frame } from "./frame.ts";
import * as machine from "./machine-requests.ts";
import { encodeSpawn, Peer, type PeerHost } from "./peer.ts";
import { rehearse } from "./rehearsal.ts";
import type { SpawnOptions } from "./spawn-options.ts";
import { syscallArch, type SyscallArch } from "./syscalls.ts";

export interface AgentOptions extends ConnectOptions {
  /** Of each request that names none. Default 30 s. */
  readonly requestTimeoutMs?: number;
}

export interface Timeout {
  readonly timeoutMs?: number;
}

/** How much longer the client waits than the agent may take, so that the agent's own report comes first. */
const GRACE_MS = 5000;

/** The host's end of the guest agent. One client at a time; a new one finds the agent as after boot, without peers. */
export class AgentClient implements AsyncDisposable {
  /** Resolves with the reason when the connection is gone. */
  readonly lost: Channel["lost"];
  readonly info: machine.GuestInfo;
  private readonly channel: Channel;
  private readonly timeoutMs: number;
  private readonly peers = new Map<number, Peer>();
  private readonly deaths = new Map<number, number>();
  private nextPeer = 1;

  private constructor(channel: Channel, timeoutMs: number, info: machine.GuestInfo) {
    this.channel = channel;
    this.timeoutMs = timeoutMs;
    this.info = info;
    this.lost = channel.lost;
    channel.onEvent = (frame) => this.event(frame);
  }

  /** @throws GUEST_LOST when nothing listens at the socket, GUEST_TIMEOUT when no agent answers */
  static async connect(socketPath: string, options: AgentOptions): Promise<AgentClient> {
    const channel = await Channel.open(socketPath, options);
    try {
      return new AgentClient(channel, options.requestTimeoutMs ?? 30_000, await machine.info(channel, options.timeoutMs));
    } catch (error) {
      await channel.close();
      throw error;
    }
  }

  get arch(): SyscallArch {
    return syscallArch(this.info.machine, this.info.bits);
  }

  async ping(options: Timeout = {}): Promise<void> {
    return machine.ping(this.channel, this.limit(options));
  }

  /** After a clone: the time of day and new random numbers. */
  async restored(options: Timeout & { readonly unixMs?: number; readonly seed?: Uint8Array } = {}): Promise<void> {
    const seed = options.seed ?? new Uint8Array(randomBytes(machine.SEED_BYTES));
    await machine.restored(this.channel, options.unixMs ?? Date.now(), seed, this.limit(options));
  }

  /** Does once what tests do again and again, see {@link rehearse}. */
  rehearse(options: Timeout = {}): Promise<readonly string[]> {
    return rehearse(this, this.limit(options));
  }

  /** Puts a line of user space into the kernel's log. @returns the kernel's taint mask, read behind it */
  mark(line: string, options: Timeout = {}): Promise<number> {
    return machine.mark(this.channel, line, this.limit(options));
  }

  /** A new process that runs programs, in one round trip. @throws GUEST_REFUSED naming what the kernel refused */
  spawnPeer(options: SpawnOptions = {}): Promise<Peer> {
    return this.spawn(options, undefined);
  }

  /** Runs a command and collects what it prints; a command still running at its limit is killed. */
  exec(argv: readonly string[], options: Timeout & machine.ExecInput = {}): Promise<machine.GuestExit> {
    return machine.exec(this.channel, argv, options, this.limit(options));
  }

  /** Makes the file and missing folders; nothing when `control` is set. */
  writeFile(path: string, data: Uint8Array | string, options: Timeout & machine.WriteOptions = {}): Promise<void> {
    return machine.writeFile(this.channel, path, data, options, this.limit(options));
  }

  readFile(path: string, options: Timeout = {}): Promise<Uint8Array> {
    return machine.readFile(this.channel, path, this.limit(options));
  }

  async readText(path: string, options: Timeout = {}): Promise<string> {
    return new TextDecoder().decode(await this.readFile(path, options));
  }

  /** @param path of a module file in the guest */
  insmod(path: string, options: Timeout & { readonly params?: string } = {}): Promise<void> {
    return machine.insmod(this.channel, path, options.params ?? "", this.limit(options));
  }

  rmmod(name: string, options: Timeout = {}): Promise<void> {
    return machine.rmmod(this.channel, name, this.limit(options));
  }

  mount(options: Timeout & machine.MountOptions): Promise<void> {
    return machine.mount(this.channel, options, this.limit(options));
  }

  umount(target: string, options: Timeout & { readonly flags?: number } = {}): Promise<void> {
    return machine.umount(this.channel, target, options.flags ?? 0, this.limit(options));
  }

  /** The kernel's log as text, from the oldest record that is kept. */
  async kernelLog(options: Timeout = {}): Promise<string> {
    const { records } = await this.kernelLogSince(0n, options);
    return records.map((record) => `[${(Number(record.timeUs) / 1e6).toFixed(6).padStart(12)}] ${record.text}\n`).join("");
  }

  /** Records from a cursor on; give the cursor of the answer the next time. */
  kernelLogSince(cursor: bigint, options: Timeout = {}): Promise<machine.KernelLog> {
    return machine.kernelLogSince(this.channel, cursor, this.limit(options));
  }

  /** A cursor behind the last record. */
  kernelLogEnd(options: Timeout = {}): Promise<bigint> {
    return machine.kernelLogEnd(this.channel, this.limit(options));
  }

  /** The kernel's taint mask; 0 is clean. */
  async taint(options: Timeout = {}): Promise<number> {
    return Number((await this.readText("/proc/sys/kernel/tainted", options)).trim());
  }

  /** Writes a letter to /proc/sysrq-trigger; `c` crashes the kernel, then this rejects with GUEST_LOST or GUEST_TIMEOUT. */
  sysrq(letter: string, options: Timeout = {}): Promise<void> {
    return this.writeFile("/proc/sysrq-trigger", letter, { ...options, control: true });
  }

  /** Requests and answers so far, the last ones: evidence. */
  transcript(): string {
    return this.channel.transcript();
  }

  close(): Promise<void> {
    return this.channel.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private async spawn(options: SpawnOptions, parent: Peer | undefined): Promise<Peer> {
    const id = this.nextPeer++;
    const host: PeerHost = {
      channel: this.channel,
      timeoutMs: this.timeoutMs,
      graceMs: GRACE_MS,
      arch: () => this.arch,
      spawn: (more, from) => this.spawn(more, from),
    };
    const what = parent === undefined ? `spawn peer ${id}` : `fork peer ${id} from ${parent.id}`;
    const answer = new ByteReader(await this.channel.request(FRAME.SPAWN, encodeSpawn(id, parent?.id ?? 0, options), what, this.timeoutMs));
    const arch = typeof options.exec === "string" ? narrow(this.arch) : (parent?.arch ?? this.arch);
    const peer = new Peer(host, id, { pid: answer.u32(), innerPid: answer.u32() }, arch, parent?.keptBuffers ?? 0);
    const death = this.deaths.get(id);
    if (death === undefined) this.peers.set(id, peer);
    else peer.died(death);
    return peer;
  }

  private event(frame: Frame): void {
    if (frame.type !== FRAME.DEATH) return;
    const r = new ByteReader(frame.payload);
    const id = r.u32();
    r.u32();
    const status = r.u32();
    const peer = this.peers.get(id);
    this.peers.delete(id);
    // the answer to SPAWN and the death may come in one piece, before anybody could take the peer
    if (peer === undefined) this.deaths.set(id, status);
    else peer.died(status);
  }

  private limit(options: Timeout): number {
    return options.timeoutMs ?? this.timeoutMs;
  }
}

/** Another image of the agent is run for its narrower words. */
function narrow(arch: SyscallArch): SyscallArch {
  return arch === "x86_64" ? "i386" : arch === "arm64" ? "arm" : arch;
}
