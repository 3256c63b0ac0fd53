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

/** Takes apart what `cat` made of several counter files. @throws GUEST_PROTOCOL when it is not so many whole files */
export function splitCounters(bulk: Uint8Array, names: readonly string[]): Map<string, Uint8Array> {
  const starts: number[] = [];
  for (let at = 0; at < bulk.length; ) {
    starts.push(at);
    at = endOfFile(bulk, at);
  }
  if (starts.length !== names.length) throw damaged(`${starts.length} counter files came, ${names.length} were asked for`);
  return new Map(names.map((name, index) => [name, bulk.slice(starts[index], starts[index + 1] ?? bulk.length)]));
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

function endOfFile(bulk: Uint8Array, start: number): number {
  const view = viewOf(bulk);
  if (start + HEADER_BYTES > bulk.length || view.getUint32(start, true) !== MAGIC) throw damaged(`no counter file begins at byte ${start}`);
  let at = start + HEADER_BYTES;
  while (at + 8 <= bulk.length && view.getUint32(at, true) !== MAGIC) at = nextRecord(view, at);
  if (at > bulk.length) throw damaged("the last counter file is cut off");
  return at;
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
