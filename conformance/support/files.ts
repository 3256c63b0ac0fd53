import { setTimeout as pause } from "node:timers/promises";
import type { AgentClient } from "../../orchestration/guest/agent-client.ts";
import { BusError } from "./errno.ts";
import { memory } from "./memory.ts";
import type { Process } from "./process.ts";
import { Script } from "./script.ts";

/** What statx(2) says; the kinds are those of `mode & S_IFMT`. */
export interface FileStatus {
  readonly kind: "file" | "directory" | "other";
  /** Permission bits, for example 0o666. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly ino: bigint;
  readonly links: number;
  readonly size: bigint;
  readonly device: string;
}

const AT = { FDCWD: -100, SYMLINK_NOFOLLOW: 0x100, EMPTY_PATH: 0x1000 } as const;
const STATX_BASIC = 0x7ff;
const STATX_BYTES = 256;

/** Status of a path, or of an open descriptor. @throws BusError */
export async function stat(process: Process, what: string | number): Promise<FileStatus> {
  const buffer = memory(STATX_BYTES);
  const script = new Script();
  const path = memory(typeof what === "string" ? `${what}\0` : "\0", "path");
  const call = script.syscall("statx", typeof what === "string" ? AT.FDCWD : what, path, typeof what === "string" ? AT.SYMLINK_NOFOLLOW : AT.EMPTY_PATH, STATX_BASIC, buffer);
  const load = script.load(buffer);
  const result = await process.run(script);
  const { errno } = result.of(call);
  process.note(`stat ${what}`, errno ?? "0");
  if (errno !== null) throw new BusError(`stat of ${what}`, errno);
  const bytes = result.bytes(load);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const mode = view.getUint16(28, true);
  return {
    kind: (mode & 0o170000) === 0o100000 ? "file" : (mode & 0o170000) === 0o040000 ? "directory" : "other",
    mode: mode & 0o7777,
    links: view.getUint32(16, true),
    uid: view.getUint32(20, true),
    gid: view.getUint32(24, true),
    ino: view.getBigUint64(32, true),
    size: view.getBigUint64(40, true),
    device: `${view.getUint32(136, true)}:${view.getUint32(140, true)}`,
  };
}

export interface DirectoryEntry {
  readonly name: string;
  readonly ino: bigint;
  readonly kind: "file" | "directory" | "other";
}

const O_DIRECTORY_CLOEXEC = 0o200000 | 0o2000000;
/** No directory of the bus has as many; a listing that begins again and again would. */
const MOST_ENTRIES = 20_000;
const DT = { DIR: 4, REG: 8 } as const;

/**
 * Entries of a directory as getdents64 gives them, `.` and `..` included.
 * @param bytes of the buffer; a small one makes the listing take several calls
 * @throws BusError
 */
export async function listDirectory(process: Process, path: string, bytes = 32768): Promise<DirectoryEntry[]> {
  const fd = await process.open(path, directoryFlag(process));
  const entries: DirectoryEntry[] = [];
  for (;;) {
    const buffer = memory(bytes);
    const script = new Script();
    const call = script.syscall("getdents64", fd, buffer, buffer.size);
    const load = script.load(buffer);
    const result = await process.run(script);
    const { value, errno } = result.of(call);
    if (errno !== null) throw new BusError(`listing of ${path}`, errno);
    if (value === 0n) break;
    entries.push(...decodeEntries(result.bytes(load).subarray(0, Number(value))));
    if (entries.length > MOST_ENTRIES) throw new BusError(`listing of ${path}, which has no end,`, "ELOOP");
  }
  await process.close(fd);
  process.note(`list ${path}`, entries.map((entry) => entry.name).join(" "));
  return entries;
}

/** Descriptors that the process has open now, the one used for looking left out. */
export async function openFds(process: Process): Promise<number[]> {
  const entries = await listDirectory(process, "/proc/self/fd");
  const numbers = entries.filter((entry) => /^\d+$/.test(entry.name)).map((entry) => Number(entry.name));
  const links = await Promise.all(numbers.map(async (number) => [number, (await process.syscall("fcntl", number, 1)).errno] as const));
  return links.filter(([, errno]) => errno === null).map(([number]) => number);
}

function decodeEntries(bytes: Uint8Array): DirectoryEntry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const entries: DirectoryEntry[] = [];
  for (let at = 0; at < bytes.length; at += view.getUint16(at + 16, true)) {
    const type = view.getUint8(at + 18);
    const name = bytes.subarray(at + 19, bytes.indexOf(0, at + 19));
    entries.push({ name: new TextDecoder().decode(name), ino: view.getBigUint64(at, true), kind: type === DT.DIR ? "directory" : type === DT.REG ? "file" : "other" });
  }
  return entries;
}

// O_DIRECTORY is one of the few flags that arm numbers differently.
function directoryFlag(process: Process): number {
  return process.peer.arch === "arm" || process.peer.arch === "arm64" ? 0o40000 | 0o2000000 : O_DIRECTORY_CLOEXEC;
}

/** Memory of all files that live in memory, memfds too. */
export async function sharedKiB(agent: AgentClient): Promise<number> {
  return Number(/^Shmem:\s+(\d+)/m.exec(await agent.readText("/proc/meminfo"))?.[1] ?? NaN);
}

/** What memfds that nobody has open any more still take, once they had two seconds to go. @param enough KiB below which nothing is waited for */
export async function unusedMemfdKiB(agent: AgentClient, before: number, enough: number): Promise<number> {
  let more = (await sharedKiB(agent)) - before;
  for (let tries = 0; more >= enough && tries < 20; tries++) {
    await pause(100);
    more = (await sharedKiB(agent)) - before;
  }
  return more;
}
