import { ByteWriter } from "./bytes.ts";
import {
  Addr, ARENA, ARITH, Buf, Call, COMPARE, dataAddress, encodeProgram, MAX_BUFFERS, MAX_REGISTERS, NOTHING, OP, operand, Reg, STEP,
  type Arithmetic, type Comparison, type EncodeOptions, type Operand, type Step, type Value,
} from "./steps.ts"; // prettier-ignore
import type { SyscallName } from "./syscalls.ts";

export { Addr, Buf, Call, Reg, type Arithmetic, type Comparison, type Value } from "./steps.ts";

/** Memory read by a program; give it to the result to get the bytes. */
export interface Read {
  readonly step: number;
}

export interface BufferOptions {
  /** Power of two up to a page; only with a guard, else the buffer begins at a page. */
  readonly align?: number;
  /** The byte behind the last one is not mapped (with `align`: behind the next multiple). */
  readonly guard?: boolean;
  readonly guardBefore?: boolean;
  readonly shared?: boolean;
  readonly populate?: boolean;
  readonly noReserve?: boolean;
  /** A buffer of the peer ({@link Peer.reserve}) that outlives the program. */
  readonly keep?: Buf;
}

export interface CallOptions {
  /** The program ends here if the call fails. */
  readonly orStop?: boolean;
  /** Every execution is recorded, for loops; see ProgramResult.traces. */
  readonly trace?: boolean;
  /** Bad memory is a result (errno SIGBUS or SIGSEGV), not the end. */
  readonly catch?: boolean;
}

/**
 * Steps that a peer runs in the guest, all in one round trip. The same program runs on every architecture; loops and
 * comparisons happen in the guest.
 */
export class Program {
  private readonly steps: Step[] = [];
  private readonly data = new ByteWriter();
  private registers = 0;
  private buffers = 0;
  private readonly breaks: Operand[][] = [];
  private readonly continues: Operand[][] = [];

  /** Zeroed memory. */
  buffer(size: number, options: BufferOptions = {}): Buf {
    const buf = new Buf(options.keep?.index ?? this.buffers++, size);
    if (this.buffers > MAX_BUFFERS) throw new RangeError(`a program has at most ${MAX_BUFFERS} buffers; split it`);
    const { guard, guardBefore, shared, populate, noReserve } = options;
    const flags = [guard, guardBefore, shared, populate, noReserve].reduce((all, on, i) => all | (on === true ? 1 << i : 0), 0);
    this.add(OP.ALLOC, [buf, size, options.align ?? 0, flags], `buffer of ${size}`);
    return buf;
  }

  /** A buffer with these bytes. */
  bytes(content: Uint8Array, options: BufferOptions = {}): Buf {
    const buf = this.buffer(content.length, options);
    if (content.length > 0) this.write(buf, 0, content);
    return buf;
  }

  /** Constant text in the program, with a NUL behind it: paths, names. */
  text(text: string): Addr {
    return this.constant(new TextEncoder().encode(`${text}\0`));
  }

  /** Constant bytes in the program, 8-byte aligned; writable, anew in every run. */
  constant(content: Uint8Array): Addr {
    this.data.align(8);
    const at = this.data.length;
    this.data.raw(content);
    return dataAddress(at);
  }

  /** mmap(2) into a buffer, on any architecture. */
  map(fd: Value, size: Value, options: { prot?: number; flags?: number; offset?: Value; keep?: Buf } & CallOptions = {}): Buf & { readonly call: Call } {
    const buf = new Buf(options.keep?.index ?? this.buffers++, typeof size === "number" ? size : 0);
    const call = this.result(OP.MAP, [buf, fd, options.offset ?? 0, size, options.prot ?? 1, options.flags ?? 1], "mmap", options);
    return Object.assign(buf, { call });
  }

  free(buf: Buf): this {
    return this.add(OP.FREE, [buf], "free");
  }

  write(buf: Buf | Addr, offset: number, content: Uint8Array): this {
    return this.add(OP.WRITE, [place(buf, offset), this.constant(content), content.length], `write ${content.length} bytes`);
  }

  fill(to: Value, byte: number, length: Value): this {
    return this.add(OP.FILL, [to, byte, length], "fill");
  }

  copy(to: Value, from: Value, length: Value): this {
    return this.add(OP.COPY, [to, from, length], "copy");
  }

  /** @param width bytes: 1, 2, 4 or 8 */
  store(to: Value, value: Value, width: 1 | 2 | 4 | 8 = 8): this {
    return this.add(OP.STORE, [to, value, width], `store ${width} bytes`);
  }

  /** Zero-extended. */
  load(from: Value, width: 1 | 2 | 4 | 8 = 8): Reg {
    const reg = this.register();
    this.add(OP.LOAD, [reg, from, width], `load ${width} bytes`);
    return reg;
  }

