import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Domain } from "../../conformance/support/bus.ts";
import { Process } from "../../conformance/support/process.ts";
import { Transcript } from "../../conformance/support/transcript.ts";
import type { Limits } from "../base/deadline.ts";
import { asSuiteError } from "../base/errors.ts";
import type { Progress } from "../base/progress.ts";
import { AgentClient } from "../guest/agent-client.ts";
import type { Template } from "../vm/template.ts";
import { operations, roundTrip } from "./bus-figures.ts";
import type { Figure } from "./figures.ts";
import { ingestFigure, planFigure } from "./host-figures.ts";
import { agentFigures, cloneFigures } from "./machine-figures.ts";

export { renderFigures, type BenchDocument, type Figure } from "./figures.ts";
export { agentFigures, bootFigures, cloneFigures } from "./machine-figures.ts";
export { absences, cellsOf, figuresOf } from "./transport-figures.ts";
export { renderTransports } from "./transport-tables.ts";
export { compareTransports } from "./transports.ts";

export interface BenchContext {
  readonly runId: string;
  /** For what the figures write; the caller removes it. */
  readonly dir: string;
  readonly limits: Limits;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** One loop in the guest takes well under a second with acceleration. */
const LOOP_MS = 10_000;

/** All figures of one target, those of guest and bus in one and the same machine. @throws what cloning and the agent throw; BusError */
export async function measure(template: Template, ctx: BenchContext): Promise<Figure[]> {
  const figures: Figure[] = [];
  const take = async (title: string, act: () => Promise<readonly Figure[]>): Promise<void> => {
    ctx.signal.throwIfAborted();
    const step = ctx.progress.step(title);
    try {
      figures.push(...(await act()));
      step.done();
    } catch (error) {
      step.fail(asSuiteError(error).message);
      throw error;
    }
  };
  const dir = join(ctx.dir, "guest");
  await mkdir(dir);
  {
    const { machine } = await template.clone({ name: `buslab-${ctx.runId}-bench`, dir, signal: ctx.signal });
    await using _machine = machine;
    const abort = (): void => void machine.kill();
    ctx.signal.addEventListener("abort", abort, { once: true });
    await using agent = await AgentClient.connect(machine.agentSocket, { timeoutMs: ctx.limits.ms(3_000), requestTimeoutMs: ctx.limits.ms(LOOP_MS) });
    const processes = async (): Promise<Process> => new Process(await agent.spawnPeer(), new Transcript(), "bench", {});
    const domain = new Domain("/sys/fs/kdbus");
    const limitMs = ctx.limits.ms(LOOP_MS);
    await take("agent", () => agentFigures(agent));
    await take("bus operations", async () => operations(await processes(), domain, limitMs));
    await take("round trips", async () => roundTrip(await processes(), await processes(), domain, limitMs));
    ctx.signal.removeEventListener("abort", abort);
  }
  await take("clones", () => cloneFigures(template, ctx));
  await take("plan", async () => [await planFigure(template.target.id, ctx.signal)]);
  await take("ingest", async () => [await ingestFigure(ctx.dir)]);
  return figures;
}
