import { readFile } from "node:fs/promises";
import { z } from "zod";

/** Places that each test reaches on the module with no bug on, by test id. */
export type Reach = ReadonlyMap<string, readonly number[]>;

/** One line that the suite writes for a test: what the module's parameter said when the test had ended. */
export const reachLine = z.object({ test: z.string(), mask: z.string().regex(/^([0-9a-f]{16})*\s*$/) });

/** Reads what the suite wrote; the last line of a test counts. */
export async function readReach(path: string): Promise<Map<string, number[]>> {
  const reach = new Map<string, number[]>();
  for (const line of (await readFile(path, "utf8")).split("\n")) {
    if (line === "") continue;
    const { test, mask } = reachLine.parse(JSON.parse(line));
    reach.set(test, placesOf(mask));
  }
  return reach;
}

/** Numbers of the bits of a mask in hexadecimal words of 64 bits, the lowest word first. */
export function placesOf(mask: string): number[] {
  const places: number[] = [];
  for (const [index, word] of (mask.match(/[0-9a-f]{16}/g) ?? []).entries()) {
    for (let rest = BigInt(`0x${word}`), bit = 0; rest > 0n; rest >>= 1n, bit++) if ((rest & 1n) === 1n) places.push(index * 64 + bit);
  }
  return places;
}
