import { mkdir, rm } from "node:fs/promises";
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

/** Start of QEMU to a clone that answers, and to one with its own entropy and the right time. */
export async function cloneFigures(template: Template, ctx: { readonly runId: string; readonly dir: string; readonly signal: AbortSignal }): Promise<Figure[]> {
  const [answers, readies]: [number[], number[]] = [[], []];
  for (let turn = 0; turn < CLONES; turn++) {
    const dir = join(ctx.dir, `clone${turn}`);
    await mkdir(dir);
    const { machine, answerMs, readyMs } = await template.clone({ name: `buslab-${ctx.runId}-clone${turn}`, dir, signal: ctx.signal });
    await machine.kill();
    await rm(dir, { recursive: true, force: true });
    answers.push(answerMs);
    readies.push(readyMs);
  }
  return [timed(`clone start to the agent's first answer, median of ${CLONES}`, median(answers), "ms"), timed(`clone start to ready, median of ${CLONES}`, median(readies), "ms")];
}

/** One cold boot of the target, as its template is made: start of QEMU to a settled systemd with the agent answering. */
export async function bootFigure(spec: TemplateSpec, ctx: { readonly runId: string; readonly dir: string; readonly limits: Limits; readonly connectAgent: ConnectAgent; readonly progress: Progress; readonly signal: AbortSignal }): Promise<Figure> {
  const dir = join(ctx.dir, "boot");
  await mkdir(dir);
  const disk = join(dir, "disk.qcow2");
  await exec(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", spec.image.disk, disk], { timeoutMs: ctx.limits.ms(5_000) });
  const step = ctx.progress.step("cold boot");
  const started = performance.now();
  await using machine = await QemuMachine.start({
    name: `buslab-${ctx.runId}-boot`,
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
    const agent = await bootToSettled(machine, { limits: ctx.limits, connectAgent: ctx.connectAgent, step, signal: ctx.signal });
    const ms = performance.now() - started;
    await agent.close();
    step.done();
    return timed("cold boot to a settled systemd with the agent answering", ms / 1000, "s");
  } catch (error) {
    step.fail(error instanceof Error ? error.message : String(error));
    throw error;
  } finally {
    ctx.signal.removeEventListener("abort", abort);
  }
}

async function elapsed(act: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await act();
  return performance.now() - started;
}
