import * as abi from "../../fixtures/abi/constants.ts";
import type { Encoded } from "../../fixtures/abi/encode.ts";
import { errnoName } from "../../orchestration/guest/errno.ts";
import type { Peer, Started } from "../../orchestration/guest/peer.ts";
import type { Call } from "../../orchestration/guest/program.ts";
import type { SpawnOptions } from "../../orchestration/guest/spawn-options.ts";
import type { RawResult } from "./handle.ts";
import { describeCommand } from "./describe.ts";
import { BusError } from "./errno.ts";
import { isMemory, memory, type Memory } from "./memory.ts";
import { describeArg, resultOf, Script, ScriptResult, type Arg, type CallResult, type SyscallName } from "./script.ts";
import { ToldScript } from "./told-script.ts";
import type { Transcript } from "./transcript.ts";

/** What a script is still doing on a thread of its own. */
export class Pending<T> {
  /** The thread: `signal()` interrupts it, `blocked()` tells in which system call it sleeps. */
  readonly started: Started;
  /** Settles when the script has ended. */
  readonly done: Promise<T>;

  constructor(started: Started, done: Promise<T>) {
    this.started = started;
    this.done = done;
    done.catch(() => undefined); // whoever awaits `done` sees it; until then it is no unhandled rejection
  }

  map<U>(change: (value: T) => U): Pending<U> {
    return new Pending(this.started, this.done.then(change));
  }
}

/** Seals a memfd needs before it may travel: SEAL, SHRINK, GROW, WRITE. */
export const SEALS = { SEAL: 1, SHRINK: 2, GROW: 4, WRITE: 8, ALL: 15 } as const;

const O = { RDONLY: 0, WRONLY: 1, RDWR: 2, CLOEXEC: 0o2000000 } as const;
const AT_FDCWD = -100;
const SIGKILL = 9;
const F_ADD_SEALS = 1033;
const MFD = { CLOEXEC: 1, ALLOW_SEALING: 2 } as const;

/**
 * A process in the guest: with its own ids, descriptors and memory. Operations run one after the other on its main
 * thread; what may block is started on a thread of its own.
 */
export class Process {
  readonly peer: Peer;
  readonly transcript: Transcript;
  readonly label: string;
  readonly uid: number;
  readonly euid: number;
  private clock: { readonly guestNs: bigint; readonly hostMs: number } | undefined;

  constructor(peer: Peer, transcript: Transcript, label: string, options: SpawnOptions) {
    this.peer = peer;
    this.transcript = transcript;
    this.label = label;
    const [real, effective] = idsOf(options);
    this.uid = real;
    this.euid = effective;
  }

  get who(): string {
    return `${this.label}(uid ${this.uid === this.euid ? this.uid : `${this.uid}/${this.euid}`})`;
  }

  /** Runs the steps in one round trip, on the main thread. @throws ProgramFailure if a step of the program itself fails */
  async run(script: Script): Promise<ScriptResult> {
    return this.told(script, new ScriptResult(await this.peer.run(script.program)));
  }

  /** Starts the steps on a thread of their own and returns when that thread sleeps in a system call, or has ended. */
  async start(script: Script): Promise<Pending<ScriptResult>> {
    const started = this.peer.start(script.program);
    const pending = new Pending(started, started.result.then((result) => this.told(script, new ScriptResult(result))));
    await Promise.race([started.blocked().catch(() => undefined), pending.done.catch(() => undefined)]);
    return pending;
  }

  /** The result, after the steps that a test wrote went to the transcript. */
  told(script: Script, result: ScriptResult): ScriptResult {
    if (script instanceof ToldScript) for (const { what, result: seen } of script.tell(result)) this.note(what, seen);
    return result;
  }

  /** One system call; failures are results. A {@link Memory} as argument stands for its address. */
  async syscall(name: SyscallName, ...args: (Arg | Memory)[]): Promise<CallResult> {
    const script = new Script();
    const step = script.syscall(name, ...args);
    const result = (await this.run(script)).of(step);
    this.note(`${name}(${args.map((arg) => (isMemory(arg) ? `&${arg.label}` : describeArg(arg))).join(", ")})`, result.errno ?? String(result.value));
    return result;
  }

