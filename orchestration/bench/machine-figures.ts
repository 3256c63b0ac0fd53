import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { exec } from "../base/exec.ts";
import type { Limits } from "../base/deadline.ts";
import type { Progress } from "../base/progress.ts";
import type { AgentClient } from "../guest/agent-client.ts";
import type { ConnectAgent } from "../vm/guest-agent.ts";
import { bootToSettled } from "../vm/guest-steps.ts";
import { QemuMachine } from "../vm/qemu/machine.ts";
import { makeSocketDir } from "../vm/socket-dir.ts";
import { hardwareOf, type Template, type TemplateSpec } from "../vm/template.ts";
import { median, percentile, timed, type Figure } from "./figures.ts";

const PINGS = 200;
const PEERS = 20;
const CLONES = 12;

/** What every test pays: a question to the agent, and a process of its own. */
export async function agentFigures(agent: AgentClient): Promise<Figure[]> {
  for (let warm = 0; warm < 10; warm++) await agent.ping();
  const pings: number[] = [];
  for (let turn = 0; turn < PINGS; turn++) pings.push(await elapsed(() => agent.ping()));
  const opened: number[] = [];
  for (let turn = 0; turn < PEERS; turn++) {
    const started = performance.now();
    const peer = await agent.spawnPeer();
    opened.push(performance.now() - started);
    await peer.close();
  }
  return [
    timed(`agent round trip, median of ${PINGS}`, median(pings), "ms"),
    timed(`agent round trip, 95th percentile of ${PINGS}`, percentile(pings, 95), "ms"),
    timed(`opening a peer, median of ${PEERS}`, median(opened), "ms"),
  ];
}

/**
 * A clone's start until it answers, and until it has its own entropy and the right time: as tests get it from the pool, and
 * beside it, in turn, restored from the template's files, as the first one of a run is.
 */
export async function cloneFigures(template: Template, ctx: { readonly runId: string; readonly dir: string; readonly signal: AbortSignal }): Promise<Figure[]> {
  const name = `buslab-${ctx.runId}-clone`;
  const source = template.source({ name: `${name}parent`, dir: join(ctx.dir, "parent") });
  const once = async (turn: string, from: Pick<Template, "clone">): Promise<{ readonly answerMs: number; readonly readyMs: number; readonly memoryMb: number }> => {
    const dir = join(ctx.dir, `clone${turn}`);
    await mkdir(dir);
    const { machine, answerMs, readyMs } = await from.clone({ name: `${name}${turn}`, dir, signal: ctx.signal });
    const memoryMb = await anonymousMb(machine.pid);
    await machine.kill();
    await rm(dir, { recursive: true, force: true });
    return { answerMs, readyMs, memoryMb };
  };
  const [pooled, restored]: [Awaited<ReturnType<typeof once>>[], Awaited<ReturnType<typeof once>>[]] = [[], []];
  try {
    await once("p", source); // the first one waits for the parent
    for (let turn = 0; turn < CLONES; turn++) {
      pooled.push(await once(`p${turn}`, source));
      restored.push(await once(`r${turn}`, template));
    }
  } finally {
    await source.close();
  }
  const of = (values: typeof pooled, what: (value: (typeof pooled)[number]) => number): number => median(values.map(what));
  return [
    timed(`clone start to the agent's first answer, median of ${CLONES}`, of(pooled, ({ answerMs }) => answerMs), "ms"),
    timed(`new random numbers and the time of day in a clone, median of ${CLONES}`, of(pooled, ({ answerMs, readyMs }) => readyMs - answerMs), "ms"),
    timed(`clone start to ready, median of ${CLONES}`, of(pooled, ({ readyMs }) => readyMs), "ms"),
    timed(`anonymous memory of a ready clone, median of ${CLONES}`, of(pooled, ({ memoryMb }) => memoryMb), "MiB"),
    timed(`clone restored from files: start to the agent's first answer, median of ${CLONES}`, of(restored, ({ answerMs }) => answerMs), "ms"),
    timed(`clone restored from files: anonymous memory, median of ${CLONES}`, of(restored, ({ memoryMb }) => memoryMb), "MiB"),
  ];
}

/** What a process has of its own, pages copied on write included. @see Linux Documentation/filesystems/proc.rst, smaps_rollup */
async function anonymousMb(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
  return Number(/^Anonymous: +(\d+) kB/m.exec(text)?.[1] ?? Number.NaN) / 1024;
}

export interface BootContext {
  readonly runId: string;
  readonly dir: string;
  readonly limits: Limits;
  readonly connectAgent: ConnectAgent;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** Cold boots of the target, and beside them, alternating in the same run, boots of the same image with another kernel. */
export async function bootFigures(spec: TemplateSpec, other: { readonly name: string; readonly spec: TemplateSpec } | null, times: number, ctx: BootContext): Promise<Figure[]> {
  const [own, others]: [number[], number[]] = [[], []];
  for (let turn = 0; turn < times; turn++) {
    own.push(await bootMs(spec, ctx));
    if (other !== null) others.push(await bootMs(other.spec, ctx));
  }
  const of = times === 1 ? "" : `, median of ${times}`;
  const seconds = median(own) / 1000;
  const figures = [timed(`cold boot to a settled systemd with the agent answering${of}`, seconds, "s")];
  if (other !== null) figures.push(timed(`the same with ${other.name}${of}`, median(others) / 1000, "s", { what: "ours", ratio: median(others) / 1000 / seconds }));
  return figures;
}

/** One cold boot of the target, as its template is made: start of QEMU to a settled systemd with the agent answering. */
async function bootMs(spec: TemplateSpec, ctx: BootContext): Promise<number> {
  const dir = await mkdtemp(join(ctx.dir, "boot-"));
  const disk = join(dir, "disk.qcow2");
  await exec(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", spec.image.disk, disk], { timeoutMs: ctx.limits.ms(5_000) });
  const step = ctx.progress.step(`cold boot ${spec.target.kernel}`);
  const started = performance.now();
  await using machine = await QemuMachine.start({
    name: `buslab-${ctx.runId}-boot${dir.slice(-6)}`,
    dir,
    socketDir: await makeSocketDir(ctx.runId),
    hardware: hardwareOf(spec),
    ram: { path: join(dir, "ram"), shared: true },
    disk: { path: disk, snapshot: false },
    startLimitMs: ctx.limits.ms(5_000),
  });
  const abort = (): void => void machine.kill();
  ctx.signal.addEventListener("abort", abort, { once: true });
  try {
    const agent = await bootToSettled(machine, { limits: spec.limits, connectAgent: ctx.connectAgent, step, signal: ctx.signal });
    const ms = performance.now() - started;
    await agent.close();
    step.done();
    return ms;
  } catch (error) {
    step.fail(error instanceof Error ? error.message : String(error));
    throw error;
  } finally {
    ctx.signal.removeEventListener("abort", abort);
    await machine.kill();
    await rm(dir, { recursive: true, force: true });
  }
}

async function elapsed(act: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await act();
  return performance.now() - started;
}
