import { SuiteError } from "../base/errors.ts";

/** The same layout as vm-images/fuzzer/program.h; what calls mean is known there alone. */
const MAGIC = 0x315a4642;
const HEADER_BYTES = 16;
const CALL_BYTES = 24;

export interface Patch {
  readonly at: number;
  readonly kind: number;
  readonly slot: number;
  readonly add: number;
}

export interface Call {
  readonly op: number;
  readonly thread: number;
  readonly flags: number;
  /** Which allocation of the call fails; 0: none. */
  readonly fail: number;
  readonly place: number;
  readonly args: readonly [number, number, number, number];
  readonly patches: readonly Patch[];
  readonly data: Uint8Array;
}

export interface Program {
  readonly sandbox: number;
  readonly calls: readonly Call[];
}

/** Programs laid one behind the other. @throws FILE_INVALID */
export function parsePrograms(bytes: Uint8Array): Program[] {
  const programs: Program[] = [];
  for (let at = 0; at < bytes.length; ) {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, bytes.length - at);
    if (view.byteLength < HEADER_BYTES || view.getUint32(0, true) !== MAGIC) throw invalid(at, "no program begins there");
    const size = view.getUint32(4, true);
    if (size < HEADER_BYTES || size > view.byteLength) throw invalid(at, `a program of ${size} bytes, of which ${view.byteLength} are there`);
    programs.push(parseOne(new DataView(bytes.buffer, bytes.byteOffset + at, size), at));
    at += size;
  }
  return programs;
}

function parseOne(view: DataView, from: number): Program {
  const calls: Call[] = [];
  const count = view.getUint16(8, true);
  let at = HEADER_BYTES;
  while (calls.length < count) {
    if (at + CALL_BYTES > view.byteLength) throw invalid(from, `call ${calls.length} is cut off`);
    const [patchCount, length] = [view.getUint8(at + 5), view.getUint16(at + 6, true)];
    const data = at + CALL_BYTES + 8 * patchCount;
    if (data + length > view.byteLength) throw invalid(from, `the data of call ${calls.length} is cut off`);
    calls.push({
      op: view.getUint8(at),
      thread: view.getUint8(at + 1),
      flags: view.getUint8(at + 2),
      fail: view.getUint8(at + 3),
      place: view.getUint8(at + 4),
      args: [view.getUint32(at + 8, true), view.getUint32(at + 12, true), view.getUint32(at + 16, true), view.getUint32(at + 20, true)],
      patches: Array.from({ length: patchCount }, (_, n) => {
        const patch = at + CALL_BYTES + 8 * n;
        return { at: view.getUint16(patch, true), kind: view.getUint8(patch + 2), slot: view.getUint8(patch + 3), add: view.getInt32(patch + 4, true) };
      }),
      data: new Uint8Array(view.buffer, view.byteOffset + data, length).slice(),
    });
    at = data + padded(length);
  }
  return { sandbox: view.getUint8(10), calls };
}

export function encodePrograms(programs: readonly Program[]): Uint8Array {
  return new Uint8Array(Buffer.concat(programs.map(encodeOne)));
}

function encodeOne(program: Program): Uint8Array {
  const size = HEADER_BYTES + program.calls.reduce((sum, call) => sum + CALL_BYTES + 8 * call.patches.length + padded(call.data.length), 0);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, size, true);
  view.setUint16(8, program.calls.length, true);
  view.setUint8(10, program.sandbox);
  let at = HEADER_BYTES;
  for (const call of program.calls) {
    [call.op, call.thread, call.flags, call.fail, call.place, call.patches.length].forEach((value, n) => view.setUint8(at + n, value));
    view.setUint16(at + 6, call.data.length, true);
    call.args.forEach((value, n) => view.setUint32(at + 8 + 4 * n, value, true));
    at += CALL_BYTES;
    for (const patch of call.patches) {
      view.setUint16(at, patch.at, true);
      view.setUint8(at + 2, patch.kind);
      view.setUint8(at + 3, patch.slot);
      view.setInt32(at + 4, patch.add, true);
      at += 8;
    }
    bytes.set(call.data, at);
    at += padded(call.data.length);
  }
  return bytes;
}

function padded(length: number): number {
  return (length + 3) & ~3;
}

function invalid(at: number, what: string): SuiteError {
  return new SuiteError("FILE_INVALID", `the programs are damaged at byte ${at}: ${what}`);
}
