import { open, rename } from "node:fs/promises";
import { join } from "node:path";

const PAGE = 4096;
const SECTOR = 512;
/** Linux Documentation/arch/x86/boot.rst: sectors of the set-up code, and the mark of a header that has them. */
const SETUP_SECTORS_AT = 0x1f1;
const BOOT_MARK_AT = 0x202;

/**
 * The beginning of a kernel image, for machines that are restored. QEMU wants to see a kernel because the frozen machine
 * was started with one (its boot ROM is part of the state), reads it whole for every clone, and never uses it: the guest's
 * kernel comes with its memory. What QEMU looks at before it takes a file for a kernel is all that is kept.
 * @param dir where the file is made
 * @returns its path
 */
export async function kernelHead(kernel: string, dir: string): Promise<string> {
  const head = Buffer.alloc(256 * SECTOR + PAGE);
  await using file = await open(kernel, "r");
  const { bytesRead } = await file.read(head, 0, head.length, 0);
  const path = join(dir, "kernel-head");
  const temporary = `${path}.${process.pid}-${crypto.randomUUID().slice(0, 8)}`;
  await using made = await open(temporary, "w");
  await made.writeFile(head.subarray(0, Math.min(bytesRead, headSize(head))));
  await rename(temporary, path); // another process may be making the same
  return path;
}

function headSize(head: Buffer): number {
  const isPc = head.toString("latin1", BOOT_MARK_AT, BOOT_MARK_AT + 4) === "HdrS";
  return isPc ? ((head[SETUP_SECTORS_AT] ?? 0) + 1) * SECTOR + PAGE : PAGE;
}
