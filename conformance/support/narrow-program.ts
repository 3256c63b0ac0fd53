import type { AgentClient } from "../../orchestration/guest/agent-client.ts";

/** An argument of a 32-bit system call: a number, the result of an earlier call, a word of the data, or the sum of two. */
export type NarrowArg = number | { readonly result: number } | { readonly word: number } | { readonly sum: readonly [NarrowArg, NarrowArg] };

const BASE = 0x0804_8000;
const HEADERS = 52 + 32;
const RESULTS = BASE + 0x8000;
const DATA = RESULTS + 0x400;
const CALL = { exit: 1, write: 4, open: 5 } as const;
const O_WRONLY_CREAT_TRUNC = 0o1101;
const [EAX, EBX] = [0, 3];
/** Where int 0x80 expects arguments: ebx, ecx, edx, esi, edi, ebp. */
const ARGUMENTS = [3, 1, 2, 6, 7, 5] as const;
const OUTPUT = "/run/narrow.out";
const PROGRAM = "/run/narrow";

/**
 * A static i386 executable that makes system calls one after the other. It shows that 32-bit processes use the same
 * structures and ioctl numbers, without a 32-bit compiler, C library or agent.
 */
export class NarrowProgram {
  private readonly code: number[] = [];
  private readonly content: number[] = [];
  private calls = 0;

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
      this.move(ARGUMENTS[index] ?? EBX, arg);
    });
    this.move(EAX, number);
    this.code.push(0xcd, 0x80);
    this.store(RESULTS + 4 * this.calls);
    return this.calls++;
  }

  /** Copies 64 bits from one address of the data to another. */
  copy(from: number, to: number): void {
    for (const plus of [0, 4]) {
      this.move(EAX, { word: from + plus });
      this.store(to + plus);
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
    if (typeof arg === "number") this.code.push(0xb8 + register, ...word(arg)); // mov register, number
    else if ("sum" in arg) {
      this.move(register, arg.sum[0]);
      if (typeof arg.sum[1] === "number" || "sum" in arg.sum[1]) throw new RangeError("the second part of a sum is a result or a word");
      this.code.push(0x03, 0x05 | (register << 3), ...word(place(arg.sum[1]))); // add register, [address]
    } else this.code.push(0x8b, 0x05 | (register << 3), ...word(place(arg))); // mov register, [address]
  }

  private store(at: number): void {
    this.code.push(0xa3, ...word(at)); // mov [at], eax
  }

  private image(): Uint8Array {
    if (HEADERS + this.code.length > RESULTS - BASE || 4 * this.calls > DATA - RESULTS) throw new RangeError("the program is too long");
    const image = new Uint8Array(DATA - BASE + this.content.length);
    const view = new DataView(image.buffer);
    image.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]); // ELF, 32 bits, little-endian, version
    const half = [[16, 2], [18, 3], [40, 52], [42, 32], [44, 1]] as const; // executable, i386, sizes of the headers, one segment
    for (const [at, value] of half) view.setUint16(at, value, true);
    const words = [[20, 1], [24, BASE + HEADERS], [28, 52], [52, 1], [56, 0], [60, BASE], [64, BASE], [68, image.length], [72, image.length], [76, 7], [80, 0x1000]] as const; // version, entry, segment: loaded whole, read-write-execute
    for (const [at, value] of words) view.setUint32(at, value, true);
    image.set(this.code, HEADERS);
    image.set(this.content, DATA - BASE);
    return image;
  }
}

function place(arg: { readonly result: number } | { readonly word: number }): number {
  return "result" in arg ? RESULTS + 4 * arg.result : arg.word;
}

function word(value: number): number[] {
  return [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
}
