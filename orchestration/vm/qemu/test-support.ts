import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Limits } from "../../base/deadline.ts";
import { newRunId } from "../../base/ids.ts";
import { silent } from "../../base/progress.ts";
import { makeTarget, type Target } from "../../target/target-id.ts";
import { buildAgent, buildImage, buildKernel, kernelSpecOf, type KernelArtifact } from "../../../vm-images/index.ts";
import { findAccel } from "../accel.ts";
import { connectWireAgent } from "../fake/wire-agent.ts";
import type { TemplateContext, TemplateSpec } from "../template.ts";

/** Tests that boot machines run where this is set: they build a kernel and an image when the cache has none. */
export const SKIP_QEMU = process.env["BUSLAB_TEST_QEMU"] === undefined ? "set BUSLAB_TEST_QEMU=1 to boot machines" : undefined;

export interface QemuBench {
  readonly target: Target;
  readonly kernel: KernelArtifact;
  readonly spec: TemplateSpec;
  readonly ctx: TemplateContext;
  readonly dir: string;
}

/** Kernel, image and agent of the default target, from the cache where it has them. */
export async function qemuBench(): Promise<QemuBench> {
  const target = makeTarget("x86_64", "debian-6.1", "none", "plain");
  const dir = await mkdtemp(join(tmpdir(), "buslab-qemu-test-"));
  const build = { progress: silent, logDir: dir };
  const kernel = await buildKernel(target, kernelSpecOf(target.kernel), build);
  const image = await buildImage(target, await buildAgent(target.arch, build), build);
  const accel = await findAccel(target.arch);
  return {
    target,
    kernel,
    dir,
    spec: { target, kernel, image, module: null, accel, limits: new Limits(accel.slowdown) },
    ctx: { progress: silent, runId: newRunId(), logDir: dir, connectAgent: connectWireAgent },
  };
}
