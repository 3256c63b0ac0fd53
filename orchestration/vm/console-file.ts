import { open } from "node:fs/promises";

/** Bytes of a console from an offset on; undefined when it cannot be read. */
export async function consoleSince(path: string, from: number, to?: number): Promise<Buffer | undefined> {
  try {
    await using file = await open(path, "r");
    const { size } = await file.stat();
    const bytes = Buffer.alloc(Math.max(0, (to ?? size) - from));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, from);
    return bytes.subarray(0, bytesRead);
  } catch {
    return undefined;
  }
}

export async function sizeOf(path: string): Promise<number> {
  try {
    await using file = await open(path, "r");
    return (await file.stat()).size;
  } catch {
    return 0;
  }
}
