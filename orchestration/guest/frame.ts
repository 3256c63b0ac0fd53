import { crc32 } from "node:zlib";
import { ByteWriter } from "./bytes.ts";

export const AGENT_VERSION = 1;
export const HEADER_BYTES = 24;
export const MAX_PAYLOAD = 24 * 1024 * 1024;

/** Types of frames; vm-images/agent/PROTOCOL.md describes the payloads. */
export const FRAME = {
  SYNC: 1,
  PING: 2,
  INFO: 3,
  RESTORED: 4,
  SPAWN: 5,
  KILL: 6,
  RUN: 7,
  PASS_FD: 8,
  STATE: 9,
  KLOG: 10,
  MARK: 11,
  EXEC: 32,
  WRITE_FILE: 33,
  READ_FILE: 34,
  INSMOD: 35,
  RMMOD: 36,
  MOUNT: 37,
  UMOUNT: 38,
  SYNCED: 0x101,
  OK: 0x102,
  ERROR: 0x103,
  DEATH: 0x201,
  BAD_FRAME: 0x202,
} as const;

export interface Frame {
  readonly type: number;
  readonly request: number;
  readonly number: number;
  readonly payload: Uint8Array;
}

/*
 * Frame, all fields little endian:
 *    0  u8[4]  'B' 'L' 'G' and the version of the format, 1
 *    4  u32    bytes of payload
 *    8  u32    number: frames sent in this direction since SYNC, from 0
 *   12  u32    request: chosen by the client, repeated in the reply; 0 in events
 *   16  u16    type
 *   18  u16    zero
 *   20  u32    crc32 of the bytes 0..19 and the payload
 *   24         payload
 */
const MAGIC = Uint8Array.of(0x42, 0x4c, 0x47, AGENT_VERSION);

export function encodeFrame(type: number, request: number, number: number, payload: Uint8Array): Uint8Array {
  if (payload.length > MAX_PAYLOAD) throw new RangeError(`a frame of ${payload.length} bytes; the agent takes at most ${MAX_PAYLOAD}`);
  const head = new ByteWriter().raw(MAGIC).u32(payload.length).u32(number).u32(request).u16(type).u16(0).done();
  return new ByteWriter()
    .raw(head)
    .u32(crc32(payload, crc32(head)))
    .raw(payload)
    .done();
}

/**
 * Cuts a stream into frames. At first it hunts for the SYNCED frame that carries this client's nonce and throws away
 * what a former connection left on the wire; after that every byte counts and a wrong one is an error.
 */
export class FrameDecoder {
  private readonly nonce: Uint8Array;
  private chunks: Uint8Array[] = [];
  private size = 0;
  private need = HEADER_BYTES;
  private synced = false;
  private next = 0;

  constructor(nonce: Uint8Array) {
    this.nonce = nonce;
  }

  /** @throws RangeError with what is wrong; the stream cannot be used after that */
  push(chunk: Uint8Array): Frame[] {
    this.chunks.push(chunk);
    this.size += chunk.length;
    if (this.size < this.need) return []; // one large frame in many chunks is joined once
    let bytes: Uint8Array = this.chunks.length === 1 ? chunk : Buffer.concat(this.chunks);
    const frames: Frame[] = [];
    for (;;) {
      if (!this.synced) bytes = this.hunt(bytes);
      const frame = bytes.length < HEADER_BYTES ? undefined : this.take(bytes);
      if (frame === undefined) break;
      frames.push(frame);
      bytes = bytes.subarray(HEADER_BYTES + frame.payload.length);
      this.need = HEADER_BYTES;
    }
    this.chunks = [bytes];
    this.size = bytes.length;
    return frames;
  }

  private take(bytes: Uint8Array): Frame | undefined {
    const frame = this.synced ? parse(bytes) : undefined;
    if (frame === undefined) return undefined;
    if (typeof frame === "number") {
      this.need = frame;
      return undefined;
    }
    // an agent that got SYNC twice answers twice and counts anew
    if (frame.type === FRAME.SYNCED) this.next = frame.number;
    if (frame.number !== this.next) throw new RangeError(`frame number ${frame.number} came, ${this.next} was due`);
    this.next++;
    return frame;
  }

  /** Skips to the answer to our SYNC; keeps what may be its beginning. */
  private hunt(bytes: Uint8Array): Uint8Array {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const whole = HEADER_BYTES + 24;
    for (let at = 0; ; at++) {
      const found = buffer.indexOf(MAGIC, at);
      if (found < 0) return bytes.subarray(Math.max(0, bytes.length - MAGIC.length + 1));
      if (bytes.length - found < whole) return bytes.subarray(found);
      at = found;
      if (buffer.readUInt32LE(at + 4) !== 24 || buffer.readUInt16LE(at + 16) !== FRAME.SYNCED) continue;
      if (Buffer.compare(buffer.subarray(at + HEADER_BYTES, at + HEADER_BYTES + 16), this.nonce) !== 0 || !isSound(buffer.subarray(at))) continue;
      this.synced = true;
      return bytes.subarray(at);
    }
  }
}

/** A frame, or how many bytes it needs. */
function parse(bytes: Uint8Array): Frame | number {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (Buffer.compare(buffer.subarray(0, 4), MAGIC) !== 0) throw new RangeError(`a frame began with ${buffer.subarray(0, 4).toString("hex")}`);
  const length = buffer.readUInt32LE(4);
  if (length > MAX_PAYLOAD) throw new RangeError(`a frame of ${length} bytes, the limit is ${MAX_PAYLOAD}`);
  if (bytes.length < HEADER_BYTES + length) return HEADER_BYTES + length;
  if (!isSound(buffer)) throw new RangeError("a frame had a wrong checksum");
  return {
    number: buffer.readUInt32LE(8),
    request: buffer.readUInt32LE(12),
    type: buffer.readUInt16LE(16),
    payload: new Uint8Array(bytes.subarray(HEADER_BYTES, HEADER_BYTES + length)),
  };
}

function isSound(buffer: Buffer): boolean {
  const payload = buffer.subarray(HEADER_BYTES, HEADER_BYTES + buffer.readUInt32LE(4));
  return buffer.readUInt16LE(18) === 0 && crc32(payload, crc32(buffer.subarray(0, 20))) === buffer.readUInt32LE(20);
}
