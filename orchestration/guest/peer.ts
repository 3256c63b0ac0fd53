import { constants } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { race } from "../base/deadline.ts";
import { asSuiteError } from "../base/errors.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { HeldInKernel, type Channel } from "./channel.ts";
import { errnoName } from "./errno.ts";
import { FRAME } from "./frame.ts";
import { Program, type Buf as Buffer_, type Value } from "./program.ts";
import { placeOf, ProgramFailure, ProgramResult, ProgramStuck, type ProgramStatus } from "./program-result.ts";
import { encodeSpawnOptions, type SpawnOptions } from "./spawn-options.ts";
import { Buf, KEPT } from "./steps.ts";
import type { SyscallArch, SyscallName } from "./syscalls.ts";

/** How a peer ended. */
export type PeerExit = { readonly kind: "exited"; readonly code: number } | { readonly kind: "killed"; readonly signal: number };

export interface RunOptions {
  /** Of the program in the guest; its end is reported as status deadline. Default: the client's. */
  readonly timeoutMs?: number;
  /** Ends that are no failure besides done and ended. */
  readonly accept?: readonly ProgramStatus[];
  readonly maxResultBytes?: number;
}

export interface SyscallResult {
  readonly value: bigint;
  readonly errno: number;
  /** `""` when it worked. */
  readonly errnoName: string;
}

export interface ThreadState {
  /** 0 is the main thread; undefined: not a thread that runs programs. */
  readonly thread: number | undefined;
  /** As the peer sees it. */
  readonly tid: number;
  readonly outerTid: number;
  /** R running, S sleeping, D waiting uninterruptibly, T stopped. */
  readonly state: string;
  readonly running: boolean;
  readonly step: number;
  readonly stepsDone: bigint;
  /** /proc/PID/task/TID/syscall: number and arguments, or `running`. */
  readonly syscall: string;
  readonly wchan: string;
}

/** A program on its way on a thread of its own. */
export interface Started {
  readonly thread: number;
  readonly result: Promise<ProgramResult>;
  signal(signal: number | NodeJS.Signals): Promise<void>;
  /** Resolves when the thread sleeps in a system call. @throws GUEST_TIMEOUT */
  blocked(options?: { readonly timeoutMs?: number }): Promise<ThreadState>;
}

/** Many times what a signal needs to end a system call that lets itself be interrupted. */
const SECOND_LOOK_MS = 1_000;

/** What peers need of the client. */
export interface PeerHost {
  readonly channel: Channel;
  readonly timeoutMs: number;
  readonly graceMs: number;
  arch(exec: SpawnOptions["exec"]): SyscallArch;
  spawn(options: SpawnOptions, parent: Peer): Promise<Peer>;
}

/** A process of the guest that runs programs. */
export class Peer {
  readonly id: number;
  /** As the guest's first pid namespace knows it. */
  readonly pid: number;
  /** As the peer itself sees it. */
  readonly innerPid: number;
  readonly arch: SyscallArch;
  readonly exited: Promise<PeerExit>;
  private readonly host: PeerHost;
  private exit: PeerExit | undefined;
  private announce: (exit: PeerExit) => void = () => undefined;
  private nextThread = 1;
  private nextKept: number;

  constructor(host: PeerHost, id: number, pids: { readonly pid: number; readonly innerPid: number }, arch: SyscallArch, kept = 0) {
    this.host = host;
    this.id = id;
    this.pid = pids.pid;
    this.innerPid = pids.innerPid;
    this.arch = arch;
    this.nextKept = kept;
    this.exited = new Promise((resolve) => (this.announce = resolve));
  }

  get alive(): boolean {
    return this.exit === undefined;
  }

  /** For {@link fork}: buffers made so far are inherited. */
  get keptBuffers(): number {
    return this.nextKept;
  }

  /** @throws ProgramFailure when the program did not come to its end, ProgramStuck when the kernel does not let it go, AgentRefusal (ESRCH) when the peer died of it */
  run(program: Program, options: RunOptions = {}): Promise<ProgramResult> {
    return this.runOn(0, program, options, false);
  }

