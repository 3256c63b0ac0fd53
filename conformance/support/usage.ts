import { longBytes, type SyscallArch } from "../../orchestration/guest/syscalls.ts";

/** For getrusage(2). */
export const RUSAGE_THREAD = 1;
/** Enough for struct rusage of every architecture. */
export const RUSAGE_BYTES = 144;

const FIELDS = { minorFaults: 4, voluntarySwitches: 12 } as const;

/**
 * Where struct rusage has a counter: two struct timeval, then words, all of the width of a long.
 * @see getrusage(2)
 */
export function usagePlace(process: { readonly peer: { readonly arch: SyscallArch } }, field: keyof typeof FIELDS): { readonly offset: number; readonly width: 4 | 8 } {
  const width = longBytes(process.peer.arch);
  return { offset: (4 + FIELDS[field]) * width, width };
}

/** The counter in the bytes of its place alone. */
export function usageCount(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return bytes.length === 4 ? BigInt(view.getUint32(0, true)) : view.getBigUint64(0, true);
}
