import type { KernelEvent } from "../record/v1.ts";

// Documentation/admin-guide/tainted-kernels.rst; only what accuses somebody. Proprietary, out-of-tree, unsigned, staging
// and test modules, forced loads and workarounds are no faults of a test.
const ACCUSING: readonly (readonly [bit: number, letter: string, meaning: string])[] = [
  [4, "M", "a machine check was reported"],
  [5, "B", "a bad page was met"],
  [7, "D", "the kernel died (oops or BUG)"],
  [9, "W", "the kernel warned"],
  [14, "L", "a soft lockup happened"],
  [17, "T", "the structure layout was changed"],
];

/** A kernel that is tainted by a fault now and was not before, although no report was seen. */
export function taintEvent(before: number, after: number): KernelEvent | undefined {
  const fresh = ACCUSING.filter(([bit]) => ((after >> bit) & 1) === 1 && ((before >> bit) & 1) === 0);
  if (fresh.length === 0) return undefined;
  const letters = fresh.map(([, letter]) => letter).join("");
  return {
    kind: "taint",
    fingerprint: `taint: ${letters}`,
    title: `the kernel became tainted: ${fresh.map(([, letter, meaning]) => `${letter} (${meaning})`).join(", ")}`,
    consoleOffset: -1,
    excerpt: `/proc/sys/kernel/tainted was ${before} and is ${after}`,
  };
}
