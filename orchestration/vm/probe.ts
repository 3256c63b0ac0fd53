import type { Limits } from "../base/deadline.ts";
import type { KernelEvent } from "../record/v1.ts";
import type { GuestAgent } from "./guest-agent.ts";

/** A lease that is about to end; its kernel still answers. */
export interface ProbedLease {
  readonly target: string;
  readonly test: string;
  readonly agent: GuestAgent;
  readonly limits: Limits;
  readonly evidenceDir: string;
}

/**
 * A question to the kernel of every lease before its machine ends: does it leak, which lines has it run. Machines that
 * died or hang are not asked.
 */
export interface ReleaseProbe {
  readonly name: string;
  /** @returns what accuses the test. A rejection means that nothing may be called passed. */
  take(lease: ProbedLease): Promise<readonly KernelEvent[]>;
}

export interface Probed {
  readonly events: readonly KernelEvent[];
  /** The first probe that got no answer, and why. */
  readonly failure: string | null;
}

/** One probe after the other: each may load the guest. */
export async function takeProbes(probes: readonly ReleaseProbe[], lease: ProbedLease): Promise<Probed> {
  const events: KernelEvent[] = [];
  for (const probe of probes) {
    try {
      events.push(...(await probe.take(lease)));
    } catch (error) {
      return { events, failure: `${probe.name}: ${error instanceof Error ? error.message : String(error)}` };
    }
  }
  return { events, failure: null };
}
