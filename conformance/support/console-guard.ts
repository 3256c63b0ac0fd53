import { SuiteError } from "../../orchestration/base/errors.ts";
import type { LeaseReport } from "../../orchestration/vm/lease.ts";

/**
 * Fails the test during which the kernel complained or died, and also one whose console could not be read: nothing may
 * be called passed then. Outcome and blame come from the pool's own record; this makes the runner agree.
 * @throws Error naming what the kernel said; VM_DIED when the machine was lost without a word of the kernel
 */
export function guardConsole(report: LeaseReport): void {
  const [event] = report.events;
  if (event !== undefined) {
    const more = report.events.length === 1 ? "" : ` (and ${report.events.length - 1} more reports)`;
    throw new Error(`the kernel reported ${event.kind}: ${event.title}${more}\n${event.excerpt}`);
  }
  if (report.death !== null) {
    const text = `the machine ended during the test (${report.death.kind}): ${report.death.detail}`;
    if (report.death.kind === "killed" || report.death.kind === "qemu-failed") throw new SuiteError("VM_DIED", text);
    throw new Error(text);
  }
  if (report.unasked !== undefined) throw new SuiteError("GUEST_TIMEOUT", `the kernel gave no answer at the end of the test: ${report.unasked}`);
  if (!report.consoleRead) throw new SuiteError("CONSOLE_LOST", "the console of the machine could not be read to its end, so nothing can be called passed");
}
