import { later, plain, type Encoded, type Later } from "../../fixtures/abi/encode.ts";
import type { Call } from "../../orchestration/guest/program.ts";

/**
 * Bytes that will lie in the memory of a process in the guest while a script runs. A memory may hold the address of
 * another one, so a command can point at a message that points at its payload. Each script gets a fresh copy.
 */
export class Memory {
  readonly encoded: Encoded;
  /** For the transcript. */
  readonly label: string;

  constructor(encoded: Encoded, label: string) {
    this.encoded = encoded;
    this.label = label;
  }

  get size(): number {
    return this.encoded.bytes.length;
  }
}

/** What the holes of an {@link Encoded} refer to in this suite. */
export type Source =
  | { readonly kind: "address"; readonly memory: Memory; readonly plus: number }
  /** The return value of a system call made earlier in the same script, for example a new descriptor. */
  | { readonly kind: "result"; readonly call: Call };

/** @param content bytes, a text (without a NUL), encoded structures, or a number of zero bytes */
export function memory(content: Encoded | Uint8Array | string | number, label = "memory"): Memory {
  if (typeof content === "number") return new Memory(plain(new Uint8Array(content)), label);
  if (typeof content === "string") return new Memory(plain(new TextEncoder().encode(content)), label);
  return new Memory(content instanceof Uint8Array ? plain(content) : content, label);
}

/** The address of a memory in the process that runs the script; usable wherever a number is. */
export function address(of: Memory, plus = 0): Later {
  return later({ kind: "address", memory: of, plus } satisfies Source);
}

export function isMemory(value: unknown): value is Memory {
  return value instanceof Memory;
}

/** Addresses no process maps: in the null page, and in the last page of the address space. 8-byte aligned. */
export const UNMAPPED = 0x1000n;
export const KERNEL_ADDRESS = 0xffff_ffff_ffff_f000n;
