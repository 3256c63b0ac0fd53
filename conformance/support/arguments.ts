import type { Process } from "./process.ts";
import { writeMemory } from "./traffic.ts";

/** Fields of /proc/self/stat, counted as proc(5) does. */
const ARG_START = 48;
const ARG_END = 49;

/** Overwrites all arguments of the process, their NULs included, so that /proc/PID/cmdline is no string any more. */
export async function spoilArguments(process: Process): Promise<void> {
  const fd = await process.open("/proc/self/stat", 0);
  const text = new TextDecoder().decode(await process.readAt(fd, 0, 4096));
  await process.close(fd);
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" "); // from the third field on; the second may hold blanks
  const [start, end] = [BigInt(fields[ARG_START - 3] ?? 0), BigInt(fields[ARG_END - 3] ?? 0)];
  if (start === 0n || end <= start) throw new RangeError(`/proc/self/stat names no argument area: ${text}`);
  await writeMemory(process, start, new Uint8Array(Number(end - start)).fill(0xff));
}