  /** One system call that must succeed. @throws BusError */
  async must(name: SyscallName, ...args: (Arg | Memory)[]): Promise<bigint> {
    const { value, errno } = await this.syscall(name, ...args);
    if (errno !== null) throw new BusError(name, errno);
    return value;
  }

  /** An ioctl of the bus with any bytes or any pointer; failures are results. */
  async command(fd: number, name: abi.CommandName | number, argument: Encoded | Memory | Arg, who = this.who): Promise<RawResult> {
    const target = isMemory(argument) ? argument : isEncoded(argument) ? memory(argument, "command") : undefined;
    const script = new Script();
    const step = script.ioctl(fd, typeof name === "number" ? name : abi.COMMANDS[name], target ?? (argument as Arg));
    const after = target === undefined ? undefined : script.load(target);
    const result = await this.run(script);
    const { errno } = result.of(step);
    const what = typeof name === "number" ? `ioctl 0x${name.toString(16)}` : target === undefined ? `${name} with pointer ${describeArg(argument as Arg)}` : describeCommand(name, target.encoded.bytes);
    this.transcript.add({ who, what, result: errno ?? "0" });
    return { operation: what, errno, bytes: after === undefined ? new Uint8Array(0) : result.bytes(after) };
  }

  /** The step that opens a path for reading and writing; for scripts that go on with the new descriptor. */
  openStep(script: Script, path: Memory, flags: number = O.RDWR | O.CLOEXEC): Call {
    return script.syscall("openat", AT_FDCWD, path, flags, 0);
  }

  /** @returns the descriptor @throws BusError */
  async open(path: string, flags: number = O.RDWR | O.CLOEXEC): Promise<number> {
    const script = new Script();
    const step = this.openStep(script, memory(`${path}\0`, "path"), flags);
    const { value, errno } = (await this.run(script)).of(step);
    this.note(`open ${path}`, errno ?? `fd ${value}`);
    if (errno !== null) throw new BusError(`open of ${path}`, errno);
    return Number(value);
  }

  async close(fd: number): Promise<void> {
    const script = new Script();
    const step = script.syscall("close", fd);
    const { errno } = (await this.run(script)).of(step);
    if (errno !== null) throw new BusError(`close of descriptor ${fd}`, errno);
  }

  /** @returns the read end and the write end, close-on-exec */
  async pipe(): Promise<{ readonly read: number; readonly write: number }> {
    const fds = memory(8, "fds");
    const script = new Script();
    const step = script.syscall("pipe2", fds, O.CLOEXEC);
    const after = script.load(fds);
    const result = await this.run(script);
    expectDone("pipe2", result.of(step));
    const view = viewOf(result.bytes(after));
    return { read: view.getInt32(0, true), write: view.getInt32(4, true) };
  }

  /** A memfd with this content; sealed for travel unless other seals (0: none) are asked for. */
  async memfd(content: string | Uint8Array, options: { readonly seals?: number } = {}): Promise<number> {
    const data = memory(content, "content");
    const script = new Script();
    const create = script.syscall("memfd_create", memory("test\0"), MFD.CLOEXEC | MFD.ALLOW_SEALING);
    const write = script.syscall("pwrite64", resultOf(create), data, data.size, 0);
    const seals = options.seals ?? SEALS.ALL;
    const seal = seals === 0 ? undefined : script.syscall("fcntl", resultOf(create), F_ADD_SEALS, seals);
    const result = await this.run(script);
    for (const [name, step] of [["memfd_create", create], ["pwrite", write], ["F_ADD_SEALS", seal]] as const) if (step !== undefined) expectDone(name, result.of(step));
    this.note(`memfd of ${data.size} bytes, seals ${seals}`, `fd ${result.of(create).value}`);
    return Number(result.of(create).value);
  }

  async write(fd: number, content: string | Uint8Array): Promise<number> {
    const data = memory(content);
    return Number(await this.must("write", fd, data, data.size));
  }

  /** Bytes of a file from a position, without moving it. @throws BusError */
  async readAt(fd: number, at: number, size: number): Promise<Uint8Array> {
    const data = memory(size);
    const script = new Script();
    const step = script.syscall("pread64", fd, data, size, at);
    const after = script.load(data);
    const result = await this.run(script);
    const { value, errno } = result.of(step);
    if (errno !== null) throw new BusError("pread", errno);
    return result.bytes(after).slice(0, Number(value));
  }

