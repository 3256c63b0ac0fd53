import { SuiteError } from "../base/errors.ts";

/**
 * Counter files of gcov as the kernel writes them (kernel/gcov/gcc_4_7.c, convert_to_gcda; gcc's gcov-io.h names the parts):
 * 32-bit words in the guest's order: magic, version, stamp, checksum, then records of tag, length in bytes and payload.
 * Counter records hold 64-bit numbers. Files of one object differ in nothing else, so adding two is adding those.
 */

const MAGIC = 0x67636461; // "gcda"
const HEADER_BYTES = 16;
const TAG_FUNCTION = 0x01000000;
const TAG_FIRST_COUNTER = 0x01a10000;
const COUNTER_KINDS = 8;

/** @throws GUEST_PROTOCOL when the bytes are not one whole counter file */
export function checkCounters(bytes: Uint8Array): void {
  const view = viewOf(bytes);
  if (bytes.length < HEADER_BYTES || view.getUint32(0, true) !== MAGIC) throw damaged("a counter file does not begin as one");
  let at = HEADER_BYTES;
  while (at + 8 <= bytes.length) at = nextRecord(view, at);
  if (at !== bytes.length) throw damaged("a counter file is cut off");
}

/** Adds the counters of one file to those of another of the same object; `times` -1 takes them away. @throws GUEST_PROTOCOL when they are of different objects */
export function addCounters(sum: Uint8Array, more: Uint8Array, times: 1 | -1 = 1): void {
  if (sum.length !== more.length) throw damaged(`${more.length} bytes of counters for an object that has ${sum.length}`);
  const [to, from] = [viewOf(sum), viewOf(more)];
  for (let at = 0; at < HEADER_BYTES; at += 4) if (to.getUint32(at, true) !== from.getUint32(at, true)) throw damaged("counters of another build of the object");
  for (const { start, end } of counterRecords(from)) {
    for (let at = start; at < end; at += 8) to.setBigUint64(at, to.getBigUint64(at, true) + BigInt(times) * from.getBigUint64(at, true), true);
  }
}

function* counterRecords(view: DataView): Generator<{ readonly start: number; readonly end: number }> {
  for (let at = HEADER_BYTES; at + 8 <= view.byteLength; ) {
    const next = nextRecord(view, at);
    if (next > view.byteLength) throw damaged("a counter record is cut off");
    if (view.getUint32(at, true) >= TAG_FIRST_COUNTER) yield { start: at + 8, end: next };
    at = next;
  }
}

function nextRecord(view: DataView, at: number): number {
  const tag = view.getUint32(at, true);
  const kind = (tag - TAG_FIRST_COUNTER) / 0x20000;
  if (tag !== TAG_FUNCTION && !(Number.isInteger(kind) && kind >= 0 && kind < COUNTER_KINDS)) throw damaged(`a record of the unknown kind 0x${tag.toString(16)}`);
  return at + 8 + view.getUint32(at + 4, true);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function damaged(what: string): SuiteError {
  return new SuiteError("GUEST_PROTOCOL", `the line counters of the module are damaged: ${what}`);
}
