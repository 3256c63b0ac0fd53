import { newRunId } from "../../base/ids.ts";
import type { KernelEvent } from "../../record/v1.ts";
import type { Fate, MadeUp } from "./made-up-run.ts";

export const TARGETS = [
  "arm64/debian-6.12/none/plain",
  "x86_64/debian-6.1/apparmor/plain",
  "x86_64/debian-6.1/none/debug",
  "x86_64/debian-6.1/none/plain",
  "x86_64/debian-6.12/selinux/plain",
] as const;

/** Text as a hostile guest would print it: markup, control sequences, directions of writing. */
export const HOSTILE = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>\u001b[31mred\u001b[0m\u001b]0;owned\u0007 \u202eevil\u202c "quoted" & done`;

const KASAN: KernelEvent = {
  kind: "kasan",
  fingerprint: "kasan:use-after-free:kdbus_conn_queue",
  title: "KASAN: use-after-free in kdbus_conn_queue",
  consoleOffset: 2_400,
  excerpt: [
    "[    4.200000] ==================================================================",
    "[    4.200001] BUG: KASAN: use-after-free in kdbus_conn_queue+0x1c4/0x2f0 [kdbus]",
    "[    4.200002] Read of size 8 at addr ffff888103a4c018 by task agent/412",
    "[    4.200003] Call Trace:",
    "[    4.200004]  kdbus_conn_queue+0x1c4/0x2f0 [kdbus]",
    "[    4.200005]  kdbus_cmd_send+0x3b0/0x610 [kdbus]",
    "[    4.200006]  __x64_sys_ioctl+0x8f/0xc0",
    `[    4.200007] ${HOSTILE}`,
  ].join("\n"),
};
const WARN: KernelEvent = { kind: "warn", fingerprint: "warn:pool.c:kdbus_pool_slice_release", title: "WARNING in kdbus_pool_slice_release", consoleOffset: 900, excerpt: "[    4.2] WARNING: CPU: 0 PID: 7 at pool.c:412 kdbus_pool_slice_release+0x40/0x90 [kdbus]" };

const MESSAGE = 'expect(received).toEqual(expected)\n\n- Expected  - 1\n+ Received  + 1\n\n  [\n-   "a message",\n+   "nothing",\n  ]';

/** A history of runs with something of everything in it, the newest last. */
export function history(runs: number, tests: number, now: Date): MadeUp[] {
  return Array.from({ length: runs }, (_, age): MadeUp => {
    const startedAt = new Date(now.getTime() - (runs - age) * 6 * 60 * 60_000);
    return { run: newRunId(startedAt), targets: TARGETS, startedAt, tests, fate: (test, index, target) => fateIn(age, index, target, test.requirements[0] ?? ""), module: `module of day ${Math.floor(age / 4)}` };
  });
}

function fateIn(age: number, index: number, target: string, requirement: string): Fate {
  if (target.includes("/debug") && index % 97 === 5 && age % 3 === 1) return { kind: "crashed", event: KASAN };
  if (target.startsWith("arm64") && index === 31) return { kind: "crashed", event: WARN };
  if (index % 41 === 17 && (age + index) % 5 < 2) return { kind: "failed", message: index % 2 === 0 ? `${MESSAGE}\n${HOSTILE}` : MESSAGE };
  if (index === 12 && age % 4 === 3) return { kind: "timed-out", message: "Test timeout of 60000ms exceeded." };
  if (requirement.startsWith("LSM") && target.includes("/none/")) return { kind: "unsupported", missing: "an LSM with labels" };
  if (target.includes("selinux") && index % 53 === 9) return { kind: "infra-error", message: "qemu ended by signal 9" };
  if (target.startsWith("arm64") && index % 29 === 28) return { kind: "not-run" };
  return { kind: "passed" };
}
