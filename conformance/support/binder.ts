import { concat, words, type Encoded, type Value } from "../../fixtures/abi/encode.ts";
import type { AgentClient } from "../../orchestration/guest/agent-client.ts";
import { BusError } from "./errno.ts";
import { address, memory, type Memory } from "./memory.ts";
import { Pending, type Process } from "./process.ts";
import { Script, type ScriptResult } from "./script.ts";
import { unsupported } from "./unsupported.ts";

/** What a driver return says; the ones that only keep books are left out. */
export interface BinderReturn {
  readonly kind: "transaction" | "reply" | "complete" | "dead reply" | "failed reply" | "dead binder";
  readonly code?: number;
  readonly oneWay?: boolean;
  readonly pid?: number;
  readonly euid?: number;
  /** Address of the data in the receiver's mapping, for {@link BinderEnd.free}. */
  readonly buffer?: bigint;
  readonly size?: number;
  readonly offsets?: bigint;
}

const CTL_ADD = 0xc1086201;
const WRITE_READ = 0xc0306201;
const SET_CONTEXT_MGR_EXT = 0x4018620d;
const ACCEPTS_FDS = 0x100;
const BC = { TRANSACTION: 0x40406300, REPLY: 0x40406301, FREE_BUFFER: 0x40086303, ACQUIRE: 0x40046305, ENTER_LOOPER: 0x630c, REQUEST_DEATH_NOTIFICATION: 0x400c630e } as const;
const BR: Readonly<Record<number, BinderReturn["kind"]>> = { 0x80407202: "transaction", 0x80407203: "reply", 0x7206: "complete", 0x7205: "dead reply", 0x7211: "failed reply", 0x8008720f: "dead binder" };
const TF = { ONE_WAY: 1, ACCEPT_FDS: 0x10 } as const;
const TYPE_FD = 0x66642a85;
/** What Android maps for each process. */
export const BINDER_BUFFER = (1 << 20) - 8192;

/** Mounts binderfs with one device. Unsupported without binder in the kernel. @returns its path */
export async function binderDevice(agent: AgentClient, root: Process): Promise<string> {
  const kinds = await agent.readText("/proc/filesystems");
  if (!/\tbinder$/m.test(kinds)) unsupported("binderfs in the kernel");
  await agent.mount({ source: "binder", target: "/dev/binderfs", type: "binder", makeTarget: true });
  const record = new Uint8Array(264);
  record.set(new TextEncoder().encode("twin"));
  const control = await root.open("/dev/binderfs/binder-control");
  await root.must("ioctl", control, CTL_ADD, memory(record));
  await root.must("fchmodat", -100, memory("/dev/binderfs/twin\0"), 0o666);
  return "/dev/binderfs/twin";
}

/** One process at a binder device, on its main thread; calls that block run on threads of their own. */
export class BinderEnd {
  readonly process: Process;
  readonly fd: number;

  private constructor(process: Process, fd: number) {
    this.process = process;
    this.fd = fd;
  }

  static async open(process: Process, path: string): Promise<BinderEnd> {
    const fd = await process.open(path);
    const script = new Script();
    const map = script.map(fd, BINDER_BUFFER, process.peer.reserve(0), { flags: 0x4002 });
    const { errno } = (await process.run(script)).of(map);
    if (errno !== null) throw new BusError("mmap of binder", errno);
    return new BinderEnd(process, fd);
  }

  async becomeManager(): Promise<string | null> {
    const { errno } = await this.process.syscall("ioctl", this.fd, SET_CONTEXT_MGR_EXT, memory(words(4, [0, ACCEPTS_FDS, 0, 0, 0, 0])));
    if (errno === null) await this.exchange(words(4, [BC.ENTER_LOOPER]), 0);
    return errno;
  }

  /** A call to the context manager that waits for the answer on a thread of its own. */
  async startCall(data: Uint8Array, fds: readonly number[] = []): Promise<Pending<{ readonly returns: readonly BinderReturn[]; readonly data: Uint8Array }>> {
    const script = new Script();
    const step = this.step(script, transaction(BC.TRANSACTION, TF.ACCEPT_FDS, data, fds), 256);
    // the first answer may be no more than that the call was taken
    const { program } = script;
    const seconds: ReturnType<BinderEnd["step"]>[] = [];
    program.if(program.compute(program.load(script.place(step.into).plus(4), 4), "+", program.load(script.place(step.command).plus(32))), "==", 0x7206 + 8, () => seconds.push(this.step(script, words(4, []), 256)));
    const pending = await this.process.start(script);
    return new Pending(pending.started, pending.done.then(async (result) => {
      const returns = [...step.returns(result), ...seconds.flatMap((second) => second.returns(result))];
      const reply = returns.find((one) => one.kind === "reply");
      return { returns, data: reply === undefined ? new Uint8Array(0) : await this.bytes(reply) };
    })); // prettier-ignore
  }

