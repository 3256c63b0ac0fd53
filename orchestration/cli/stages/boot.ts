import { Limits } from "../../base/deadline.ts";
import { digestOf } from "../../base/digest.ts";
import { SuiteError } from "../../base/errors.ts";
import type { BringUpContext, Ready } from "../../run/run.ts";
import { LineCollector } from "../../coverage/index.ts";
import { requireCheckers } from "../../run/checkers.ts";
import { detectGeneration } from "../../run/generation.ts";
import type { LeakChoice } from "../../run/leak-choice.ts";
import { inClone, type CloneContext } from "../../run/one-clone.ts";
import { BUILD_ROWS, type Target } from "../../target/target-id.ts";
import { moduleDecoder } from "../../vm/decode.ts";
import { leakProbe } from "../../vm/leak-probe.ts";
import type { ReleaseProbe } from "../../vm/probe.ts";
import { findAccel, type Accel } from "../../vm/accel.ts";
import { describeKept } from "../../vm/kept.ts";
import { prepareTemplate, type Template } from "../../vm/template.ts";
import { connectAgent } from "./agent.ts";
import { artifactsOf, buildAll, type BuildOptions, type Built } from "./build.ts";

export const PEERS = ["native", "32"] as const;
export type Peers = (typeof PEERS)[number];

export interface BringUpOptions {
  /** Tests of debug targets that are asked for leaks, and how that choice reads in the records. */
  readonly leaks: LeakChoice;
  /** Takes what counts lines on a cov target. */
  readonly onCollector: (collector: LineCollector) => void;
  /** Width of the tests' processes; default: the kernel's own. */
  readonly peers?: Peers;
  /** Processors of each machine; default: one. */
  readonly cpus?: number;
}

/** Builds a target's parts. @throws what a build throws, blame and all */
export async function buildTarget(target: Target, options: Pick<BuildOptions, "kernels" | "moduleDir" | "builder">, ctx: BringUpContext): Promise<Built> {
  const started = performance.now();
  const built = (await buildAll({ ...options, targets: [target], dir: ctx.folder.dir, progress: ctx.progress, signal: ctx.signal })).get(target.id);
  ctx.spent.build = Math.round(performance.now() - started);
  if (built === undefined || built instanceof SuiteError) throw built ?? new SuiteError("INTERNAL", `${target.id} was not built`);
  return built;
}

/** Boots a built target, or finds its frozen guest. @throws what a boot throws, blame and all */
export async function bringUp(built: Built, options: BringUpOptions, ctx: BringUpContext): Promise<Ready<Template>> {
  const { target } = built;
  const bootStarted = performance.now();
  const cpus = options.cpus ?? 1;
  const booting = { runId: ctx.folder.run, logDir: ctx.folder.console, progress: ctx.progress, signal: ctx.signal };
  const { template, accel } = await bootTemplate(built, { ...booting, cpus });
  const parallel = ctx.cpus > cpus ? (await bootTemplate(built, { ...booting, cpus: ctx.cpus })).template : undefined;
  const asking = { runId: ctx.folder.run, dir: ctx.folder.console, slowdown: accel.slowdown, tag: digestOf(target.id).slice(7, 13) };
  const generation = await detectGeneration(template, asking);
  const checked = target.build === "debug" ? { checkers: await requireCheckers(template, built.module.ko, asking), leaks: options.leaks.says } : {};
  const probes = await probesOf(built, template, options, asking);
  const decoder = built.module.koDebug === null ? {} : { decoder: moduleDecoder(built.module.koDebug, built.module.name, built.module.label) };
  for (const each of parallel === undefined ? [template] : [template, parallel]) {
    await describeKept(ctx.folder.dir, each, { hostKey: built.image.hostKeyPub, image: built.image.disk, slowdown: accel.slowdown, qemu: accel.qemuVersion });
  }
  ctx.spent.boot = Math.round(performance.now() - bootStarted);
  return {
    template: { ...template, probes, ...decoder },
    ...(parallel === undefined ? {} : { parallel: { template: { ...parallel, probes, ...decoder }, facts: { cpus: await processorsOf(parallel, asking), taint: parallel.taint } } }),
    accel: { kind: accel.kind, why: accel.why },
    artifacts: {
      ...Object.fromEntries(artifactsOf(built).filter((artifact) => artifact !== built.trouble).map(({ kind, key, state, because }) => [kind, { key, state, because }])),
      template: { key: template.key, state: template.state, because: template.because },
      ...(parallel === undefined ? {} : { [`template of ${ctx.cpus} processors`]: { key: parallel.key, state: parallel.state, because: parallel.because } }),
    },
    facts: { ...factsOf(built, template, accel), ...checked, peers: options.peers ?? "native", cpus },
    generation,
    events: [...template.events, ...(parallel?.events ?? [])],
    slowdown: accel.slowdown,
    env: { BUSLAB_TROUBLE_KO: built.trouble.ko ?? "", BUSLAB_PEERS: options.peers ?? "native" },
    durationsMs: { ...ctx.spent },
  };
}

/** As many as the kernel uses: it may be built for one, whatever the machine has. */
function processorsOf(template: Template, asking: CloneContext): Promise<number> {
  return inClone(template, "cpus", asking, async (agent) => Number((await agent.exec(["nproc"])).stdout.trim()));
}

/** What every machine of the target is asked before its end. */
async function probesOf(built: Built, template: Template, options: BringUpOptions, asking: CloneContext): Promise<readonly ReleaseProbe[]> {
  const { target, module } = built;
  if (target.build === "debug") return [leakProbe(options.leaks.wanted, module.name)];
  if (module.gcov === null) return [];
  const { notes, guestDir } = module.gcov;
  const collector = await inClone(template, "lines", asking, (agent, limits) => LineCollector.start({ target: target.id, label: module.label, notes, guestDir }, agent, limits));
  options.onCollector(collector);
  return [collector.probe];
}

/** What a test may know of its target. */
export function factsOf(built: Built, template: Pick<Template, "taint" | "parameters">, accel: Pick<Accel, "slowdown">): Readonly<Record<string, unknown>> {
  const { kernel, module, target } = built;
  return { kernelRelease: kernel.release, kernelConfig: kernel.config, moduleKo: module.ko, moduleName: module.name, moduleParameters: template.parameters, slowdown: accel.slowdown, lsm: target.lsm, taint: template.taint };
}

/** The frozen guest of a built target, and what accelerates it. */
export async function bootTemplate(
  built: Built,
  ctx: { readonly runId: string; readonly logDir: string; readonly progress: BringUpContext["progress"]; readonly signal?: AbortSignal; readonly cpus?: number },
): Promise<{ readonly template: Template; readonly accel: Accel }> {
  const signal = ctx.signal === undefined ? {} : { signal: ctx.signal };
  const found = await findAccel(built.target.arch, { progress: ctx.progress, ...signal });
  const accel = { ...found, slowdown: found.slowdown * BUILD_ROWS[built.target.build].slowdown };
  const template = await prepareTemplate(
    { target: built.target, kernel: built.kernel, image: built.image, module: built.module, accel, limits: new Limits(accel.slowdown), ...(ctx.cpus === undefined ? {} : { cpus: ctx.cpus }) },
    { progress: ctx.progress, ...signal, runId: ctx.runId, logDir: ctx.logDir, connectAgent },
  );
  return { template, accel };
}
