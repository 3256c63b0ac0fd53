import { ByteWriter } from "./bytes.ts";

/** Capability sets as masks of bits; a set that is left out stays as Linux makes it. */
export interface CapabilitySets {
  readonly effective?: bigint;
  readonly permitted?: bigint;
  readonly inheritable?: bigint;
  /** Capabilities that remain in the bounding set. */
  readonly bounding?: bigint;
  readonly ambient?: bigint;
  /** Taken from all sets, the bounding set included. */
  readonly drop?: bigint;
}

export interface Ids {
  readonly real: number;
  readonly effective: number;
  readonly saved: number;
  /** For file access; follows the effective id if left out. */
  readonly fs?: number;
}

export type Namespace = "user" | "pid" | "mount" | "uts" | "ipc" | "net" | "cgroup" | "time";

export interface RLimit {
  /** RLIMIT_* number; RLIMIT_NOFILE is 7. */
  readonly resource: number;
  readonly soft: bigint;
  readonly hard: bigint;
}

/** How a new peer differs from the process it is forked from. One number as uid or gid sets all four ids. */
export interface SpawnOptions {
  readonly uid?: number | Ids;
  readonly gid?: number | Ids;
  readonly groups?: readonly number[];
  readonly capabilities?: CapabilitySets;
  readonly namespaces?: readonly Namespace[];
  /** Lines of /proc/PID/uid_map: inside, outside, count. Default for a new user namespace: 0 0 4294967295. */
  readonly uidMap?: readonly (readonly [number, number, number])[];
  readonly gidMap?: readonly (readonly [number, number, number])[];
  /** Written to /proc/PID/setgroups before the maps. */
  readonly setgroups?: "allow" | "deny";
  /** Namespaces of other peers to enter; not when forking from a peer. */
  readonly join?: readonly { readonly peer: number; readonly namespaces: readonly Namespace[] }[];
  /** Path below /sys/fs/cgroup, made if missing. */
  readonly cgroup?: string;
  readonly chroot?: string;
  readonly cwd?: string;
  readonly umask?: number;
  /** Written to files below /proc/self/attr, before or after the ids are set. `exec` needs the option exec as well. */
  readonly labels?: readonly { readonly file: string; readonly value: string; readonly afterIds?: boolean }[];
  readonly nice?: number;
  readonly affinity?: bigint;
  readonly rlimits?: readonly RLimit[];
  /** Runs another image of the agent (a 32-bit one); `true` runs the same one again, as a label by exec needs. */
  readonly exec?: string | true;
  readonly comm?: string;
  readonly hostname?: string;
  /** A fresh /proc for a new pid namespace; needs a new mount namespace. */
  readonly mountProc?: boolean;
  /** Lines of /proc/self/timens_offsets. */
  readonly timeOffsets?: string;
  readonly loginUid?: number;
  readonly securebits?: number;
  readonly noNewPrivs?: boolean;
  readonly dumpable?: 0 | 1;
  readonly oomScoreAdj?: number;
  readonly setsid?: boolean;
}

export const CLONE: Readonly<Record<Namespace, number>> = {
  user: 0x10000000,
  pid: 0x20000000,
  mount: 0x00020000,
  uts: 0x04000000,
  ipc: 0x08000000,
  net: 0x40000000,
  cgroup: 0x02000000,
  time: 0x00000080,
};

// numbers of enum spawn_tag in vm-images/agent/peer_wire.h
const TAG = {
  UIDS: 1, GIDS: 2, GROUPS: 3, CAPS: 4, NAMESPACES: 5, UID_MAP: 6, GID_MAP: 7, SETGROUPS: 8, CGROUP: 9, CHROOT: 10,
  CWD: 11, LSM_ATTR: 12, NICE: 13, AFFINITY: 14, RLIMIT: 15, EXEC: 16, COMM: 17, JOIN: 18, HOSTNAME: 19, MOUNT_PROC: 20,
  TIME_OFFSETS: 21, LOGINUID: 22, SECUREBITS: 23, NO_NEW_PRIVS: 24, DUMPABLE: 25, UMASK: 26, OOM_SCORE_ADJ: 27, SETSID: 28,
} as const; // prettier-ignore

const KEEP = 0xffffffff;
const WHOLE_MAP = [[0, 0, 0xffffffff]] as const;

