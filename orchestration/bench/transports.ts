import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Limits } from "../base/deadline.ts";
import { asSuiteError, SuiteError } from "../base/errors.ts";
import type { Progress, Step } from "../base/progress.ts";
import { AgentClient } from "../guest/agent-client.ts";
import type { Template } from "../vm/template.ts";
import { runSteady, type BareGuest } from "./bare-machine.ts";
import { parseLines, type Line } from "./transport-lines.ts";

export interface TransportsContext {
  readonly runId: string;
  readonly dir: string;
  readonly limits: Limits;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Names of transports; all when absent. */
  readonly only?: string;
}

export interface TransportLines {
  /** Two boots of the machine whose clock counts instructions. */
  readonly steady: readonly [readonly Line[], readonly Line[]];
  /** One clone of the target's template, by the wall clock; empty when not wanted. */
  readonly wall: readonly Line[];
}

/** Rounds of the steady machine: the first of a boot is always dearer, so the last is the one that counts. */
const STEADY_ROUNDS = 2;
const WALL_ROUNDS = 7;
/** With acceleration; the steady machine always emulates, and three times slower than without a counted clock. */
const STEADY_LIMIT_MS = 1_800_000;
const WALL_LIMIT_MS = 60_000;
const IN_GUEST = "/run/buslab-bench/bench";

/** Compares the transports of one target. @param program that which is run in the clone @throws what booting, cloning and the agent throw; GUEST_PROTOCOL, GUEST_REFUSED */
export async function compareTransports(guest: BareGuest, program: string, template: Template | null, ctx: TransportsContext): Promise<TransportLines> {
  const first = await titled(ctx, "counted clock, first boot", (step) => steady(guest, "steady1", step, ctx));
  const second = await titled(ctx, "counted clock, second boot", (step) => steady(guest, "steady2", step, ctx));
  const wall = template === null ? [] : await titled(ctx, "wall clock", () => inClone(program, template, ctx));
  return { steady: [first, second], wall };
}

async function steady(guest: BareGuest, name: string, step: Step, ctx: TransportsContext): Promise<Line[]> {
  const words = [String(STEADY_ROUNDS), ...(ctx.only === undefined ? [] : [ctx.only])];
  const text = await runSteady(guest, words, { runId: ctx.runId, dir: join(ctx.dir, name), limitMs: STEADY_LIMIT_MS, signal: ctx.signal, onOutput: (text) => step.update(`${text.split("\n").length - 1} figures`) });
  return parseLines(text);
}

async function inClone(program: string, template: Template, ctx: TransportsContext): Promise<Line[]> {
  const dir = join(ctx.dir, "wall");
  await mkdir(dir, { recursive: true });
  const { machine } = await template.clone({ name: `buslab-${ctx.runId}-wall`, dir, signal: ctx.signal });
  await using _machine = machine;
  const abort = (): void => void machine.kill();
  ctx.signal.addEventListener("abort", abort, { once: true });
  try {
    const timeoutMs = ctx.limits.ms(WALL_LIMIT_MS);
    await using agent = await AgentClient.connect(machine.agentSocket, { timeoutMs: ctx.limits.ms(3_000), requestTimeoutMs: timeoutMs });
    await agent.writeFile(IN_GUEST, await readFile(program), { mode: 0o755 });
    const result = await agent.exec([IN_GUEST, "run", String(WALL_ROUNDS), ...(ctx.only === undefined ? [] : [ctx.only])], { timeoutMs });
    if (result.timedOut) throw new SuiteError("GUEST_TIMEOUT", `the benchmark program did not end within ${timeoutMs} ms`, { details: result.stdout.slice(-2000) });
    if (result.exitCode !== 0) throw new SuiteError("GUEST_REFUSED", `the benchmark program ended with exit code ${result.exitCode}`, { details: result.stderr });
    return parseLines(result.stdout);
  } finally {
    ctx.signal.removeEventListener("abort", abort);
  }
}

async function titled<T>(ctx: TransportsContext, title: string, act: (step: Step) => Promise<T>): Promise<T> {
  ctx.signal.throwIfAborted();
  const step = ctx.progress.step(title);
  try {
    const result = await act(step);
    step.done();
    return result;
  } catch (error) {
    step.fail(asSuiteError(error).message);
    throw error;
  }
}
