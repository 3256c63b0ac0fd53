import { createWriteStream, type WriteStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { killGroup, spawnTied } from "../../base/exec.ts";

/** A record of /dev/kmsg as a console with console_msg_format=syslog prints it, or null for what it does not print. */
export function consoleLine(record: string): string | null {
  // "6,339,5140900,-;text", continued by lines that begin with a blank: the kernel's own key=value pairs
  const match = /^(\d+),\d+,(\d+),[^;]*;(.*)$/.exec(record);
  if (match === null) return null;
  const [, priority = "", micros = "0", text = ""] = match;
  const whole = Math.floor(Number(micros) / 1e6);
  return `<${priority}>[${String(whole).padStart(5)}.${String(Number(micros) % 1e6).padStart(6, "0")}] ${text.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))}`;
}

/** A serial line in the form of {@link consoleLine}: a kernel that prints no priorities gets that of a warning. */
export function serialLines(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1").replaceAll("\r", "").replace(/^(?=\[ *\d+\.\d{6}\])/gm, "<4>");
}

/** What a command of the caller streams: the serial line of a machine, whoever holds its other end. */
export class ConsoleCommand implements AsyncDisposable {
  readonly #file: WriteStream;
  readonly #path: string;
  readonly #child: ReturnType<typeof spawnTied>;

  /** Starts the command by a shell of this host; all it prints goes to the file. */
  constructor(command: string, path: string) {
    this.#path = path;
    this.#file = createWriteStream(path, { flags: "a" });
    this.#file.on("error", () => undefined); // a full disk shows in the records
    this.#child = spawnTied(["sh", "-c", command], { stdio: ["ignore", "pipe", "ignore"] });
    this.#child.stdout?.pipe(this.#file);
    this.#child.on("error", () => undefined);
  }

  /** How much it has printed; where a test begins. */
  async size(): Promise<number> {
    return (await readFile(this.#path).catch(() => Buffer.alloc(0))).length;
  }

  async since(offset: number): Promise<Buffer> {
    return (await readFile(this.#path).catch(() => Buffer.alloc(0))).subarray(offset);
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  [Symbol.asyncDispose](): Promise<void> {
    killGroup(this.#child);
    this.#file.end();
    return Promise.resolve();
  }
}
