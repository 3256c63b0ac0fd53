import { closeSync, fdatasyncSync, fsyncSync, openSync, unlinkSync, writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { asSuiteError, SuiteError } from "../base/errors.ts";
import { readRecord } from "./upgrade.ts";
import { RECORD_SCHEMA, type RecordFields, type RunRecord } from "./v1.ts";

/** Room kept free per writer, so that the last records of a run still fit when the disk is full. */
const RESERVE_BYTES = 256 * 1024;

/** The calls a writer makes; tests give their own to play a failing disk. */
export interface Disk {
  open(path: string, flags: string): number;
  write(fd: number, data: Buffer): number;
  sync(fd: number): void;
  close(fd: number): void;
  remove(path: string): void;
}

const realDisk: Disk = {
  open: (path, flags) => openSync(path, flags, 0o644),
  write: (fd, data) => writeSync(fd, data),
  sync: fdatasyncSync,
  close: closeSync,
  remove: unlinkSync,
};

export interface WriterOptions {
  readonly path: string;
  readonly run: string;
  /** Distinct per process: numbers are counted per writer, so that a reader sees a gap. */
  readonly writer: string;
  readonly disk?: Disk;
  readonly reserveBytes?: number;
}

/**
 * Appends records to records.jsonl. Every record is one write with O_APPEND that begins with a line feed of its own, so a
 * line torn by another writer or by a crash spoils itself alone, and it is on the disk before `append` returns. Calls are
 * synchronous: what happens after them may be the death of this process.
 *
 * When the disk is full the writer gives up its reserve and tries again; what still does not fit is held back and tried
 * with each later record. `failure` then says so, and the run must not be called good.
 */
export class RecordWriter {
  private readonly options: WriterOptions;
  private readonly disk: Disk;
  private readonly fd: number;
  private reserve: string | null;
  private seq = 0;
  private held: Buffer[] = [];
  private failed: SuiteError | undefined;

  constructor(options: WriterOptions) {
    this.options = options;
    this.disk = options.disk ?? realDisk;
    this.fd = this.disk.open(options.path, "a");
    this.reserve = this.takeReserve();
  }

  /** Never throws: a record that cannot be written must not end what is being recorded. Look at {@link failure}. */
  append(fields: RecordFields): void {
    const record = { schema: RECORD_SCHEMA, run: this.options.run, at: new Date().toISOString(), writer: this.options.writer, seq: this.seq++, ...fields };
    this.held.push(Buffer.from(`\n${JSON.stringify(record)}`));
    this.flush();
  }

  /** The first thing that went wrong with the disk, even if every record was saved in the end. */
  get failure(): SuiteError | undefined {
    return this.failed;
  }

  /** Records that are in memory only. */
  get heldBack(): number {
    return this.held.length;
  }

  close(): void {
    this.flush();
    this.dropReserve();
    try {
      this.disk.close(this.fd);
    } catch (error) {
      this.note(error);
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private flush(): void {
    while (this.held.length > 0) {
      const line = this.held[0];
      if (line === undefined || !(this.tryWrite(line) || (this.dropReserve() && this.tryWrite(line)))) return;
      this.held.shift();
    }
  }

  private tryWrite(line: Buffer): boolean {
    try {
      const written = this.disk.write(this.fd, line);
      // A short write leaves a torn line, which the next line feed ends; the record is written again as a whole.
      if (written !== line.length) {
        this.note(Object.assign(new Error("short write"), { code: "ENOSPC", path: this.options.path }));
        return false;
      }
      this.disk.sync(this.fd);
      return true;
    } catch (error) {
      this.note(error);
      return false;
    }
  }

  private takeReserve(): string | null {
    const path = `${this.options.path}.${this.options.writer}.reserve`;
    try {
      const fd = this.disk.open(path, "w");
      try {
        this.disk.write(fd, Buffer.alloc(this.options.reserveBytes ?? RESERVE_BYTES, "\n"));
        this.disk.sync(fd);
      } finally {
        this.disk.close(fd);
      }
      return path;
    } catch (error) {
      this.note(error);
      return path;
    }
  }

  private dropReserve(): boolean {
    if (this.reserve === null) return false;
    try {
      this.disk.remove(this.reserve);
    } catch (error) {
      this.note(error);
    }
    this.reserve = null;
    return true;
  }

  private note(error: unknown): void {
    this.failed ??= asSuiteError(error);
  }
}

/** Makes the file itself durable in its folder; once per run. */
export function createRecords(path: string): void {
  const fd = openSync(path, "a", 0o644);
  fsyncSync(fd);
  closeSync(fd);
}

/** A line that is no record, kept as it is. */
export interface TornLine {
  /** 1-based. */
  readonly line: number;
  readonly text: string;
}

export interface RecordLog {
  readonly records: readonly RunRecord[];
  readonly torn: readonly TornLine[];
  /** Numbers missing within what a writer wrote, as `writer:first-last`: records that existed and are lost. */
  readonly gaps: readonly string[];
}

/** @throws FILE_INVALID when the file cannot be read or was written by a newer buslab; damaged lines are no error */
export async function readRecords(path: string): Promise<RecordLog> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new SuiteError("FILE_INVALID", `${path} cannot be read`, { cause: error });
  }
  return parseRecords(text);
}

/** Reads what {@link RecordWriter} wrote. Never guesses at a damaged line. */
export function parseRecords(text: string): RecordLog {
  const records: RunRecord[] = [];
  const torn: TornLine[] = [];
  text.split("\n").forEach((line, index) => {
    if (line === "") return;
    const record = parseLine(line);
    if (record === null) torn.push({ line: index + 1, text: line });
    else records.push(record);
  });
  return { records, torn, gaps: gapsOf(records) };
}

function parseLine(line: string): RunRecord | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  return readRecord(value);
}

function gapsOf(records: readonly RunRecord[]): string[] {
  const seen = new Map<string, number[]>();
  for (const record of records) {
    const numbers = seen.get(record.writer);
    if (numbers === undefined) seen.set(record.writer, [record.seq]);
    else numbers.push(record.seq);
  }
  const gaps: string[] = [];
  for (const [writer, numbers] of seen) {
    let next = 0;
    for (const number of numbers.sort((a, b) => a - b)) {
      if (number > next) gaps.push(`${writer}:${next}-${number - 1}`);
      next = Math.max(next, number + 1);
    }
  }
  return gaps;
}
