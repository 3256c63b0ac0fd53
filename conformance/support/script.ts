import { later, type Later } from "../../fixtures/abi/encode.ts";
import { errnoName } from "../../orchestration/guest/errno.ts";
import { Program, type Addr, type Buf, type Call, type Read, type Value } from "../../orchestration/guest/program.ts";
import type { ProgramResult } from "../../orchestration/guest/program-result.ts";
import type { SyscallName } from "../../orchestration/guest/syscalls.ts";
import { isMemory, type Memory, type Source } from "./memory.ts";

export type { SyscallName };

/** An argument: a number, the address of a memory, the result of an earlier call, or anything else a program can take. */
export type Arg = Value | Later;

export const PROT = { NONE: 0, READ: 1, WRITE: 2, EXEC: 4 } as const;
export const MAP = { SHARED: 1, PRIVATE: 2 } as const;

/** A position in a memory. */
export interface Place {
  readonly memory: Memory;
  readonly at: number;
}

/** A 64-bit number in a memory that grows with each turn of a loop, for example the cookie of a message. */
export interface Increment extends Place {
  readonly by: number;
}

/** Largest piece of a pool that is read in one step; a bigger size is a lie of the subject or a test's mistake. */
const SLICE_LIMIT = 16 << 20;

/**
 * A program of the guest agent that knows memories: they are placed in the process when first used, with the addresses
 * and results they refer to filled in. Failed system calls do not stop it: every call reports what it returned.
 * `program` is open to tests that need clocks, barriers, signals or comparisons.
 */
export class Script {
  readonly program = new Program();
  private readonly placed = new Map<Memory, Addr>();
  private loops = 0;

  /** A {@link Memory} as argument stands for its address. */
  syscall(name: SyscallName, ...args: (Arg | Memory)[]): Call {
    return this.program.syscall(name, args.map((arg) => this.value(arg)), { trace: this.loops > 0 });
  }

  ioctl(fd: Arg, request: number, argument: Memory | Arg): Call {
    return this.program.ioctl(this.value(fd), request, this.value(argument), { trace: this.loops > 0 });
  }

  /** mmap; the result is the address, which `loadSlice` takes as a base. @param keep `process.peer.reserve(size)`: the mapping lives as long as the process */
  map(fd: Arg, size: Arg, keep: Buf, options: { readonly protection?: number; readonly flags?: number; readonly offset?: Arg } = {}): Call {
    const { call } = this.program.map(this.value(fd), this.value(size), {
      keep,
      prot: options.protection ?? PROT.READ,
      flags: options.flags ?? MAP.SHARED,
      offset: this.value(options.offset ?? 0),
    });
    return call;
  }

  /** What the memory holds at this point. */
  load(memory: Memory, at = 0, size = memory.size - at): Read {
    return this.program.read(this.place(memory), at, size);
  }

  /** Memory at `base` + the number at `offset`, for example a slice of a mapped pool. Unreadable memory gives no bytes. */
  loadSlice(base: Arg, offset: Place | number, size: Place | number): Read {
    const from = this.program.compute(this.value(base), "+", this.number(offset));
    const length = this.number(size);
    const reads: Read[] = [];
    this.program.if(length, "<=", SLICE_LIMIT, () => reads.push(this.program.read(from, 0, length, { catch: true })));
    return reads[0] as Read; // `if` builds its body at once
  }

  /** Copies bytes between memories while the script runs, for example an offset that one command returned into the next. */
  copy(from: Place, to: Place, size = 8): void {
    this.program.copy(this.at(to), this.at(from), size);
  }

  /**
   * Runs the steps that `body` adds `times` times, inside the guest. After each turn the numbers in `add` grow. With
   * `untilError` the loop ends when the call that `body` returned has failed. Each call has one result a turn: `result.all(call)`.
   */
  repeat(times: number, body: () => Call, options: { readonly untilError?: boolean; readonly add?: readonly Increment[] } = {}): void {
    this.loops++;
    this.program.loop(times, () => {
      const watched = body();
      if (options.untilError === true) this.program.breakIf(watched.err, "!=", 0);
      for (const increment of options.add ?? []) {
        const here = this.at(increment);
        this.program.store(here, this.program.compute(this.program.load(here), "+", increment.by));
      }
    });
    this.loops--;
  }

  /** True while the body of a loop is being built. */
  protected get looping(): boolean {
    return this.loops > 0;
  }

  /** The address of a memory, for the methods of `program`. */
  place(memory: Memory): Addr {
    const known = this.placed.get(memory);
    if (known !== undefined) return known;
    const here = this.program.constant(memory.encoded.bytes);
    this.placed.set(memory, here);
    for (const patch of memory.encoded.patches) this.program.store(here.plus(patch.at), this.value({ later: patch.source }), patch.width);
    return here;
  }

  private at(place: Place): Addr {
    return this.place(place.memory).plus(place.at);
  }

  private number(from: Place | number): Value {
    return typeof from === "number" ? from : this.program.load(this.at(from));
  }

  private value(arg: Arg | Memory): Value {
    if (isMemory(arg)) return this.place(arg);
    if (typeof arg !== "object" || !("later" in arg)) return arg;
    const source = arg.later as Source;
    return source.kind === "result" ? source.call : this.place(source.memory).plus(source.plus);
  }
}

/** The return value of a call, usable as an argument or inside a memory of the same script. */
export function resultOf(call: Call): Later {
  return later({ kind: "result", call } satisfies Source);
}

export interface CallResult {
  /** What the system call returned; -1 if it failed. */
  readonly value: bigint;
  /** Name of the error, null on success. */
  readonly errno: string | null;
}

export class ScriptResult {
  /** For what was built with `script.program` itself. */
  readonly result: ProgramResult;

  constructor(result: ProgramResult) {
    this.result = result;
  }

  /** Outcome of a call; of its last turn in a loop. */
  of(call: Call): CallResult {
    return outcome(this.result.value(call), this.result.errno(call));
  }

  /** Outcomes of a call in a loop, one a turn. */
  all(call: Call): CallResult[] {
    return this.result.traces(call).map(({ value, errno }) => outcome(value, errno));
  }

  /** Bytes that were loaded; none if the memory was not readable. */
  bytes(load: Read): Uint8Array {
    return this.allBytes(load).at(-1) ?? new Uint8Array(0);
  }

  /** The same in a loop, one a turn; turns whose memory was not readable are left out. */
  allBytes(load: Read): readonly Uint8Array[] {
    return this.result.allBytes(load).map((bytes) => new Uint8Array(bytes)); // of its own memory, and no Buffer: tests compare it
  }
}

function outcome(value: bigint, errno: number): CallResult {
  return { value, errno: errno === 0 ? null : errnoName(errno) };
}

/** Words of an argument for the transcript. */
export function describeArg(arg: Arg): string {
  if (typeof arg === "object") {
    if (!("later" in arg)) return "computed";
    const source = arg.later as Source;
    return source.kind === "address" ? `&${source.memory.label}${source.plus === 0 ? "" : `+${source.plus}`}` : "earlier result";
  }
  return typeof arg === "bigint" && arg > 0xffffn ? `0x${arg.toString(16)}` : String(arg);
}
