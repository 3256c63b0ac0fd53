import type { KernelEvent } from "../../record/v1.ts";

/**
 * What the kernel prints that no correct run prints. Order matters: the first rule that fits a line wins, so the
 * special ones stand before the general. A new rule comes with a recorded log in fixtures/consoles.
 */
export interface ConsoleRule {
  readonly kind: KernelEvent["kind"];
  /** Fits the text of the record that opens the report. */
  readonly start: RegExp;
  /** What the report is about, without addresses, from the match; default: the whole line, normalised. */
  readonly subject?: (match: RegExpExecArray) => string;
  /** Part of the fingerprint besides the subject. */
  readonly from: "trace" | "locks" | "subject";
  /** The last line of such a report, where it has one. */
  readonly end?: RegExp;
  /** The report goes on over a new `cut here` or over a line that would open one of these kinds. */
  readonly absorbs: readonly KernelEvent["kind"][];
}

const END_TRACE = /^---\[ end (?:trace|Kernel panic)/;
const DOUBLE_LINE = /^=+$/;
const CRASH_TAIL = ["oops", "panic", "bug"] as const;

export const CONSOLE_RULES: readonly ConsoleRule[] = [
  { kind: "kasan", start: /^BUG: (KASAN|KFENCE): (\S+)(?: in ([\w.]+))?/, subject: (m) => `${m[1]} ${m[2]}${m[3] === undefined ? "" : ` in ${bareFunction(m[3])}`}`, from: "trace", end: DOUBLE_LINE, absorbs: [] },
  { kind: "bug", start: /^BUG: KCSAN: ([\w -]+?) in (\S+)(?: \[\w+\])?(?: \/ (\S+))?/, subject: (m) => `KCSAN ${m[1]} in ${[m[2] ?? "", m[3] ?? ""].map(bareFunction).filter((f) => f !== "").sort().join(" / ")}`, from: "subject", end: DOUBLE_LINE, absorbs: [] },
  { kind: "ubsan", start: /^UBSAN: (\S+) in (\S+?)(?::\d+)*$/, subject: (m) => `${m[1]} in ${tidyPath(m[2] ?? "")}`, from: "trace", end: /^(?:=+|---\[ end trace.*)$/, absorbs: [] },

  { kind: "lockdep", start: /^WARNING: (possible circular locking dependency detected|possible recursive locking detected|possible irq lock inversion dependency detected|inconsistent lock state|bad unlock balance detected!|bad contention detected!|held lock freed!|lock held when returning to user space!|Nested lock was not taken|still has locks held!)/, from: "locks", end: /^(?: *<\/TASK>)$/, absorbs: [] },
  { kind: "lockdep", start: /^WARNING: (\w+-safe -> \w+-unsafe lock order detected)/, from: "locks", end: /^(?: *<\/TASK>)$/, absorbs: [] },
  { kind: "lockdep", start: /^WARNING: (suspicious RCU usage)/, from: "trace", end: /^(?: *<\/TASK>)$/, absorbs: [] },
  { kind: "lockdep", start: /^\[ (BUG: Invalid wait context) \]/, from: "locks", end: /^(?: *<\/TASK>)$/, absorbs: [] },
  { kind: "lockdep", start: /^INFO: (trying to register non-static key)/, from: "trace", end: /^(?: *<\/TASK>)$/, absorbs: [] },
  { kind: "lockdep", start: /^DEBUG_LOCKS_WARN_ON\((.*)\)/, from: "trace", end: END_TRACE, absorbs: ["warn"] },

  { kind: "atomic-sleep", start: /^BUG: (sleeping function called from invalid context) at (\S+?):\d+/, subject: (m) => `${m[1]} at ${tidyPath(m[2] ?? "")}`, from: "trace", end: /^(?: *<\/TASK>)$/, absorbs: [] },
  { kind: "atomic-sleep", start: /^BUG: (scheduling while atomic): /, from: "trace", end: /^(?: *<\/TASK>)$/, absorbs: [] },

  { kind: "rcu-stall", start: /^(?:rcu: )?INFO: (\w+) (?:self-)?detected (?:expedited )?stalls? on CPU/, subject: () => "RCU stall", from: "trace", end: /^(?: *<\/TASK>)$/, absorbs: [] },
  { kind: "hung-task", start: /^INFO: task (.+):\d+ (?:blocked|is blocked on \S+ for more|blocked in I\/O wait for more) .*?than \d+ seconds/, subject: (m) => `task ${m[1]?.replace(/[/:#]\S*$|\d+$/, "") ?? ""} blocked`, from: "trace", end: /^(?: *<\/TASK>)$/, absorbs: ["panic"] },
  { kind: "soft-lockup", start: /^watchdog: BUG: (soft lockup) - CPU#\d+ stuck for \d+s!/, from: "trace", end: /^(?: *<\/TASK>)$/, absorbs: ["panic"] },
  { kind: "soft-lockup", start: /^(?:NMI )?watchdog: Watchdog detected (hard LOCKUP) on cpu/, from: "trace", end: /^(?: *<\/TASK>)$/, absorbs: ["panic"] },
  { kind: "soft-lockup", start: /^BUG: (workqueue lockup) - pool/, from: "subject", absorbs: [] },

  { kind: "leak", start: /^kmemleak: \d+ new suspected memory leaks/, subject: () => "kmemleak: suspected memory leaks", from: "subject", end: /./, absorbs: [] },
  { kind: "leak", start: /^unreferenced object 0x[0-9a-f]+ \(size \d+\):/, subject: () => "unreferenced object", from: "trace", absorbs: [] },
  { kind: "leak", start: /^(?:BUG (\S+) .*: Objects remaining in|kmem_cache_destroy (\S+): Slab cache still has objects)/, subject: (m) => `objects remain in slab cache ${m[1] ?? m[2] ?? ""}`, from: "subject", absorbs: ["warn"] },
  { kind: "leak", start: /^VFS: Busy inodes after unmount of/, subject: () => "busy inodes after unmount", from: "subject", absorbs: ["warn", ...CRASH_TAIL] },
  { kind: "refcount", start: /^refcount_t: (.+?)\.?$/, subject: (m) => `refcount_t: ${m[1]}`, from: "trace", end: END_TRACE, absorbs: ["warn", "panic"] },
  { kind: "list-corruption", start: /^(list_\w+ (?:corruption|double add))/, from: "trace", end: END_TRACE, absorbs: ["warn", ...CRASH_TAIL] },

  { kind: "oops", start: /^BUG: (kernel NULL pointer dereference|unable to handle page fault for address|unable to handle kernel (?:paging request|NULL pointer dereference)|stack guard page was hit)/, from: "trace", end: END_TRACE, absorbs: CRASH_TAIL },
  { kind: "oops", start: /^(general protection fault|divide error|invalid opcode|stack segment|int3|double fault|alignment check|traps: PANIC: double fault)[,:]/, from: "trace", end: END_TRACE, absorbs: CRASH_TAIL },
  { kind: "oops", start: /^(Unable to handle kernel (?:NULL pointer dereference|paging request|access to user memory)\S*)/, from: "trace", end: END_TRACE, absorbs: CRASH_TAIL },
  { kind: "oops", start: /^(?:Oops|Internal error)(?:: | - )(\S+)/, subject: () => "oops", from: "trace", end: END_TRACE, absorbs: CRASH_TAIL },
  { kind: "bug", start: /^kernel BUG at (\S+?):\d+!/, subject: (m) => `kernel BUG at ${tidyPath(m[1] ?? "")}`, from: "trace", end: END_TRACE, absorbs: CRASH_TAIL },
  { kind: "bug", start: /^BUG (\S+) \((?:Not tainted|Tainted: .*?)\): (.+)$/, subject: (m) => `slab ${m[1]}: ${m[2]}`, from: "trace", absorbs: [] },
  { kind: "bug", start: /^BUG: .+/, from: "trace", end: /^(?: *<\/TASK>|---\[ end .*)$/, absorbs: [] },
  // without CONFIG_DEBUG_BUGVERBOSE there is no file and line
  { kind: "warn", start: /^WARNING: CPU: \d+ PID: \d+ at (?:(\S+?):\d+ )?(\S+)/, subject: (m) => `WARNING at ${[tidyPath(m[1] ?? ""), bareFunction(m[2] ?? "")].join(" ").trim()}`, from: "trace", end: END_TRACE, absorbs: ["panic"] },
  { kind: "warn", start: /^WARNING: .+/, from: "trace", end: /^(?: *<\/TASK>|---\[ end .*)$/, absorbs: [] },
  { kind: "oom", start: /^\S+ invoked oom-killer: /, subject: () => "out of memory", from: "subject", end: /^(?:Out of memory|Memory cgroup out of memory): Killed/, absorbs: ["panic"] },
  { kind: "panic", start: /^Kernel panic - not syncing: (.*)$/, subject: (m) => `panic: ${normalise(m[1] ?? "")}`, from: "trace", end: /^---\[ end Kernel panic/, absorbs: [] },
];

/** Opens a report whose first line of content follows; the report belongs together from here on. */
export const CUT_HERE = /^-+\[ cut here \]-+$/;

/** Functions that print a report or lead to it; they say nothing about who is guilty. */
export const REPORTERS =
  /^(?:dump_stack(?:_lvl)?|show_stack|show_regs|__warn|report_bug|handle_bug|exc_\w+|asm_exc_\w+|asm_sysvec_\w+|sysvec_\w+|warn_slowpath\w*|__warn_printk|panic|die|oops_end|page_fault_oops|do_user_addr_fault|kasan_\w+|__kasan_\w+|__asan_\w+|print_report|print_address_description|check_memory_region|kfence_\w+|__ubsan_\w+|ubsan_\w+|handle_overflow|lockdep_\w+|print_\w+|check_\w+|__lock_acquire|lock_acquire|lock_release|validate_chain|mark_lock\w*|__might_resched|__might_sleep|__schedule\w*|schedule\w*|rcu_\w+|refcount_warn_saturate|__list_\w+_valid|__list_del_entry_valid|__list_add_valid|watchdog\w*|__hrtimer_\w+|hrtimer_\w+|__sysrq\w*|__handle_sysrq|kmemleak_\w+|__?(?:kmem_cache_alloc|kmalloc)\w*|kmalloc_trace|kmem_cache_\w+|slab_\w+|kfree|nmi_\w+|do_trap|do_error_trap|ret_from_fork\w*|register_lock_class)$/;

/** `func+0x12/0x34 [module]` or `func.isra.0` -> `func`. */
export function bareFunction(symbol: string): string {
  return (symbol.split("+")[0] ?? symbol).replace(/\.(?:isra|constprop|part|cold|llvm|lto_priv)\b.*$/, "");
}

/** Numbers and addresses out, so that the same crash reads the same twice. */
export function normalise(text: string): string {
  return text
    .replace(/\b(?:0x)?[0-9a-f]{8,16}\b/gi, "ADDR")
    .replace(/\b0x[0-9a-f]+\b/gi, "N")
    .replace(/\b\d+\b/g, "N")
    .replace(/\s+/g, " ")
    .trim();
}

/** Out-of-tree modules are built under a path that differs from host to host. */
function tidyPath(path: string): string {
  return path.startsWith("/") ? path.split("/").slice(-2).join("/") : path.replace(/^(?:\.\.\/)+/, "");
}
