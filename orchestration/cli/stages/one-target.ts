import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SuiteError } from "../../base/errors.ts";
import { newRunId } from "../../base/ids.ts";
import type { Accel } from "../../vm/accel.ts";
import { sweepLeftovers } from "../../vm/leftovers.ts";
import type { Template } from "../../vm/template.ts";
import { onInterrupt } from "../interrupt.ts";
import { ConsoleProgress } from "../progress.ts";
import { bootTemplate } from "./boot.ts";
import { buildAll, type Built } from "./build.ts";
import { targetsOf } from "./selection.ts";

/** One target, built, with a folder and a run id of its own; both are gone when the work on it ends. */
export interface OneBuilt {
  readonly built: Built;
  readonly runId: string;
  readonly dir: string;
  readonly progress: ConsoleProgress;
  readonly signal: AbortSignal;
}

/** The same with its frozen guest. */
export interface OneTarget extends OneBuilt {
  readonly template: Template;
  readonly accel: Accel;
}

interface Subject {
  readonly kernel?: string;
  readonly config?: readonly string[];
  readonly module: string;
}

/**
 * Brings up the one target that a pattern names, lets `work` use it, and leaves nothing running.
 * @throws TARGET_UNKNOWN when the pattern names none or several; what build and boot throw
 */
export async function onOneTarget(pattern: string | undefined, options: Subject & { readonly cpus?: number }, work: (ready: OneTarget) => Promise<void>): Promise<void> {
  await onOneBuilt(pattern, options, async (one) => {
    const { template, accel } = await bootTemplate(one.built, { runId: one.runId, logDir: one.dir, progress: one.progress, signal: one.signal, ...(options.cpus === undefined ? {} : { cpus: options.cpus }) });
    await work({ ...one, template, accel });
  });
}

/** Builds the one target that a pattern names, lets `work` use it, and leaves nothing running. @throws as {@link onOneTarget}, but for the boot */
export async function onOneBuilt(pattern: string | undefined, options: Subject, work: (one: OneBuilt) => Promise<void>): Promise<void> {
  const { targets, kernels } = targetsOf(pattern === undefined ? [] : [pattern], options.kernel, options.config);
  const [target, ...more] = targets;
  if (target === undefined || more.length > 0) throw new SuiteError("TARGET_UNKNOWN", `"${pattern ?? ""}" names ${targets.length} targets; exactly one is needed here`);
  const runId = newRunId();
  const dir = await mkdtemp(join(tmpdir(), "buslab-one-"));
  const progress = new ConsoleProgress();
  const { signal } = onInterrupt();
  try {
    const built = (await buildAll({ targets, kernels, moduleDir: options.module, dir, progress, signal })).get(target.id);
    if (built === undefined || built instanceof SuiteError) throw built ?? new SuiteError("INTERNAL", `${target.id} was not built`);
    await work({ built, runId, dir, progress, signal });
  } finally {
    progress.close();
    await sweepLeftovers(runId);
    await rm(dir, { recursive: true, force: true });
  }
}
