import type { MachineDeath } from "../../record/v1.ts";

export interface EndSigns {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** `reason` of QEMU's SHUTDOWN event, when one came. */
  readonly shutdownReason: string | undefined;
  /** What the host did to the guest before it ended, e.g. a full disk. */
  readonly trouble?: string | undefined;
  readonly endedByUs: boolean;
  /** Last part of the kernel console. */
  readonly console: string;
  /** What QEMU wrote on its standard error. */
  readonly qemuSays: string;
}

const CRASH_SIGNALS: readonly string[] = ["SIGABRT", "SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGTRAP"];

/** Names the way a QEMU process ended. A panic is only what the console shows as one: a reset without it may be the host's doing. */
export function classifyDeath(signs: EndSigns): MachineDeath {
  const says = signs.qemuSays === "" ? "" : `: ${signs.qemuSays.slice(-600)}`;
  if (signs.endedByUs) return { kind: "killed", detail: "ended by the machine pool" };
  if (signs.trouble !== undefined) return { kind: "qemu-failed", detail: signs.trouble };
  if (signs.signal !== null) {
    return CRASH_SIGNALS.includes(signs.signal)
      ? { kind: "qemu-failed", detail: `QEMU crashed with ${signs.signal}${says}` }
      : { kind: "killed", detail: `QEMU was killed with ${signs.signal}` };
  }
  if (signs.code !== 0) return { kind: "qemu-failed", detail: `QEMU ended with exit code ${signs.code ?? "?"}${says}` };
  const panic = /^(?:<[0-7]>)?(?:\[ *\d+\.\d+\])?(?:\[ *[TC]\d+\])? ?(Kernel panic - not syncing.*)$/m.exec(signs.console)?.[1];
  if (panic !== undefined) return { kind: "panic", detail: panic.trim() };
  switch (signs.shutdownReason) {
    case "host-signal":
      return { kind: "killed", detail: "QEMU was ended by a signal from outside" };
    case "host-qmp-quit":
    case "host-ui":
      return { kind: "killed", detail: "QEMU was told to quit" };
    case "guest-shutdown":
      return { kind: "reset", detail: "the guest powered itself off" };
    default:
      return { kind: "reset", detail: "the guest was reset without a panic on the console (triple fault or a reboot asked for)" };
  }
}
