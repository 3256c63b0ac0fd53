import { ATTACH, ITEM, itemName, type ItemName } from "../../fixtures/abi/constants.ts";
import { decodeStruct, type RawItem } from "../../fixtures/abi/decode.ts";
import { encodeCommand, type Item } from "../../fixtures/abi/encode.ts";
import type { AgentClient } from "../../orchestration/guest/agent-client.ts";
import type { SpawnOptions } from "../../orchestration/guest/spawn-options.ts";
import { Connection } from "./connection.ts";
import { BusError } from "./errno.ts";
import { memory } from "./memory.ts";
import { Process } from "./process.ts";

/** Metadata items that anybody gets who asks. */
export const BASIC_METADATA = ["TIMESTAMP", "CREDS", "PIDS", "AUXGROUPS", "OWNED_NAME", "CONN_DESCRIPTION"] as const;
/** Metadata items that depend on the sender's mask or on whether the receiver sees the sending task. */
export const VISIBLE_METADATA = ["TID_COMM", "PID_COMM", "EXE", "CMDLINE", "CGROUP", "CAPS", "SECLABEL", "AUDIT"] as const;
export const METADATA = [...BASIC_METADATA, ...VISIBLE_METADATA] as const;
export type MetadataKind = (typeof METADATA)[number];
/** What describes a task, and not a connection or a message. */
export const PROCESS_METADATA = ["CREDS", "PIDS", "AUXGROUPS", ...VISIBLE_METADATA] as const;

/** The attach flag that asks for an item. */
export function attachFlag(kind: MetadataKind): bigint {
  return 1n << BigInt(ITEM[kind] - ITEM.TIMESTAMP);
}

export function attachFlags(kinds: readonly MetadataKind[]): bigint {
  return kinds.reduce((mask, kind) => mask | attachFlag(kind), 0n);
}

/** Kinds of metadata among the items, sorted, each once. */
export function attached(items: readonly RawItem[]): string[] {
  const types = new Set(items.map((entry) => entry.type).filter((type) => type >= ITEM.TIMESTAMP && type <= ITEM.CONN_DESCRIPTION));
  return [...types].map((type) => itemName(type)).sort();
}

/** The kinds in the order that {@link attached} gives. */
export function sorted(kinds: readonly ItemName[]): string[] {
  return [...kinds].sort();
}

/** The task's label, without AppArmor's mode; undefined where no security module gives labels. */
export async function securityLabel(process: Process): Promise<string | undefined> {
  try {
    const fd = await process.open("/proc/self/attr/current", 0);
    const text = new TextDecoder().decode(await process.read(fd, 4096));
    await process.close(fd);
    return text.replace(/[\0\n].*$/s, "").replace(/ \((enforce|complain|unconfined|kill|mixed)\)$/, "");
  } catch (error) {
    if (error instanceof BusError && ["EINVAL", "ENOENT", "EOPNOTSUPP"].includes(error.errno)) return undefined;
    throw error;
  }
}

/** Whether the kernel keeps login uids. */
export async function hasAudit(process: Process): Promise<boolean> {
  return (await process.syscall("faccessat", -100, memory("/proc/self/loginuid\0", "loginuid"), 0)).errno === null;
}

/** Kinds of visible metadata that a task of this machine has at all: no label without a labelling module, no audit data without auditing. */
export async function visibleHere(process: Process): Promise<MetadataKind[]> {
  const without = [...((await securityLabel(process)) === undefined ? ["SECLABEL"] : []), ...((await hasAudit(process)) ? [] : ["AUDIT"])];
  return VISIBLE_METADATA.filter((kind) => !without.includes(kind));
}

/** What procfs says about a process, read from outside. */
export interface TaskStatus {
  /** Real, effective, saved, filesystem. */
  readonly uids: readonly bigint[];
  readonly gids: readonly bigint[];
  readonly groups: readonly bigint[];
  readonly parent: bigint;
  readonly caps: { readonly inheritable: bigint; readonly permitted: bigint; readonly effective: bigint; readonly bounding: bigint };
}

export async function taskStatus(agent: AgentClient, process: Process): Promise<TaskStatus> {
  const text = await agent.readText(`/proc/${process.peer.pid}/status`);
  const line = (name: string): string[] => (new RegExp(`^${name}:[ \\t]*(.*)$`, "m").exec(text)?.[1] ?? "").split(/\s+/).filter((word) => word !== "");
  const numbers = (name: string): bigint[] => line(name).map(BigInt);
  const set = (name: string): bigint => BigInt(`0x${line(name)[0] ?? "0"}`);
  return {
    uids: numbers("Uid"),
    gids: numbers("Gid"),
    groups: numbers("Groups"),
    parent: numbers("PPid")[0] ?? -1n,
    caps: { inheritable: set("CapInh"), permitted: set("CapPrm"), effective: set("CapEff"), bounding: set("CapBnd") },
  };
}

/** A process that inherits descriptors and memory of another one. */
export async function forkOf(parent: Process, options: SpawnOptions & { readonly label?: string } = {}): Promise<Process> {
  const { label, ...rest } = options;
  const merged = rest.uid === undefined ? { ...rest, uid: { real: parent.uid, effective: parent.euid, saved: parent.euid } } : rest;
  return new Process(await parent.peer.fork(rest), parent.transcript, label ?? `${parent.label}-child`, merged);
}

/** HELLO on a handle that is open already, for example by another process. @throws BusError */
export async function helloOn(process: Process, fd: number, options: { readonly flags?: bigint; readonly attachSend?: bigint; readonly attachRecv?: bigint; readonly items?: readonly Item[] } = {}): Promise<Connection> {
  const fields = { flags: options.flags ?? 1n, pool_size: 1 << 20, attach_flags_send: options.attachSend ?? 0x3fff, attach_flags_recv: options.attachRecv ?? 0 };
  const { errno, bytes } = await process.command(fd, "HELLO", encodeCommand("HELLO", fields, options.items ?? []));
  if (errno !== null) throw new BusError("HELLO", errno);
  return new Connection(process, fd, decodeStruct("cmd_hello", bytes), new Uint8Array(32), 0n).usedBy(process, fd);
}

export const ATTACH_PROCESS = Object.values(ATTACH).reduce((all, bit) => all | bit, 0n) & ~(ATTACH.TIMESTAMP | ATTACH.NAMES | ATTACH.CONN_DESCRIPTION);
