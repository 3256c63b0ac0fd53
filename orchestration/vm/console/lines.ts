/**
 * Takes a console apart into kernel records.
 *
 * Machines boot with `console_msg_format=syslog`, so each record begins with `<facility * 8 + level>[seconds.micros]`.
 * What user space writes to /dev/kmsg is printed with a facility other than 0: the kernel replaces 0 (devkmsg_write in
 * kernel/printk/printk.c). Such records are told apart here and never start or continue a report.
 *
 * What cannot be told apart: a process with access to the serial line itself (root, /dev/ttyS0 or /dev/console) can write
 * bytes that look like a kernel record. No line of ours goes there: init shows no status on the console, no getty runs on it.
 */
export interface KernelLine {
  /** Byte offset of the record in the console log. */
  readonly offset: number;
  readonly level: number;
  readonly seconds: number;
  /** Text behind the time stamp (and the caller id, where the kernel prints one). */
  readonly text: string;
}

// The caller id is there with CONFIG_PRINTK_CALLER: [    T1] or [    C0].
const TIME = String.raw`\[ *(\d+\.\d{6})\](?:\[ *[TC]\d+\])? ?`;
const SYSLOG_START = new RegExp(String.raw`^<(\d{1,3})>${TIME}`);
const SYSLOG_WITHIN = new RegExp(String.raw`<(\d{1,3})>${TIME}`);
const PLAIN_START = new RegExp(String.raw`^()${TIME}`);

/**
 * Kernel records in the order printed. A log without any syslog prefix (an ssh target's console, an old recording) is
 * read as plain `[seconds] text`; there user text cannot be told from the kernel's.
 */
export function kernelLines(bytes: Uint8Array): KernelLine[] {
  const log = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1"); // one character a byte: indices are offsets
  const syslog = /(?:^|\n)<\d{1,3}>\[ *\d+\.\d{6}\]/.test(log);
  const found: KernelLine[] = [];
  let offset = 0;
  for (const raw of log.split("\n")) {
    const line = syslog ? syslogLine(raw, offset) : plainLine(raw, offset);
    if (line !== undefined) found.push(line);
    offset += raw.length + 1;
  }
  return found;
}

function syslogLine(raw: string, offset: number): KernelLine | undefined {
  // A record is printed in one piece under the port's lock, but it may follow a tty line that had no line feed yet.
  // Behind another record's prefix a second one is quoted text of that record and starts nothing.
  const match = SYSLOG_START.exec(raw) ?? SYSLOG_WITHIN.exec(raw);
  if (match === null) return undefined;
  const priority = Number(match[1]);
  if (priority >= 8) return undefined;
  return {
    offset: offset + match.index,
    level: priority,
    seconds: Number(match[2]),
    text: decode(raw.slice(match.index + match[0].length)),
  };
}

function plainLine(raw: string, offset: number): KernelLine | undefined {
  const match = PLAIN_START.exec(raw);
  return match === null ? undefined : { offset, level: 4, seconds: Number(match[2]), text: decode(raw.slice(match[0].length)) };
}

function decode(latin1: string): string {
  return Buffer.from(latin1.replace(/\r+$/, ""), "latin1").toString("utf8");
}