/** The options as the agent reads them: u32 tag, u32 length, bytes, again and again. */
export function encodeSpawnOptions(options: SpawnOptions): Uint8Array {
  const out = new ByteWriter();
  const add = (tag: number, fill: (value: ByteWriter) => unknown): void => {
    const value = new ByteWriter();
    fill(value);
    out.u32(tag).u32(value.length).raw(value.done());
  };
  const number = (tag: number, value: number | undefined): void => {
    if (value !== undefined) add(tag, (v) => v.u32(value));
  };
  const string = (tag: number, value: string | undefined): void => {
    if (value !== undefined) add(tag, (v) => v.text(value));
  };
  const file = (tag: number, value: string): void => add(tag, (v) => v.raw(new TextEncoder().encode(value)));

  if (options.uid !== undefined) add(TAG.UIDS, (v) => ids(v, options.uid ?? 0));
  if (options.gid !== undefined) add(TAG.GIDS, (v) => ids(v, options.gid ?? 0));
  if (options.groups !== undefined) add(TAG.GROUPS, (v) => options.groups?.forEach((group) => v.u32(group)));
  if (options.capabilities !== undefined) add(TAG.CAPS, (v) => capabilities(v, options.capabilities ?? {}));
  if (options.namespaces !== undefined) add(TAG.NAMESPACES, (v) => v.u64(mask(options.namespaces ?? [])));
  if (options.namespaces?.includes("user") === true) {
    if (options.setgroups !== undefined) file(TAG.SETGROUPS, options.setgroups);
    file(TAG.UID_MAP, map(options.uidMap ?? WHOLE_MAP));
    file(TAG.GID_MAP, map(options.gidMap ?? WHOLE_MAP));
  }
  string(TAG.CGROUP, options.cgroup);
  string(TAG.CHROOT, options.chroot);
  string(TAG.CWD, options.cwd);
  for (const label of options.labels ?? []) add(TAG.LSM_ATTR, (v) => v.u32(label.afterIds === true ? 1 : 0).text(label.file).text(label.value));
  number(TAG.NICE, options.nice);
  if (options.affinity !== undefined) add(TAG.AFFINITY, (v) => v.u64(options.affinity ?? 0n));
  for (const limit of options.rlimits ?? []) add(TAG.RLIMIT, (v) => v.u32(limit.resource).u64(limit.soft).u64(limit.hard));
  string(TAG.EXEC, options.exec === true ? "" : options.exec);
  string(TAG.COMM, options.comm);
  for (const join of options.join ?? []) add(TAG.JOIN, (v) => v.u32(join.peer).u64(mask(join.namespaces)));
  string(TAG.HOSTNAME, options.hostname);
  if (options.mountProc === true) add(TAG.MOUNT_PROC, () => undefined);
  if (options.timeOffsets !== undefined) file(TAG.TIME_OFFSETS, options.timeOffsets);
  number(TAG.LOGINUID, options.loginUid);
  number(TAG.SECUREBITS, options.securebits);
  if (options.noNewPrivs === true) add(TAG.NO_NEW_PRIVS, () => undefined);
  number(TAG.DUMPABLE, options.dumpable);
  number(TAG.UMASK, options.umask);
  number(TAG.OOM_SCORE_ADJ, options.oomScoreAdj);
  if (options.setsid === true) add(TAG.SETSID, () => undefined);
  return out.done();
}

function ids(out: ByteWriter, value: number | Ids): void {
  const all = typeof value === "number" ? { real: value, effective: value, saved: value } : value;
  out.u32(all.real).u32(all.effective).u32(all.saved).u32(all.fs ?? KEEP);
}

function capabilities(out: ByteWriter, sets: CapabilitySets): void {
  const all = [sets.effective, sets.permitted, sets.inheritable, sets.bounding, sets.ambient];
  out.u32(all.reduce((which, set, i) => which | (set === undefined ? 0 : 1 << i), 0));
  for (const set of all) out.u64(set ?? 0n);
  out.u64(sets.drop ?? 0n);
}

function mask(namespaces: readonly Namespace[]): number {
  return namespaces.reduce((flags, name) => flags | CLONE[name], 0);
}

function map(lines: readonly (readonly [number, number, number])[]): string {
  return lines.map((line) => line.join(" ")).join("\n");
}