  /** Starts the program on a new thread, for calls that block. */
  start(program: Program, options: RunOptions = {}): Started {
    return this.started(this.nextThread++, program, options, true);
  }

  /** A thread that keeps its tid over several programs. */
  thread(): PeerThread {
    return new PeerThread(this.nextThread++, (thread, program, options) => this.started(thread, program, options, false));
  }

  /** One call in one round trip. Strings and bytes are put into memory. */
  async syscall(name: SyscallName | number, ...args: readonly (Value | string | Uint8Array)[]): Promise<SyscallResult> {
    const program = new Program();
    const call = program.syscall(name, args.map((arg) => (arg instanceof Uint8Array ? program.constant(arg) : arg))); // prettier-ignore
    const result = await this.run(program);
    return { value: result.value(call), errno: result.errno(call), errnoName: errnoName(result.errno(call)) };
  }

  /** A number for a buffer that lives as long as the peer: give it as `keep`, then use it in any program. */
  reserve(size: number): Buffer_ {
    return new Buf(KEPT | this.nextKept++, size);
  }

  /** A new peer with this one's descriptors and memory, and the supervisor as its parent. */
  fork(options: SpawnOptions = {}): Promise<Peer> {
    return this.host.spawn(options, this);
  }

  async kill(signal: number | NodeJS.Signals = "SIGKILL", thread?: number): Promise<void> {
    const payload = new ByteWriter().u32(this.id).u32(thread ?? 0xffffffff).u32(signalNumber(signal)).done();
    await this.request(FRAME.KILL, payload, `signal ${signal} to peer ${this.id}`);
  }

  /** Hands a descriptor over. @returns its number there: the lowest free one, or `at` */
  async passFd(to: Peer, fd: number, options: { readonly at?: number; readonly closeOnExec?: boolean } = {}): Promise<number> {
    const payload = new ByteWriter().u32(this.id).u32(fd).u32(to.id).u32(options.at ?? -1).u32(options.closeOnExec === true ? 1 : 0).done();
    const answer = await this.request(FRAME.PASS_FD, payload, `descriptor ${fd} of peer ${this.id} to peer ${to.id}`);
    return Number(new ByteReader(answer).s64());
  }

  async state(): Promise<readonly ThreadState[]> {
    const r = new ByteReader(await this.request(FRAME.STATE, new ByteWriter().u32(this.id).done(), `state of peer ${this.id}`));
    const threads: ThreadState[] = [];
    while (r.left > 0) {
      const thread = r.u32();
      threads.push({
        thread: thread === 0xffffffff ? undefined : thread,
        tid: r.u32(),
        outerTid: r.u32(),
        state: String.fromCharCode(r.u32()),
        running: r.u32() !== 0,
        step: r.u32(),
        stepsDone: r.u64(),
        syscall: r.text(),
        wchan: r.text(),
      });
    }
    return threads;
  }

  /** Kills the peer and waits until it is gone. @throws HeldInKernel when the kernel does not let it die */
  async close(): Promise<void> {
    if (!this.alive) return;
    await this.kill("SIGKILL").catch((error: unknown) => {
      if (this.alive) throw error;
    });
    await this.gone();
  }

