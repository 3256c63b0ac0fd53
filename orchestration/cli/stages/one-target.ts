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

/** One target, built and frozen, with a folder and a run id of its own; both are gone when the work on it ends. */
export interface OneTarget {
  readonly built: Built;
  readonly template: Template;
  readonly accel: Accel;
  readonly runId: string;
  readonly dir: string;
  readonly progress: ConsoleProgress;
  readonly signal: AbortSignal;
}

/**
 * Brings up the one target that a pattern names, lets `work` use it, and leaves nothing running.
 * @throws TARGET_UNKNOWN when the pattern names none or several; what build and boot throw
 */
export async function onOneTarget(
  pattern: string | undefined,
  options: { readonly kernel?: string; readonly config?: readonly string[]; readonly module: string; readonly cpus?: number },
  work: (ready: OneTarget) => Promise<void>,
): Promise<void> {
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
    const { template, accel } = await bootTemplate(built, { runId, logDir: dir, progress, signal, ...(options.cpus === undefined ? {} : { cpus: options.cpus }) });
    await work({ built, template, accel, runId, dir, progress, signal });
  } finally {
    progress.close();
    await sweepLeftovers(runId);
    await rm(dir, { recursive: true, force: true });
  }
}
