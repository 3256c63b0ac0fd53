import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { BUILD_ROWS, type Target } from "../target/target-id.ts";

/** What this host can give to machines just now. */
export interface Capacity {
  readonly cores: number;
  readonly memoryMb: number;
}

/** QEMU's own memory beside the guest's: translated code, devices, heap. 60 to 180 MiB were seen under emulation. */
const QEMU_MB = 192;
/** The two stopped machines of a target that clones are forked from, one of them with several processors: what they share with no clone. */
const PARENTS_MB = 2 * 64;
/** A worker of the test runner. */
const WORKER_MB = 160;
/** Left to this process, the runners' parents and the page cache that templates are read through. */
const RESERVE_MB = 768;

/** Cores and memory, those that a container limits this process to included. */
export async function hostCapacity(): Promise<Capacity> {
  const [free, group] = await Promise.all([availableMb(), groupMemoryMb()]);
  return { cores: availableParallelism(), memoryMb: Math.min(free, group) };
}

/**
 * Machines that may run at once: one more than cores (while one starts or waits another has work), and fewer when memory
 * does not hold them. Beside each machine that is tested one waits ready, and each may come to own all of its memory.
 */
export function slotsFor(capacity: Capacity, targets: readonly Pick<Target, "build">[]): { readonly slots: number; readonly because: string } {
  const guestMb = Math.max(...targets.map((target) => BUILD_ROWS[target.build].memoryMb));
  const slotMb = 2 * (guestMb + QEMU_MB) + WORKER_MB;
  const byMemory = Math.floor((capacity.memoryMb - RESERVE_MB - targets.length * PARENTS_MB) / slotMb);
  const byCores = capacity.cores + 1;
  const slots = Math.max(1, Math.min(byCores, byMemory));
  const limit = byMemory < byCores ? `${capacity.memoryMb} MiB of memory hold ${byMemory < 1 ? "hardly one machine" : `${byMemory}`} at ${slotMb} MiB each` : `${capacity.cores} cores`;
  return { slots, because: limit };
}

async function availableMb(): Promise<number> {
  const text = await readFile("/proc/meminfo", "utf8");
  return Math.floor(Number(/^MemAvailable: +(\d+) kB/m.exec(text)?.[1] ?? 0) / 1024);
}

/** What the control group of this process may still take; no limit where there is none, or none that can be read. */
async function groupMemoryMb(): Promise<number> {
  const own = await readFile("/proc/self/cgroup", "utf8").catch(() => "");
  const candidates = own.split("\n").flatMap((line) => {
    const [, controllers = "", path = "/"] = line.split(":");
    if (controllers === "") return [path, "/"].map((each) => ({ limit: `/sys/fs/cgroup${each}/memory.max`, used: `/sys/fs/cgroup${each}/memory.current` }));
    if (!controllers.split(",").includes("memory")) return [];
    return [path, "/"].map((each) => ({ limit: `/sys/fs/cgroup/memory${each}/memory.limit_in_bytes`, used: `/sys/fs/cgroup/memory${each}/memory.usage_in_bytes` }));
  });
  let left = Number.POSITIVE_INFINITY;
  for (const { limit, used } of candidates) {
    const [most, now] = await Promise.all([limit, used].map(async (path) => Number(await readFile(path, "utf8").catch(() => Number.NaN))));
    if (most !== undefined && now !== undefined && Number.isFinite(most) && Number.isFinite(now)) left = Math.min(left, Math.floor((most - now) / 1024 / 1024));
  }
  return left;
}