  /** At most `size` bytes; an empty array is end-of-file. @throws BusError */
  async read(fd: number, size: number): Promise<Uint8Array> {
    const data = memory(size);
    const script = new Script();
    const step = script.syscall("read", fd, data, size);
    const after = script.load(data);
    const result = await this.run(script);
    const { value, errno } = result.of(step);
    this.note(`read of descriptor ${fd}`, errno ?? `${value} bytes`);
    if (errno !== null) throw new BusError("read", errno);
    return result.bytes(after).slice(0, Number(value));
  }

  /** poll(2) of one descriptor. @returns revents, 0 if nothing came, or came and woke nobody */
  async poll(fd: number, events: number, timeoutMs: number): Promise<number> {
    const { script, judge } = this.pollSteps(fd, events, timeoutMs);
    return judge(timeoutMs > 0 ? await (await this.start(script)).done : await this.run(script));
  }

  /** The same on a thread of its own; returns when that thread waits, or has ended. */
  async startPoll(fd: number, events: number, timeoutMs: number): Promise<Pending<number>> {
    const { script, judge } = this.pollSteps(fd, events, timeoutMs);
    const pending = await this.start(script);
    return pending.map(judge);
  }

  // The kernel looks once more when the time has run out, and tells of events that woke nobody. Who waits wants to be woken.
  private pollSteps(fd: number, events: number, timeoutMs: number): { readonly script: Script; judge(result: ScriptResult): number } {
    const script = new Script();
    const began = script.program.clock(1);
    const { ready, revents } = script.program.poll(fd, events, timeoutMs);
    const ended = script.program.clock(1);
    return {
      script,
      judge: ({ result }) => {
        const count = result.number(ready);
        const ranOut = timeoutMs > 0 && result.unsigned(ended) - result.unsigned(began) >= BigInt(timeoutMs) * 1_000_000n;
        const seen = count < 0 ? errnoName(-count) : `0x${result.number(revents).toString(16)}${ranOut && count > 0 ? ", found when the time had run out: it was not woken" : ""}`;
        this.note(`poll of descriptor ${fd} for ${timeoutMs} ms`, seen);
        if (count < 0) throw new BusError("poll", errnoName(-count));
        return ranOut ? 0 : result.number(revents);
      },
    };
  }

  /** Memory of the process at an address; no bytes where it is not readable. */
  async readMemory(at: bigint, size: number): Promise<Uint8Array> {
    const script = new Script();
    const load = script.loadSlice(at, 0, size);
    return (await this.run(script)).bytes(load);
  }

  /** CLOCK_MONOTONIC of the guest, read now. */
  async monotonicNs(): Promise<bigint> {
    const script = new Script();
    const now = script.program.clock(1);
    return (await this.run(script)).result.unsigned(now);
  }

  /** CLOCK_MONOTONIC so many milliseconds from now, right to a round trip; for deadlines. Asks the guest only once. */
  async deadlineNs(ms: number): Promise<bigint> {
    this.clock ??= { guestNs: await this.monotonicNs(), hostMs: performance.now() };
    return this.clock.guestNs + BigInt(Math.round((performance.now() - this.clock.hostMs + ms) * 1e6));
  }

  /** Gives a descriptor to another process (by SCM_RIGHTS). @returns its number there */
  async giveFd(fd: number, to: Process): Promise<number> {
    const number = await this.peer.passFd(to.peer, fd);
    this.note(`gives descriptor ${fd} to ${to.who}`, `fd ${number} there`);
    return number;
  }

  /** Kills the process and waits until it is gone. */
  async kill(signal = SIGKILL): Promise<void> {
    await this.peer.kill(signal);
    await (signal === SIGKILL ? this.peer.gone() : this.peer.exited);
    this.note(`killed with signal ${signal}`, "");
  }

  note(what: string, result: string): void {
    this.transcript.add({ who: this.who, what, result });
  }
}

function expectDone(what: string, { errno }: CallResult): void {
  if (errno !== null) throw new BusError(what, errno);
}

function idsOf({ uid = 0 }: SpawnOptions): readonly [number, number] {
  return typeof uid === "number" ? [uid, uid] : [uid.real, uid.effective];
}

function isEncoded(value: unknown): value is Encoded {
  return typeof value === "object" && value !== null && "patches" in value;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
