import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Limits } from "../base/deadline.ts";
import { AgentClient } from "../guest/agent-client.ts";
import type { Template } from "../vm/template.ts";

export interface CloneContext {
  readonly runId: string;
  readonly dir: string;
  readonly slowdown: number;
  /** Tells the machines of this target from those of others that are asked at the same time; letters and digits. */
  readonly tag?: string;
}

/** Asks a fresh machine of a target something before any test has one; the machine is gone afterwards. @throws what cloning throws */
export async function inClone<T>(template: Pick<Template, "clone">, label: string, ctx: CloneContext, ask: (agent: AgentClient, limits: Limits) => Promise<T>): Promise<T> {
  const own = `${label}${ctx.tag ?? ""}`;
  const dir = join(ctx.dir, own);
  await mkdir(dir, { recursive: true });
  const { machine } = await template.clone({ name: `buslab-${ctx.runId}-${own}`, dir });
  try {
    const limits = new Limits(ctx.slowdown);
    await using agent = await AgentClient.connect(machine.agentSocket, { timeoutMs: limits.ms(3_000), requestTimeoutMs: limits.ms(3_000) });
    return await ask(agent, limits);
  } finally {
    await machine.kill();
    await rm(dir, { recursive: true, force: true }).catch(() => undefined);
  }
}
