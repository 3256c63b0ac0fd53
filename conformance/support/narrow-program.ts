import type { AgentClient } from "../../orchestration/guest/agent-client.ts";
import type { NarrowIsa } from "./narrow-isa.ts";

/** An argument of a 32-bit system call: a number, the result of an earlier call, a word of the data, or the sum of two. */
export type NarrowArg = number | { readonly result: number } | { readonly word: number } | { readonly sum: readonly [NarrowArg, NarrowArg] };

const BASE = 0x0804_8000;
const HEADERS = 52 + 32;
const RESULTS = BASE + 0x8000;
const DATA = RESULTS + 0x400;
const CALL = { exit: 1, write: 4, open: 5 } as const;
const O_WRONLY_CREAT_TRUNC = 0o1101;
const OUTPUT = "/run/narrow.out";
const PROGRAM = "/run/narrow";

/**
 * A static 32-bit executable that makes system calls one after the other. It shows that 32-bit processes use the same
 * structures and ioctl numbers, without a 32-bit compiler, C library or agent.
 */
export class NarrowProgram {
  private readonly isa: NarrowIsa;
  private readonly code: number[] = [];
  private readonly content: number[] = [];
  private calls = 0;

  constructor(isa: NarrowIsa) {
    this.isa = isa;
  }

  /** @returns the address, 8-byte aligned, of these bytes */
  data(bytes: Uint8Array | string): number {
    while (this.content.length % 8 !== 0) this.content.push(0);
    const at = DATA + this.content.length;
    this.content.push(...(typeof bytes === "string" ? new TextEncoder().encode(`${bytes}\0`) : bytes));
    return at;
  }

  /** @returns the call's number, for `{ result }` */
  call(number: number, ...args: readonly NarrowArg[]): number {
    args.forEach((arg, index) => {
      const register = this.isa.arguments[index];
      if (register === undefined) throw new RangeError(`a system call has at most ${this.isa.arguments.length} arguments`);
      this.move(register, arg);
    });
    this.move(this.isa.number, number);
    this.code.push(...this.isa.trap, ...this.isa.store(this.isa.answer, RESULTS + 4 * this.calls));
    return this.calls++;
  }

  /** Copies 64 bits from one address of the data to another. */
  copy(from: number, to: number): void {
    for (const plus of [0, 4]) {
      this.code.push(...this.isa.load(this.isa.answer, from + plus), ...this.isa.store(this.isa.answer, to + plus));
    }
  }

  /** Runs it in the guest. @returns one value a call (negative: -errno) and the data as it was at the end; undefined if the kernel runs no 32-bit programs */
  async run(agent: AgentClient): Promise<{ readonly results: readonly number[]; bytes(at: number, size: number): Uint8Array } | undefined> {
    const asked = this.calls;
    const output = this.call(CALL.open, this.data(OUTPUT), O_WRONLY_CREAT_TRUNC, 0o600);
    this.call(CALL.write, { result: output }, RESULTS, DATA - RESULTS + this.content.length);
    this.call(CALL.exit, 0);
    await agent.writeFile(PROGRAM, this.image(), { mode: 0o755 });
    const { exitCode } = await agent.exec([PROGRAM]);
    if (exitCode === 126 || exitCode === 127) return undefined;
    if (exitCode !== 0) throw new Error(`the 32-bit program ended with ${exitCode}`);
    const all = await agent.readFile(OUTPUT);
    const view = new DataView(all.buffer, all.byteOffset, all.length);
    return {
      results: Array.from({ length: asked }, (_, index) => view.getInt32(4 * index, true)),
      bytes: (at, size) => all.slice(at - RESULTS, at - RESULTS + size),
    };
  }

  private move(register: number, arg: NarrowArg): void {
    if (typeof arg === "number") this.code.push(...this.isa.set(register, arg));
    else if ("sum" in arg) {
      this.move(register, arg.sum[0]);
      if (typeof arg.sum[1] === "number" || "sum" in arg.sum[1]) throw new RangeError("the second part of a sum is a result or a word");
      this.code.push(...this.isa.add(register, place(arg.sum[1])));
    } else this.code.push(...this.isa.load(register, place(arg)));
  }

  private image(): Uint8Array {
    if (HEADERS + this.code.length > RESULTS - BASE || 4 * this.calls > DATA - RESULTS) throw new RangeError("the program is too long");
    const image = new Uint8Array(DATA - BASE + this.content.length);
    const view = new DataView(image.buffer);
    image.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]); // ELF, 32 bits, little-endian, version
    const half = [[16, 2], [18, this.isa.machine], [40, 52], [42, 32], [44, 1]] as const; // executable, processor, sizes of the headers, one segment
    for (const [at, value] of half) view.setUint16(at, value, true);
    const words = [[20, 1], [24, BASE + HEADERS], [28, 52], [36, this.isa.flags], [52, 1], [56, 0], [60, BASE], [64, BASE], [68, image.length], [72, image.length], [76, 7], [80, 0x1000]] as const; // version, entry, headers, flags, segment: loaded whole, read-write-execute
    for (const [at, value] of words) view.setUint32(at, value, true);
    image.set(this.code, HEADERS);
    image.set(this.content, DATA - BASE);
    return image;
  }
}

function place(arg: { readonly result: number } | { readonly word: number }): number {
  return "result" in arg ? RESULTS + 4 * arg.result : arg.word;
}
