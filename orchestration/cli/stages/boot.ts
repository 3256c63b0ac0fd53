import { Limits } from "../../base/deadline.ts";
import { SuiteError } from "../../base/errors.ts";
import type { BringUpContext, Ready } from "../../run/run.ts";
import { detectGeneration } from "../../run/generation.ts";
import type { Target } from "../../target/target-id.ts";
import { findAccel, type Accel } from "../../vm/accel.ts";
import { prepareTemplate, type Template } from "../../vm/template.ts";
import { connectAgent } from "./agent.ts";
import { artifactsOf, buildAll, type BuildOptions, type Built } from "./build.ts";

/** Builds a target's parts, then boots or finds its frozen guest. @throws what build and boot throw, blame and all */
export async function bringUp(target: Target, options: Pick<BuildOptions, "kernels" | "moduleDir"> & { readonly peers?: "native" | "32" }, ctx: BringUpContext): Promise<Ready<Template>> {
  const started = performance.now();
  const built = (await buildAll({ ...options, targets: [target], dir: ctx.folder.dir, progress: ctx.progress, signal: ctx.signal })).get(target.id);
  ctx.spent.build = Math.round(performance.now() - started);
  if (built === undefined || built instanceof SuiteError) throw built ?? new SuiteError("INTERNAL", `${target.id} was not built`);
  const bootStarted = performance.now();
  const { template, accel } = await bootTemplate(built, { runId: ctx.folder.run, logDir: ctx.folder.console, progress: ctx.progress, signal: ctx.signal });
  const generation = await detectGeneration(template, { runId: ctx.folder.run, dir: ctx.folder.console, slowdown: accel.slowdown });
  ctx.spent.boot = Math.round(performance.now() - bootStarted);
  return {
    template,
    accel: { kind: accel.kind, why: accel.why },
    artifacts: {
      ...Object.fromEntries(artifactsOf(built).filter((artifact) => artifact !== built.trouble).map(({ kind, key, state, because }) => [kind, { key, state, because }])),
      template: { key: template.key, state: template.state, because: template.because },
    },
    facts: { kernelRelease: built.kernel.release, kernelConfig: built.kernel.config, moduleKo: built.module.ko, moduleName: built.module.name, slowdown: accel.slowdown, lsm: target.lsm, taint: template.taint, peers: options.peers ?? "native" },
    generation,
    events: template.events,
    slowdown: accel.slowdown,
    env: { BUSLAB_TROUBLE_KO: built.trouble.ko, BUSLAB_PEERS: options.peers ?? "native" },
    durationsMs: { ...ctx.spent },
  };
}

/** The frozen guest of a built target, and what accelerates it. */
export async function bootTemplate(
  built: Built,
  ctx: { readonly runId: string; readonly logDir: string; readonly progress: BringUpContext["progress"]; readonly signal?: AbortSignal },
): Promise<{ readonly template: Template; readonly accel: Accel }> {
  const signal = ctx.signal === undefined ? {} : { signal: ctx.signal };
  const accel = await findAccel(built.target.arch, { progress: ctx.progress, ...signal });
  const template = await prepareTemplate(
    { target: built.target, kernel: built.kernel, image: built.image, module: built.module, accel, limits: new Limits(accel.slowdown) },
    { progress: ctx.progress, ...signal, runId: ctx.runId, logDir: ctx.logDir, connectAgent },
  );
  return { template, accel };
}
