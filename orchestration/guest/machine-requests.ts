import { SuiteError } from "../base/errors.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import type { Channel } from "./channel.ts";
import { FRAME } from "./frame.ts";

/** Requests about the machine as a whole; {@link AgentClient} is the door to them. */

export const SEED_BYTES = 64;
const CHUNK_BYTES = 1024 * 1024;
const KEEP_OUTPUT_BYTES = 8 * 1024 * 1024;
const GRACE_MS = 5000;
const WRITE = { TRUNCATE: 1, CREATE: 2, PARENTS: 4, CONTROL: 8 } as const;

export interface GuestInfo {
  readonly sysname: string;
  readonly release: string;
  readonly version: string;
  /** As `uname -m`. */
  readonly machine: string;
  readonly nodename: string;
  readonly pageSize: number;
  /** Of a long in the agent's image. */
  readonly bits: number;
  readonly agentPid: number;
}

export interface GuestExit {
  /** 128 + signal when a signal ended it; 127: no such program. */
  readonly exitCode: number;
  /** Killed at its limit. */
  readonly timedOut: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ExecInput {
  readonly stdin?: Uint8Array | string;
  readonly cwd?: string;
  /** In addition to PATH, HOME and LANG. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface WriteOptions {
  /** Default 0o644 for a new file. */
  readonly mode?: number;
  /** One write(2) to a file of /proc, /sys or /dev: nothing is made or emptied. */
  readonly control?: boolean;
}

export interface MountOptions {
  readonly source: string;
  readonly target: string;
  readonly type: string;
  readonly data?: string;
  readonly flags?: bigint;
  /** Makes the target first. */
  readonly makeTarget?: boolean;
}

export interface KernelRecord {
  readonly sequence: bigint;
  /** 0 emergency … 7 debug */
  readonly level: number;
  readonly timeUs: bigint;
  readonly text: string;
}

export interface KernelLog {
  readonly records: readonly KernelRecord[];
  /** For the next question. */
  readonly cursor: bigint;
  /** Records overwritten before they could be read. */
  readonly lost: number;
}

export async function info(channel: Channel, timeoutMs: number): Promise<GuestInfo> {
  const r = new ByteReader(await channel.request(FRAME.INFO, new Uint8Array(), "info", timeoutMs));
  const [sysname, release, version, machine, nodename] = [r.text(), r.text(), r.text(), r.text(), r.text()];
  return { sysname, release, version, machine, nodename, pageSize: r.u32(), bits: r.u32(), agentPid: r.u32() };
}

export async function ping(channel: Channel, timeoutMs: number): Promise<void> {
  const echo = new ByteWriter().u64(process.hrtime.bigint()).done();
  const answer = await channel.request(FRAME.PING, echo, "ping", timeoutMs);
  if (Buffer.compare(answer, echo) !== 0) throw new SuiteError("GUEST_PROTOCOL", "the agent's answer to a ping was not its echo");
}

export async function restored(channel: Channel, unixMs: number, seed: Uint8Array, timeoutMs: number): Promise<void> {
  if (seed.length !== SEED_BYTES) throw new RangeError(`a seed of ${seed.length} bytes; the agent takes exactly ${SEED_BYTES}`);
  const ns = unixMs === 0 ? 0n : BigInt(Math.round(unixMs * 1000)) * 1000n;
  await channel.request(FRAME.RESTORED, new ByteWriter().u64(ns).raw(seed).done(), "restored", timeoutMs);
}

/** @returns the taint mask behind the mark */
export async function mark(channel: Channel, line: string, timeoutMs: number): Promise<number> {
  return Number(new ByteReader(await channel.request(FRAME.MARK, new ByteWriter().text(line).done(), "mark", timeoutMs)).u64());
}

export async function exec(channel: Channel, argv: readonly string[], input: ExecInput, timeoutMs: number): Promise<GuestExit> {
  const env = Object.entries({ PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/root", LANG: "C.UTF-8", ...input.env });
  const stdin = typeof input.stdin === "string" ? new TextEncoder().encode(input.stdin) : (input.stdin ?? new Uint8Array());
  const out = new ByteWriter().u32(timeoutMs).u32(KEEP_OUTPUT_BYTES).text(input.cwd ?? "").u32(argv.length);
  for (const word of argv) out.text(word);
  out.u32(env.length);
  for (const [name, value] of env) out.text(`${name}=${value}`);
  out.u32(stdin.length).raw(stdin);
  const r = new ByteReader(await worker(channel, FRAME.EXEC, out, `exec ${argv.join(" ")}`, timeoutMs + GRACE_MS));
  const status = r.u32();
  const timedOut = r.u32() !== 0;
  const decode = new TextDecoder();
  const stdout = decode.decode(r.raw(r.u32()));
  const stderr = decode.decode(r.raw(r.u32()));
  return { exitCode: (status & 0x7f) === 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f), timedOut, stdout, stderr };
}

export async function writeFile(channel: Channel, path: string, data: Uint8Array | string, options: WriteOptions, timeoutMs: number): Promise<void> {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  let at = 0;
  do {
    const chunk = options.control === true ? bytes : bytes.subarray(at, at + CHUNK_BYTES);
    const first = at === 0;
    const flags = options.control === true ? WRITE.CONTROL : first ? WRITE.TRUNCATE | WRITE.CREATE | WRITE.PARENTS : 0;
    const out = new ByteWriter().text(path).u32(options.mode ?? 0o644).u32(flags).u64(at).raw(chunk);
    await worker(channel, FRAME.WRITE_FILE, out, `write ${path} at ${at}`, timeoutMs);
    at += chunk.length;
  } while (at < bytes.length);
}

export async function readFile(channel: Channel, path: string, timeoutMs: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (;;) {
    const out = new ByteWriter().text(path).u64(at).u32(CHUNK_BYTES);
    const r = new ByteReader(await worker(channel, FRAME.READ_FILE, out, `read ${path} at ${at}`, timeoutMs));
    const end = r.u32() !== 0;
    const part = r.raw(r.left);
    parts.push(part);
    at += part.length;
    if (end) return new Uint8Array(Buffer.concat(parts));
  }
}

export async function insmod(channel: Channel, path: string, params: string, timeoutMs: number): Promise<void> {
  await worker(channel, FRAME.INSMOD, new ByteWriter().text(path).text(params).u32(0), `insmod ${path}`, timeoutMs);
}

export async function rmmod(channel: Channel, name: string, timeoutMs: number): Promise<void> {
  const nonblock = 0o4000; // O_NONBLOCK: never wait for users of the module
  await worker(channel, FRAME.RMMOD, new ByteWriter().text(name).u32(nonblock), `rmmod ${name}`, timeoutMs);
}

export async function mount(channel: Channel, options: MountOptions, timeoutMs: number): Promise<void> {
  const out = new ByteWriter().text(options.source).text(options.target).text(options.type).text(options.data ?? "");
  out.u64(options.flags ?? 0n).u32(options.makeTarget === true ? 1 : 0);
  await worker(channel, FRAME.MOUNT, out, `mount ${options.type} on ${options.target}`, timeoutMs);
}

export async function umount(channel: Channel, target: string, flags: number, timeoutMs: number): Promise<void> {
  await worker(channel, FRAME.UMOUNT, new ByteWriter().text(target).u32(flags), `umount ${target}`, timeoutMs);
}

export async function kernelLogSince(channel: Channel, cursor: bigint, timeoutMs: number): Promise<KernelLog> {
  const records: KernelRecord[] = [];
  let lost = 0;
  for (;;) {
    const r = new ByteReader(await channel.request(FRAME.KLOG, new ByteWriter().u64(cursor).u32(CHUNK_BYTES).done(), "kernel log", timeoutMs));
    cursor = r.u64();
    const more = r.u32() !== 0;
    lost += r.u32();
    records.push(...parseRecords(r.text()));
    if (!more) return { records, cursor, lost };
  }
}

export async function kernelLogEnd(channel: Channel, timeoutMs: number): Promise<bigint> {
  const payload = new ByteWriter().u64(-1n).u32(0).done();
  return new ByteReader(await channel.request(FRAME.KLOG, payload, "end of the kernel log", timeoutMs)).u64();
}

/** Records of /dev/kmsg: `level,sequence,microseconds,flags;text`, then lines of tags that begin with a space. */
function parseRecords(text: string): KernelRecord[] {
  const records: KernelRecord[] = [];
  for (const line of text.split("\n")) {
    const match = /^(\d+),(\d+),(\d+),[^;]*;(.*)$/.exec(line);
    if (match === null) continue;
    const [, level = "0", sequence = "0", timeUs = "0", body = ""] = match;
    const plain = body.replaceAll(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    records.push({ sequence: BigInt(sequence), level: Number(level) & 7, timeUs: BigInt(timeUs), text: plain });
  }
  return records;
}

/** Requests that run in a worker of the agent begin with their limit; the client waits a little longer. */
function worker(channel: Channel, type: number, body: ByteWriter, what: string, timeoutMs: number): Promise<Uint8Array> {
  return channel.request(type, new ByteWriter().u32(timeoutMs).raw(body.done()).done(), what, timeoutMs + GRACE_MS);
}
