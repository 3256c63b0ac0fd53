import { ByteReader } from "./bytes.ts";
import { errnoName } from "./errno.ts";
import type { Program, Read } from "./program.ts";
import { Call, Reg } from "./steps.ts";

const STATUS = ["done", "fault", "deadline", "bad", "ended", "error", "full"] as const;

/**
 * done: ran to its end; ended: by endIf; error: a call with orStop failed; fault: a step touched bad memory;
 * deadline: took too long; bad: a step that makes no sense; full: more memory was read than fits.
 */
export type ProgramStatus = (typeof STATUS)[number];

const TRACE = 1;
const READ = 2;
const EMIT = 3;

export interface Trace {
  readonly value: bigint;
  readonly errno: number;
}

/** What a program left behind. Values of a program that did not come to its end are those at that moment. */
export class ProgramResult {
  readonly status: ProgramStatus;
  /** Index of the step it ended at. */
  readonly step: number;
  /** Of a fault: number of the signal. Of bad and error: errno. */
  readonly detail: number;
  /** Of a fault: si_code, 2 of SIGBUS is "nonexistent physical address". */
  readonly code: number;
  readonly faultAddress: bigint;
  readonly endValue: bigint;
  readonly stepsDone: bigint;
  /** In the guest, by its monotonic clock. */
  readonly tookNs: bigint;
  private readonly program: Program;
  private readonly registers: bigint[] = [];
  private readonly records = new Map<number, { readonly kind: number; readonly bytes: Uint8Array }[]>();

  constructor(program: Program, payload: Uint8Array) {
    const r = new ByteReader(payload);
    this.program = program;
    this.status = STATUS[r.u32()] ?? "bad";
    this.step = r.u32();
    this.detail = r.u32();
    this.code = r.s32();
    const address = r.u64();
    this.faultAddress = this.status === "fault" ? address : 0n;
    this.endValue = this.status === "ended" ? address : 0n;
    this.stepsDone = r.u64();
    const start = r.u64();
    this.tookNs = r.u64() - start;
    const registers = r.u32();
    r.u32();
    for (let i = 0; i < registers; i++) this.registers.push(r.u64());
    while (r.left > 0) {
      const step = r.u32();
      const kind = r.u16();
      r.u16();
      const length = r.u32();
      r.u32();
      const list = this.records.get(step) ?? [];
      list.push({ kind, bytes: r.raw(length) });
      r.raw((8 - (length % 8)) % 8);
      this.records.set(step, list);
    }
  }

  /** Signed, as system calls return it. */
  value(of: Reg | Call): bigint {
    return BigInt.asIntN(64, this.unsigned(of));
  }

  unsigned(of: Reg | Call): bigint {
    return this.registers[of instanceof Call ? of.ret.index : of.index] ?? 0n;
  }

  /** For descriptors and counts. */
  number(of: Reg | Call): number {
    return Number(this.value(of));
  }

  errno(call: Call): number {
    return Number(this.registers[call.err.index] ?? 0n);
  }

  /** `EINVAL`, or `""` when it worked. */
  errnoName(call: Call): string {
    return errnoName(this.errno(call));
  }

  /** @throws RangeError when the step was not reached or the memory could not be read */
  bytes(of: Read): Uint8Array {
    const found = this.allBytes(of).at(-1);
    if (found === undefined) throw new RangeError(`step ${of.step} read no memory; the program ${this.describe()}`);
    return found;
  }

  /** One element for each time the step was passed and could read. */
  allBytes(of: Read): readonly Uint8Array[] {
    return this.kind(of.step, READ);
  }

  values(of: Read): readonly bigint[] {
    return this.kind(of.step, EMIT).map((bytes) => new ByteReader(bytes).u64());
  }

  /** Every execution of a call made with `trace`. */
  traces(call: Call): readonly Trace[] {
    return this.kind(call.step, TRACE).map((bytes) => {
      const r = new ByteReader(bytes);
      return { value: r.s64(), errno: Number(r.u64()) };
    });
  }

  describe(): string {
    const at = `at step ${this.step} (${this.program.describe(this.step)})`;
    switch (this.status) {
      case "done":
        return "ran to its end";
      case "ended":
        return `ended ${at}`;
      case "fault":
        return `${errnoName(0x10000 + this.detail)} (code ${this.code}) for address 0x${this.faultAddress.toString(16)} ${at}`;
      case "deadline":
        return `did not end in time; it was ${at}`;
      case "error":
        return `stopped with ${errnoName(this.detail)} ${at}`;
      case "full":
        return `read more memory than its result may hold ${at}`;
      case "bad":
        return `has a step that makes no sense (${errnoName(this.detail)}) ${at}`;
    }
  }

  private kind(step: number, kind: number): readonly Uint8Array[] {
    return (this.records.get(step) ?? []).filter((record) => record.kind === kind).map((record) => record.bytes);
  }
}

/** A program that did not come to its end: news about the kernel or the program, not about the agent. */
export class ProgramFailure extends Error {
  readonly result: ProgramResult;

  constructor(result: ProgramResult) {
    super(`the program ${result.describe()}`);
    this.name = "ProgramFailure";
    this.result = result;
  }
}

/**
 * A program that outlived its limit although a signal comes every 20 ms: the kernel does not let its thread go. News about the
 * kernel as well, since the agent beside it answers.
 */
export class ProgramStuck extends Error {
  constructor(program: Program, limitMs: number, held: Held) {
    super(`the program did not end within ${limitMs} ms, and no signal gets its thread out of the kernel: it waits (${held.state}) in ${placeOf(held)}, at step ${held.step} (${program.describe(held.step)})`);
    this.name = "ProgramStuck";
  }
}

interface Held {
  readonly state: string;
  readonly step: number;
  readonly syscall: string;
  readonly wchan: string;
}

/** Function of the kernel and number of the system call, as far as the kernel tells. */
export function placeOf({ syscall, wchan }: Pick<Held, "syscall" | "wchan">): string {
  return `${wchan === "" || wchan === "0" ? "the kernel" : wchan}, system call ${syscall.split(" ")[0] ?? "?"}`;
}