  patch32(buf: Buf | Addr, offset: number, value: Value): this {
    return this.store(place(buf, offset), value, 4);
  }

  patch64(buf: Buf | Addr, offset: number, value: Value): this {
    return this.store(place(buf, offset), value, 8);
  }

  /** Writes the address of one buffer into another, as 64 bits on every architecture. */
  patchAddress(buf: Buf | Addr, offset: number, target: Buf | Addr, targetOffset = 0): this {
    return this.store(place(buf, offset), place(target, targetOffset), 8);
  }

  addr(buf: Buf, offset = 0): Addr {
    return buf.at(offset);
  }

  /** Memory that all peers share; meet there. 32 KiB, zero after the client connected. Its places are words of 8 bytes: some processors add to no other. */
  arena(offset = 0): Addr {
    if (offset % 8 !== 0) throw new RangeError(`place ${offset} of the arena is not a multiple of 8`);
    return new Buf(ARENA, 32768).at(offset);
  }

  /** A failing call returns -1 and goes on, unless told otherwise. Strings become constants of the program. */
  syscall(name: SyscallName | number, args: readonly (Value | string)[] = [], options: CallOptions = {}): Call {
    if (args.length > 6) throw new RangeError(`system call ${name} with ${args.length} arguments; at most 6 exist`);
    const values = args.map((arg) => (typeof arg === "string" ? this.text(arg) : arg));
    while (values.length < 6) values.push(0);
    const number = typeof name === "number" ? name : 0;
    return this.result(OP.SYSCALL, [number, ...values], `syscall ${name}`, options, typeof name === "number" ? undefined : name);
  }

  ioctl(fd: Value, request: number | bigint, arg: Value = 0, options: CallOptions = {}): Call {
    return this.syscall("ioctl", [fd, request, arg], options);
  }

  register(value: Value = 0): Reg {
    if (this.registers >= MAX_REGISTERS) throw new RangeError(`a program has at most ${MAX_REGISTERS} registers, each call takes two; split it`);
    const reg = new Reg(this.registers++);
    if (value !== 0) this.set(reg, value);
    return reg;
  }

  set(reg: Reg, value: Value): this {
    return this.add(OP.SET, [reg, value], "set");
  }

  /** Comparisons give 1 or 0. */
  compute(left: Value, how: Arithmetic, right: Value, into: Reg = this.register()): Reg {
    this.add(OP.ARITH, [into, how in ARITH ? ARITH[how as keyof typeof ARITH] : COMPARE[how as Comparison], left, right], `compute ${how}`);
    return into;
  }

  /** Runs the body n times; i counts from 0. */
  loop(times: Value, body: (i: Reg) => void): this {
    const i = this.register();
    this.set(i, 0); // a loop in a loop begins again
    const top = this.steps.length;
    const out = target();
    const next = target();
    this.branch(i, ">=", times, out);
    this.breaks.push([out]);
    this.continues.push([next]);
    body(i);
    this.land(this.continues.pop());
    this.compute(i, "+", 1, i);
    this.add(OP.JUMP, [top], "jump");
    this.land(this.breaks.pop());
    return this;
  }

  if(left: Value, how: Comparison, right: Value, then: () => void, otherwise?: () => void): this {
    const yes = target();
    const end = target();
    this.branch(left, how, right, yes);
    otherwise?.();
    this.add(OP.JUMP, [end], "jump");
    this.land([yes]);
    then();
    this.land([end]);
    return this;
  }

  /** Leaves the innermost loop. */
  breakIf(left: Value, how: Comparison, right: Value): this {
    return this.leave(this.breaks, left, how, right);
  }

  continueIf(left: Value, how: Comparison, right: Value): this {
    return this.leave(this.continues, left, how, right);
  }

  /** Ends the program; the result has `endValue`. */
  endIf(left: Value, how: Comparison, right: Value, value: Value = 0): this {
    return this.if(left, how, right, () => this.add(OP.END, [value], "end"));
  }

  /** Bytes at this point. In a loop, each round adds its own. With catch, unreadable memory gives none. */
  read(buf: Buf | Addr | Reg | Operand, offset = 0, length: Value = buf instanceof Buf ? buf.size - offset : 8, options: { catch?: boolean } = {}): Read {
    const from = buf instanceof Reg ? buf.plus(offset) : buf instanceof Buf || buf instanceof Addr ? place(buf, offset) : buf;
    this.add(OP.READ, [from, length], "read memory", options.catch === true ? STEP.CATCH : 0);
    return { step: this.steps.length - 1 };
  }

  /** Reports a value, each time it is passed. */
  emit(value: Value): Read {
    this.add(OP.EMIT, [value], "emit");
    return { step: this.steps.length - 1 };
  }

