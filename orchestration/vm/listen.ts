import { setTimeout as delay } from "node:timers/promises";
import type { Limits } from "../base/deadline.ts";
import { sizeOf } from "./console-file.ts";
import { FairClock } from "./fair-clock.ts";
import type { ConnectAgent, GuestAgent } from "./guest-agent.ts";
import type { Machine } from "./machine.ts";

/** On hardware; time of the guest, see {@link FairClock}. */
const ANSWER_MS = 1_500;
/** A kernel that takes no interrupt for so long and says nothing will not answer in the rest of the limit either. */
const DEAF_MS = 300;
/** A host too busy to run the guest at all must not hold up a run for ever. */
const WALL_FACTOR = 4;
const EVERY_MS = 150;

export type Heard =
  | { readonly kind: "agent"; readonly agent: GuestAgent }
  | { readonly kind: "dead" }
  | { readonly kind: "silent"; /** It takes no interrupts: no use in asking by one. */ readonly deaf: boolean; readonly detail: string };

/**
 * Asks the agent for a sign of life. Silence is measured in time that the guest had a CPU of the host; a refused or broken
 * connection is tried again until the limit. A guest that keeps its interrupts off, prints nothing and does not answer
 * is given up early: nothing of a kernel does that.
 */
export async function listenToAgent(machine: Machine, limits: Limits, connectAgent: ConnectAgent): Promise<Heard> {
  const clock = new FairClock(machine.pid);
  const limitMs = limits.ms(ANSWER_MS);
  let over = false;
  const left = (): number => Math.max(1, limitMs * WALL_FACTOR - clock.wallMs);
  const asking = (async (): Promise<Heard> => {
    for (;;) {
      let agent: GuestAgent | undefined;
      try {
        agent = await connectAgent(machine.agentSocket, { timeoutMs: left() });
        await agent.ping({ timeoutMs: left() });
        if (!over) return { kind: "agent", agent };
      } catch {
        // asked again below
      }
      await agent?.close().catch(() => undefined);
      if (over) return { kind: "dead" }; // nobody waits for it any more
      await delay(50);
    }
  })();
  const death = machine.dead.then((): Heard => ({ kind: "dead" }));
  let deafSince: number | undefined;
  let size = await sizeOf(machine.consoleLog);
  try {
    for (;;) {
      const heard = await Promise.race([asking, death, delay(EVERY_MS, undefined)]);
      if (heard !== undefined) return heard;
      const fairMs = await clock.elapsedMs();
      const [sizeNow, off] = await Promise.all([sizeOf(machine.consoleLog), Promise.race([machine.interruptsOff(), death.then(() => undefined), delay(limitMs, undefined, { ref: false })])]);
      if (off !== true || sizeNow !== size) deafSince = undefined;
      else deafSince ??= fairMs;
      size = sizeNow;
      const deaf = deafSince !== undefined && fairMs - deafSince >= limits.ms(DEAF_MS);
      if (!deaf && fairMs < limitMs && clock.wallMs < limitMs * WALL_FACTOR) continue;
      // what came while this process itself was not run
      const last = await Promise.race([asking, death, delay(20, undefined)]);
      if (last !== undefined) return last;
      const waited = `the agent did not answer within ${Math.round(fairMs)} ms`;
      return { kind: "silent", deaf, detail: deaf ? `${waited}, and the guest took no interrupt for ${Math.round(fairMs - (deafSince ?? 0))} ms` : waited };
    }
  } finally {
    over = true;
  }
}