  oneWay(data: Uint8Array): Promise<readonly BinderReturn[]> {
    return this.exchange(transaction(BC.TRANSACTION, TF.ONE_WAY, data, []), 256);
  }

  reply(to: BinderReturn, data: Uint8Array, fds: readonly number[] = []): Promise<readonly BinderReturn[]> {
    return this.exchange(concat([free(to), transaction(BC.REPLY, 0, data, fds)]), 256);
  }

  free(what: BinderReturn): Promise<readonly BinderReturn[]> {
    return this.exchange(free(what), 0);
  }

  /** Waits for something and takes it. */
  take(): Promise<readonly BinderReturn[]> {
    return this.exchange(words(4, []), 256);
  }

  watchManager(): Promise<readonly BinderReturn[]> {
    return this.exchange(concat([words(4, [BC.ACQUIRE, 0]), words(4, [BC.REQUEST_DEATH_NOTIFICATION, 0, 7, 0])]), 0);
  }

  bytes(of: BinderReturn): Promise<Uint8Array> {
    return of.size === 0 ? Promise.resolve(new Uint8Array(0)) : this.process.readMemory(of.buffer ?? 0n, of.size ?? 0);
  }

  /** Descriptor in the first object of the data. */
  async descriptor(of: BinderReturn): Promise<number> {
    const bytes = await this.process.readMemory(of.buffer ?? 0n, of.size ?? 0);
    return new DataView(bytes.buffer).getUint32((of.size ?? 24) - 24 + 8, true);
  }

  private async exchange(write: Encoded, readSize: number): Promise<readonly BinderReturn[]> {
    const script = new Script();
    const step = this.step(script, write, readSize);
    return step.returns(await this.process.run(script));
  }

  private step(script: Script, write: Encoded, readSize: number): { readonly command: Memory; readonly into: Memory; returns(result: ScriptResult): readonly BinderReturn[] } {
    const [out, into] = [memory(write.bytes.length === 0 ? 8 : write, "write"), memory(Math.max(readSize, 8), "read")];
    const command = memory(words(8, [write.bytes.length, 0, address(out), readSize, 0, address(into)]), "binder_write_read");
    const call = script.ioctl(this.fd, WRITE_READ, command);
    const [after, bytes] = [script.load(command), script.load(into)];
    return {
      command,
      into,
      returns: (result) => {
        const { errno } = result.of(call);
        if (errno !== null) throw new BusError("BINDER_WRITE_READ", errno);
        const done = result.bytes(after);
        if (done.length === 0) return []; // not reached
        return parse(result.bytes(bytes).subarray(0, Number(new DataView(done.buffer, done.byteOffset).getBigUint64(32, true))));
      },
    };
  }
}

function free(what: BinderReturn): Encoded {
  return concat([words(4, [BC.FREE_BUFFER]), words(8, [what.buffer ?? 0n])]);
}

/** Data, padded to 8, with a descriptor object behind it for each descriptor. */
function transaction(command: number, flags: number, data: Uint8Array, fds: readonly Value[]): Encoded {
  const objects = fds.map((fd) => concat([words(4, [TYPE_FD, 0]), words(4, [fd, 0]), words(8, [0])]));
  const padded = fds.length === 0 ? data.length : Math.ceil(data.length / 8) * 8;
  const all = new Uint8Array(padded + 24 * fds.length);
  all.set(data);
  objects.forEach((object, index) => all.set(object.bytes, padded + 24 * index));
  const body: Memory = memory(all.length === 0 ? 8 : all, "data");
  const offsets = memory(fds.length === 0 ? 8 : words(8, fds.map((_, index) => padded + 24 * index)), "offsets");
  return concat([words(4, [command]), words(8, [0, 0]), words(4, [1, flags, 0, 0]), words(8, [all.length, 8 * fds.length, address(body), address(offsets)])]);
}

function parse(bytes: Uint8Array): BinderReturn[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const found: BinderReturn[] = [];
  for (let at = 0; at + 4 <= bytes.length; ) {
    const command = view.getUint32(at, true);
    const kind = BR[command];
    at += 4;
    if (kind === "transaction" || kind === "reply") {
      found.push({ kind, code: view.getUint32(at + 16, true), oneWay: (view.getUint32(at + 20, true) & TF.ONE_WAY) !== 0, pid: view.getInt32(at + 24, true), euid: view.getUint32(at + 28, true), size: Number(view.getBigUint64(at + 32, true)), buffer: view.getBigUint64(at + 48, true), offsets: view.getBigUint64(at + 56, true) });
    } else if (kind !== undefined) found.push({ kind });
    at += (command >>> 16) & 0x3fff;
  }
  return found;
}