  /** @param clock CLOCK_MONOTONIC is 1, CLOCK_REALTIME 0, CLOCK_BOOTTIME 7 */
  clock(clock = 1): Reg {
    const reg = this.register();
    this.add(OP.CLOCK, [reg, clock], "clock");
    return reg;
  }

  /** What a signal does in this peer; `count` with restart asks for SA_RESTART. SIGSEGV and SIGBUS are the agent's own. */
  onSignal(signal: number, what: "default" | "ignore" | "count", options: { restart?: boolean } = {}): this {
    return this.add(OP.SIGNAL, [signal, { default: 0, ignore: 1, count: 2 }[what], options.restart === true ? 0x10000000 : 0], `signal ${signal}`);
  }

  signalCount(signal: number): Reg {
    const reg = this.register();
    this.add(OP.SIGCOUNT, [reg, signal], "signal count");
    return reg;
  }

  /** poll(2) on one descriptor. `ready` is the return value or -errno. */
  poll(fd: Value, events: number, timeoutMs: Value): { readonly ready: Reg; readonly revents: Reg } {
    const ready = this.register();
    const revents = this.register();
    this.add(OP.POLL, [fd, events, timeoutMs, ready, revents], "poll");
    return { ready, revents };
  }

  sleepNs(ns: Value): this {
    return this.add(OP.SLEEP, [ns], "sleep");
  }

  /** Adds to 64 bits of memory at once and gives what was there. */
  fetchAdd(at: Value, value: Value): Reg {
    const old = this.register();
    this.add(OP.ADD_MEM, [at, value, old], "fetch and add");
    return old;
  }

  /** Spins until memory compares true; the register is 1 then, 0 after the time. */
  waitFor(at: Value, how: Comparison, value: Value, options: { timeoutMs: number; width?: 4 | 8 }): Reg {
    const came = this.register();
    this.add(OP.WAIT_MEM, [at, COMPARE[how], value, options.width ?? 8, options.timeoutMs, came], "wait for memory");
    return came;
  }

  /** Goes on when so many threads or peers have come; the register is 0 if they did not. Use each place of the arena once. */
  barrier(at: Value, parties: number, timeoutMs = 10_000): Reg {
    this.fetchAdd(at, 1);
    return this.waitFor(at, ">=", parties, { timeoutMs });
  }

  /** Offset of the first difference, or 2^64 - 1. */
  compareMemory(left: Value, right: Value, length: Value): Reg {
    const at = this.register();
    this.add(OP.COMPARE, [left, right, length, at], "compare memory");
    return at;
  }

  /** crc32 (as zlib's) of memory, to check much without carrying it. */
  crc(from: Value, length: Value): Reg {
    const reg = this.register();
    this.add(OP.CRC, [from, length, reg], "crc");
    return reg;
  }

  /** What a step does, for messages. */
  describe(step: number): string {
    return this.steps[step]?.what ?? "the end";
  }

  encode(options: EncodeOptions): Uint8Array {
    return encodeProgram({ steps: this.steps, data: this.data.done(), registers: this.registers }, options);
  }

  private branch(left: Value, how: Comparison, right: Value, to: Operand): void {
    this.add(OP.BRANCH, [COMPARE[how], left, right, to], `branch ${how}`);
  }

  private leave(stack: Operand[][], left: Value, how: Comparison, right: Value): this {
    const exits = stack.at(-1);
    if (exits === undefined) throw new RangeError("breakIf and continueIf stand inside a loop; use endIf to end the program");
    const to = target();
    this.branch(left, how, right, to);
    exits.push(to);
    return this;
  }

  private land(exits: readonly Operand[] | undefined): void {
    for (const exit of exits ?? []) exit.value = BigInt(this.steps.length);
  }

  private result(op: number, values: readonly Value[], what: string, options: CallOptions, syscall?: SyscallName): Call {
    const ret = this.register();
    const err = this.register();
    const flags = (options.trace === true ? STEP.TRACE : 0) | (options.catch === true ? STEP.CATCH : 0) | (options.orStop === true ? STEP.STOP : 0);
    this.add(op, [...values, ret, err], what, flags, syscall);
    return new Call(this.steps.length - 1, ret, err);
  }

  private add(op: number, values: readonly Value[], what: string, flags = 0, syscall?: SyscallName): this {
    const operands = values.map((value) => (typeof value === "object" && "kind" in value && !(value instanceof Addr) ? value : operand(value)));
    this.steps.push({ op, flags, operands, what, ...(syscall === undefined ? {} : { syscall }) });
    return this;
  }
}

/** A jump whose end is not known yet. */
function target(): Operand {
  return { ...NOTHING, kind: 1 };
}

function place(of: Buf | Addr, offset: number): Addr {
  return of instanceof Buf ? of.at(offset) : of.plus(offset);
}
