import { open, type FileHandle } from "node:fs/promises";
import { parseRecords } from "../../record/jsonl.ts";
import type { RunRecord } from "../../record/v1.ts";

const CHUNK_BYTES = 256 * 1024;

export interface Tailed {
  readonly record: RunRecord;
  /** Bytes of the file up to the end of the record: reading on from here misses nothing and repeats nothing. */
  readonly end: number;
}

/**
 * Reads records.jsonl piece by piece while others append to it. Each record begins with a line feed of its own, so the
 * newest line counts as soon as it parses and waits otherwise; a torn line ends where the next one begins and is passed over.
 */
export class Tail {
  private readonly path: string;
  private offset: number;
  private file: FileHandle | undefined;

  constructor(path: string, offset = 0) {
    this.path = path;
    this.offset = offset;
  }

  /** The next records, up to about 256 KiB of them; empty when there are none now. */
  async read(): Promise<Tailed[]> {
    this.file ??= await open(this.path, "r");
    for (let size = CHUNK_BYTES; ; size *= 2) {
      const buffer = Buffer.alloc(size);
      const { bytesRead } = await this.file.read(buffer, 0, size, this.offset);
      const { tailed, used } = split(buffer.subarray(0, bytesRead), this.offset, bytesRead < size);
      this.offset += used;
      if (used > 0 || bytesRead < size) return tailed;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.file?.close();
    this.file = undefined;
  }
}

function split(bytes: Buffer, base: number, atEnd: boolean): { tailed: Tailed[]; used: number } {
  const tailed: Tailed[] = [];
  let used = 0;
  while (used < bytes.length) {
    const start = bytes[used] === 0x0a ? used + 1 : used;
    const feed = bytes.indexOf(0x0a, start);
    if (feed < 0 && !atEnd) break;
    const end = feed < 0 ? bytes.length : feed;
    const record = parseRecords(bytes.subarray(start, end).toString("utf8")).records[0];
    // The last line may still be on its way.
    if (record === undefined && feed < 0) break;
    if (record !== undefined) tailed.push({ record, end: base + end });
    used = end;
  }
  return { tailed, used };
}
