import type { KernelEvent } from "../record/v1.ts";
import { bareFunction } from "../vm/console/rules.ts";

/** Allocators say nothing about who forgot to free. */
const ALLOCATOR = /^(?:__?k(?:mem|v|z)?\w*alloc\w*|kmalloc\w*|kmem_cache_\w+|slab_\w+|kmemleak_\w+|__kmem\w*|kvmalloc\w*|krealloc\w*|kstrdup\w*|kmemdup\w*|memdup_user\w*|new_slab|allocate_slab|___slab_alloc|__slab_alloc)$/;

/** The first object in /sys/kernel/debug/kmemleak that the fuzzer's programs left behind, or the bus for them. */
export function leaksOf(report: string): KernelEvent | undefined {
  for (const object of report.split(/^(?=unreferenced object )/m)) {
    const head = /^unreferenced object 0x[0-9a-f]+ \(size (\d+)\):\n *comm "([^"]*)"/.exec(object);
    if (head === null || !(head[2]?.startsWith("fuzzer") === true || /\bkdbus_/.test(object))) continue; // workers act for the bus, and for everybody else
    const frames = [...object.matchAll(/\] ([\w.]+)\+0x[0-9a-f]+\/0x[0-9a-f]+/g)].map((match) => bareFunction(match[1] ?? "")).filter((name) => !ALLOCATOR.test(name));
    return {
      kind: "leak",
      fingerprint: `leak: unreferenced object [${frames.slice(0, 3).join(" < ")}]`,
      title: `an object of ${head[1] ?? "?"} bytes is not referenced any more`,
      consoleOffset: -1,
      excerpt: object.trimEnd(),
    };
  }
  return undefined;
}
