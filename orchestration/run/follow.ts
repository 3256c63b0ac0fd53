import { open, type FileHandle } from "node:fs/promises";
import { parseRecords } from "../record/jsonl.ts";
import type { RunRecord } from "../record/v1.ts";

const EVERY_MS = 200;

/**
 * Reads records.jsonl while others append to it. A record ends where the next one begins (each begins with a line feed),
 * so the newest line is tried as it stands and read again when it does not parse yet.
 */
export class Follower {
  private readonly path: string;
  private readonly onRecord: (record: RunRecord) => void;
  private file: FileHandle | undefined;
  private offset = 0;
  private readonly chunk = Buffer.allocUnsafe(64 * 1024);
  private rest = Buffer.alloc(0);
  private timer: NodeJS.Timeout | undefined;
  private busy: Promise<void> = Promise.resolve();

  constructor(path: string, onRecord: (record: RunRecord) => void) {
    this.path = path;
    this.onRecord = onRecord;
  }

  start(): void {
    this.timer = setInterval(() => void this.poll(), EVERY_MS);
  }

  /** Reads what is there now, then stops. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.poll();
    await this.file?.close();
    this.file = undefined;
  }

  private poll(): Promise<void> {
    this.busy = this.busy.then(() => this.read()).catch(() => undefined); // not yet there, or gone: the next poll tells
    return this.busy;
  }

  private async read(): Promise<void> {
    this.file ??= await open(this.path, "r");
    const { chunk } = this;
    for (;;) {
      const { bytesRead } = await this.file.read(chunk, 0, chunk.length, this.offset);
      if (bytesRead === 0) break;
      this.offset += bytesRead;
      this.rest = Buffer.concat([this.rest, chunk.subarray(0, bytesRead)]);
    }
    const last = this.rest.lastIndexOf(0x0a) + 1;
    const tail = this.rest.subarray(last).toString("utf8");
    const complete = this.rest.subarray(0, last).toString("utf8");
    const parsedTail = tail.endsWith("}") ? parseRecords(tail) : { records: [] };
    this.rest = parsedTail.records.length > 0 || tail === "" ? Buffer.alloc(0) : this.rest.subarray(last);
    for (const record of [...parseRecords(complete).records, ...parsedTail.records]) this.onRecord(record);
  }
}