  /** Waits for the end of a peer that was killed. @throws HeldInKernel when the kernel does not let it die, GUEST_LOST */
  async gone(): Promise<PeerExit> {
    for (;;) {
      const lost = this.host.channel.lost.then((why) => Promise.reject(why));
      const exit = await Promise.race([this.exited, lost, delay(this.host.timeoutMs, undefined, { ref: false })]);
      if (exit !== undefined) return exit;
      const held = await this.unmoved(() => true);
      if (held !== undefined) throw new HeldInKernel(`the end of peer ${this.id}`, `its thread ${held.outerTid} outlives SIGKILL (${held.state}) in ${placeOf(held)}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Called by the client when the agent reports the death. */
  died(waitStatus: number): void {
    const signal = waitStatus & 0x7f;
    this.exit = signal === 0 ? { kind: "exited", code: (waitStatus >> 8) & 0xff } : { kind: "killed", signal };
    this.announce(this.exit);
  }

  private started(thread: number, program: Program, options: RunOptions, endThread: boolean): Started {
    const result = this.runOn(thread, program, options, endThread);
    result.catch(() => undefined); // who waits for it later still sees it
    return {
      thread,
      result,
      signal: (signal) => this.kill(signal, thread),
      blocked: (wait = {}) => this.blocked(thread, result, wait.timeoutMs ?? this.host.timeoutMs),
    };
  }

  private async blocked(thread: number, result: Promise<unknown>, timeoutMs: number): Promise<ThreadState> {
    let over = false;
    void result.then(() => (over = true), () => (over = true)); // prettier-ignore
    const look = async (): Promise<ThreadState> => {
      for (;;) {
        const state = await this.stateOf(thread);
        if (state?.running === true && /[SD]/.test(state.state) && state.syscall.startsWith("running") === false) return state;
        if (over) throw new RangeError(`thread ${thread} of peer ${this.id} ended its program and did not block`);
      }
    };
    return race(look(), { deadlineMs: timeoutMs, code: "GUEST_TIMEOUT", what: `thread ${thread} of peer ${this.id} to block` });
  }

  private async runOn(thread: number, program: Program, options: RunOptions, endThread: boolean): Promise<ProgramResult> {
    const limitMs = options.timeoutMs ?? this.host.timeoutMs;
    const code = program.encode({ arch: this.arch, endThread, limitMs, maxResultBytes: options.maxResultBytes ?? 0 });
    const payload = new ByteWriter().u32(this.id).u32(thread).raw(code).done();
    const what = `program on ${thread === 0 ? "" : `thread ${thread} of `}peer ${this.id}`;
    const answer = await this.host.channel.request(FRAME.RUN, payload, what, limitMs + this.host.graceMs).catch(async (error: unknown) => {
      const held = asSuiteError(error).code === "GUEST_TIMEOUT" ? await this.heldIn(thread) : undefined;
      throw held === undefined ? error : new ProgramStuck(program, limitMs, held);
    });
    const result = new ProgramResult(program, answer);
    const fine = result.status === "done" || result.status === "ended" || options.accept?.includes(result.status) === true;
    if (!fine) throw new ProgramFailure(result);
    return result;
  }

  /** Where the kernel holds the thread: asleep at the same place, twice. @returns undefined when it moves, or when nobody can tell */
  private heldIn(thread: number): Promise<ThreadState | undefined> {
    return this.unmoved((one) => one.thread === thread && one.running);
  }

  private async unmoved(which: (one: ThreadState) => boolean): Promise<ThreadState | undefined> {
    const look = async (): Promise<ThreadState | undefined> => (await this.state().catch(() => [])).find((one) => which(one) && /[SD]/.test(one.state));
    const first = await look();
    await delay(SECOND_LOOK_MS);
    const second = await look();
    const still = first !== undefined && second?.tid === first.tid && second.step === first.step && second.stepsDone === first.stepsDone && second.wchan === first.wchan;
    return still ? second : undefined;
  }

  private async stateOf(thread: number): Promise<ThreadState | undefined> {
    return (await this.state()).find((one) => one.thread === thread);
  }

  private request(type: number, payload: Uint8Array, what: string): Promise<Uint8Array> {
    return this.host.channel.request(type, payload, what, this.host.timeoutMs);
  }
}

/** A thread of a peer that stays. Its programs run one after the other. */
export class PeerThread {
  readonly number: number;
  private readonly begin: (thread: number, program: Program, options: RunOptions) => Started;

  constructor(number: number, begin: (thread: number, program: Program, options: RunOptions) => Started) {
    this.number = number;
    this.begin = begin;
  }

  run(program: Program, options: RunOptions = {}): Promise<ProgramResult> {
    return this.begin(this.number, program, options).result;
  }

  start(program: Program, options: RunOptions = {}): Started {
    return this.begin(this.number, program, options);
  }
}

/** Payload of SPAWN. */
export function encodeSpawn(id: number, parent: number, options: SpawnOptions): Uint8Array {
  return new ByteWriter().u32(id).u32(parent).raw(encodeSpawnOptions(options)).done();
}

function signalNumber(signal: number | NodeJS.Signals): number {
  return typeof signal === "number" ? signal : constants.signals[signal];
}
