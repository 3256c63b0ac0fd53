import { ByteWriter } from "./bytes.ts";
import { placeArguments, syscallNumber, type SyscallArch, type SyscallName } from "./syscalls.ts";

/** Operations of a step; vm-images/agent/program.h has the same numbers. */
export const OP = {
  ALLOC: 1, MAP: 2, FREE: 3, WRITE: 4, FILL: 5, COPY: 6, STORE: 7, LOAD: 8, SYSCALL: 9, SET: 10, ARITH: 11, JUMP: 12, BRANCH: 13,
  READ: 14, CLOCK: 15, EMIT: 16, SIGNAL: 17, SIGCOUNT: 18, POLL: 19, SLEEP: 20, END: 21, ADD_MEM: 22, WAIT_MEM: 23, COMPARE: 24, CRC: 25,
} as const; // prettier-ignore

export const COMPARE = { "==": 1, "!=": 2, "<": 3, "<=": 4, "s<": 5, "s<=": 6, ">": 7, ">=": 8 } as const;
export const ARITH = { "+": 16, "-": 17, "*": 18, "/": 19, "%": 20, "&": 21, "|": 22, "^": 23, "<<": 24, ">>": 25 } as const;
export type Comparison = keyof typeof COMPARE;
export type Arithmetic = keyof typeof ARITH | Comparison;

/** Flags of a step. */
export const STEP = { TRACE: 1, CATCH: 2, STOP: 4 } as const;

export const MAX_REGISTERS = 1024;
export const MAX_BUFFERS = 1024;
export const KEPT = 0x8000;
export const ARENA = 0xffff;

const KIND = { NONE: 0, IMM: 1, REG: 2, BUF: 3, DATA: 4 } as const;
const PROGRAM_MAGIC = 0x31475250;

/** A 64-bit register of a running program; all begin as zero. */
export class Reg {
  readonly index: number;

  constructor(index: number) {
    this.index = index;
  }

  /** The register's value plus a constant. */
  plus(offset: number | bigint): Operand {
    return { kind: KIND.REG, index: this.index, value: BigInt(offset) };
  }
}

/** An address that is known only when the program runs. */
export class Addr {
  readonly kind: number;
  readonly index: number;
  readonly offset: number;

  constructor(kind: number, index: number, offset: number) {
    this.kind = kind;
    this.index = index;
    this.offset = offset;
  }

  plus(offset: number): Addr {
    return new Addr(this.kind, this.index, this.offset + offset);
  }
}

/** Memory of the peer. One made by a program ends with it; one reserved by a peer lives as long as the peer. */
export class Buf {
  readonly index: number;
  readonly size: number;

  constructor(index: number, size: number) {
    this.index = index;
    this.size = size;
  }

  at(offset = 0): Addr {
    return new Addr(KIND.BUF, this.index, offset);
  }
}

/** A step with a result: what it returned and its error. */
export class Call {
  readonly step: number;
  readonly ret: Reg;
  readonly err: Reg;

  constructor(step: number, ret: Reg, err: Reg) {
    this.step = step;
    this.ret = ret;
    this.err = err;
  }
}

export interface Operand {
  readonly kind: number;
  readonly index: number;
  value: bigint;
}

/** Whatever a step can take: a number, a register, the result of a call, an address. */
export type Value = number | bigint | boolean | Reg | Call | Addr | Buf | Operand;

export interface Step {
  readonly op: number;
  readonly flags: number;
  readonly operands: Operand[];
  /** For messages. */
  readonly what: string;
  /** Its number becomes the first operand when the architecture is known, and its arguments get their places. */
  readonly syscall?: SyscallName;
}

export const NOTHING: Operand = { kind: KIND.NONE, index: 0, value: 0n };

export function operand(value: Value): Operand {
  if (value instanceof Reg) return { kind: KIND.REG, index: value.index, value: 0n };
  if (value instanceof Call) return { kind: KIND.REG, index: value.ret.index, value: 0n };
  if (value instanceof Addr) return { kind: value.kind, index: value.index, value: BigInt(value.offset) };
  if (value instanceof Buf) return operand(value.at());
  if (typeof value === "object") return value;
  return { kind: KIND.IMM, index: 0, value: BigInt(value) };
}

export function dataAddress(offset: number): Addr {
  return new Addr(KIND.DATA, 0, offset);
}

export interface ProgramImage {
  readonly steps: readonly Step[];
  readonly data: Uint8Array;
  readonly registers: number;
}

export interface EncodeOptions {
  readonly arch: SyscallArch;
  readonly endThread?: boolean;
  readonly limitMs?: number;
  readonly maxResultBytes?: number;
}

/** Number, six arguments and where the results go, as the architecture wants them. */
function callOf(name: SyscallName, operands: readonly Operand[], arch: SyscallArch): readonly Operand[] {
  const [, ...rest] = operands;
  return [operand(syscallNumber(name, arch)), ...placeArguments(name, arch, rest.slice(0, 6), upperHalf), ...rest.slice(6)];
}

/** Of a constant; what a register holds is below 2^32 where this is asked. */
function upperHalf({ kind, value }: Operand): Operand {
  return operand(kind === KIND.IMM ? value >> 32n : 0);
}

/** The layout stands above the parser in vm-images/agent/program.c. */
export function encodeProgram(image: ProgramImage, options: EncodeOptions): Uint8Array {
  const steps = new ByteWriter();
  for (const step of image.steps) {
    steps.u16(step.op).u16(step.operands.length | (step.flags << 8)).u32(0);
    for (const o of step.syscall === undefined ? step.operands : callOf(step.syscall, step.operands, options.arch)) steps.u16(o.kind).u16(o.index).u32(0).u64(o.value);
  }
  return new ByteWriter()
    .u32(PROGRAM_MAGIC)
    .u32(options.endThread === true ? 1 : 0)
    .u32(image.steps.length)
    .u32(image.registers)
    .u32(steps.length)
    .u32(image.data.length)
    .u32(options.limitMs ?? 0)
    .u32(options.maxResultBytes ?? 0)
    .raw(steps.done())
    .raw(image.data)
    .done();
}
