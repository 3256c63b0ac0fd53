import { copyFile, mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Limits } from "../base/deadline.ts";
import { digestJson, short } from "../base/digest.ts";
import { exec } from "../base/exec.ts";
import { readFile } from "node:fs/promises";
import type { Progress, Step } from "../base/progress.ts";
import type { KernelEvent } from "../record/v1.ts";
import { BUILD_ROWS, type Target } from "../target/target-id.ts";
import type { Accel } from "./accel.ts";
import { scanConsole } from "./console/scan.ts";
import type { Decoder } from "./decode.ts";
import type { ConnectAgent } from "./guest-agent.ts";
import { bootToSettled, loadModule, takeTaint, type BusModule, type ModuleParameter } from "./guest-steps.ts";
import { kernelLine } from "./kernel-line.ts";
import type { ReleaseProbe } from "./probe.ts";
import { forgetLeaks } from "./leak-probe.ts";
import { hardwareKey, type Hardware } from "./qemu/argv.ts";
import { kernelHead } from "./qemu/kernel-head.ts";
import { QemuMachine } from "./qemu/machine.ts";
import { socketDirOf } from "./run-name.ts";
import { makeSocketDir } from "./socket-dir.ts";
import { startClone, type Clone } from "./clone.ts";
import { CloneSource } from "./clone-source.ts";
import { obtainTemplate, type TemplateFiles } from "./template-cache.ts";

export interface TemplateSpec {
  readonly target: Target;
  readonly kernel: { readonly key: string; readonly image: string; readonly initrd?: string };
  readonly image: { readonly key: string; readonly disk: string };
  /** null: the kernel has the bus, or none is wanted. */
  readonly module: (BusModule & { readonly key: string }) | null;
  readonly accel: Accel;
  readonly limits: Limits;
  /** Further words of the boot line. */
  readonly extraKernelArgs?: readonly string[];
  /** Default: 1, so that tests see the same order each time. */
  readonly cpus?: number;
}

export interface TemplateContext {
  readonly progress: Progress;
  readonly signal?: AbortSignal;
  readonly runId: string;
  /** Consoles of boots that failed are kept here. */
  readonly logDir: string;
  readonly connectAgent: ConnectAgent;
}

/** A frozen machine that clones start from. */
export interface Template {
  readonly key: string;
  readonly dir: string;
  readonly target: Target;
  readonly state: "built" | "reused";
  readonly because: string;
  /** Kernel reports while it was booted and the module loaded: the target's, no test's. */
  readonly events: readonly KernelEvent[];
  /** /proc/sys/kernel/tainted of the frozen guest. */
  readonly taint: number;
  /** Parameters of the module that were set after it was loaded. */
  readonly parameters: Readonly<Record<string, ModuleParameter>>;
  /** What each of its machines is asked before its end. */
  readonly probes?: readonly ReleaseProbe[];
  /** Adds file and line to what its kernel reports. */
  readonly decoder?: Decoder;
  /** Time to make or to check it. */
  readonly readyMs: number;
  /** What its clones are made of. */
  readonly frozen: { readonly hardware: Hardware; readonly files: TemplateFiles };
  /** A running, reseeded machine whose agent answers. @throws VM_START_FAILED | VM_DIED | GUEST_TIMEOUT */
  clone(options: { readonly name: string; readonly dir: string; readonly signal?: AbortSignal }): Promise<Clone>;
  /** For many of them; to be closed. The parent's name and folder are its own. */
  source(parent: { readonly name: string; readonly dir: string }): Pick<CloneSource, "clone" | "close">;
}

const GIBIBYTE = 1024 ** 3;
/** Raised when what is put into a template changes in a way its key does not show; the second when it is what the module's part of it does. */
const RECIPE = 3;
const MODULE_RECIPE = 4;

/**
 * The frozen guest of this target with the module loaded and the bus mounted; booted only when the cache has none whole.
 * @throws KERNEL_BOOT_FAILED | MODULE_LOAD_FAILED with the console in the details; VM_BOOT_TIMEOUT, VM_START_FAILED, VM_DIED, HOST_TOOL_MISSING, HOST_DISK_FULL
 */
export async function prepareTemplate(spec: TemplateSpec, ctx: TemplateContext): Promise<Template> {
  const started = performance.now();
  const hardware = hardwareOf(spec);
  const image = await stat(spec.image.disk); // an overlay fits only the very file it was made on
  const baseKey = short(
    digestJson({
      recipe: RECIPE,
      hardware: hardwareKey(hardware),
      qemu: spec.accel.qemuVersion,
      kernel: spec.kernel.key,
      image: [spec.image.key, spec.image.disk, image.size, image.mtimeMs, image.ino],
    }),
  );
  const needsBytes = (hardware.memoryMb / 1024 + 0.25) * GIBIBYTE;
  const run = { spec, ctx, hardware };
  const title = `template ${spec.target.id}${hardware.cpus === 1 ? "" : `, ${hardware.cpus} processors`}`;

  const base = (): Promise<TemplateFiles> =>
    obtainTemplate({ key: baseKey, title, needsBytes, ctx, build: (dir, step) => bootBase(run, dir, step), check: (files, dir) => restores(run, files, dir) });

  let files: TemplateFiles;
  const { module } = spec;
  if (module === null) {
    files = await base();
  } else {
    const key = short(digestJson({ base: baseKey, module: module.key, recipe: MODULE_RECIPE, ...(looksForLeaks(spec) ? { leaksForgotten: 1 } : {}) }));
    files = await obtainTemplate({
      key,
      title: `${title}, with ${module.name}`,
      needsBytes,
      ctx,
      build: async (dir, step) => {
        step.update("waiting for the template without the module");
        return addModule(run, module, await base(), dir, step);
      },
      check: (found, dir) => restores(run, found, dir),
    });
  }
  const restored = await restoredHardware(hardware, files.dir);
  const each = { socketDir: socketDirOf(ctx.runId), limits: spec.limits, connectAgent: ctx.connectAgent };
  return {
    key: files.key,
    dir: files.dir,
    target: spec.target,
    state: files.state,
    because: files.because,
    events: files.facts.events,
    taint: files.facts.taint,
    parameters: files.facts.parameters,
    readyMs: performance.now() - started,
    frozen: { hardware, files },
    clone: (options) => startClone(files, restored, { ...options, ...each }),
    source: (parent) => new CloneSource(files, restored, parent, { ...each, onRestoring: (reason) => ctx.progress.step(`clones of ${title}`).done(`are restored from its files one by one: ${reason}`) }),
  };
}

/** Its clones are asked for leaks, and must not be accused of what the boot left. */
function looksForLeaks(spec: Pick<TemplateSpec, "target">): boolean {
  return spec.target.build === "debug";
}

/** The machine that a template is made on. */
export function hardwareOf(spec: Pick<TemplateSpec, "target" | "kernel" | "accel" | "extraKernelArgs" | "cpus">): Hardware {
  return {
    arch: spec.target.arch,
    accel: spec.accel.kind,
    memoryMb: BUILD_ROWS[spec.target.build].memoryMb,
    cpus: spec.cpus ?? 1,
    kernel: spec.kernel.image,
    ...(spec.kernel.initrd === undefined ? {} : { initrd: spec.kernel.initrd }),
    kernelLine: kernelLine(spec.target, spec.extraKernelArgs),
  };
}

/** The same machine, without what only a boot reads. */
async function restoredHardware({ initrd: _initrd, ...hardware }: Hardware, dir: string): Promise<Hardware> {
  return { ...hardware, kernel: await kernelHead(hardware.kernel, dir) };
}

interface Run {
  readonly spec: TemplateSpec;
  readonly ctx: TemplateContext;
  readonly hardware: Hardware;
}

async function bootBase({ spec, ctx, hardware }: Run, dir: string, step: Step): Promise<TemplateFiles["facts"]> {
  const disk = join(dir, "disk.qcow2");
  await exec(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", spec.image.disk, disk], { timeoutMs: 60_000 });
  step.update("booting");
  await using machine = await QemuMachine.start({
    name: `buslab-${ctx.runId}-base${dir.slice(-6)}`,
    dir,
    socketDir: await makeSocketDir(ctx.runId),
    hardware,
    ram: { path: join(dir, "ram"), shared: true },
    disk: { path: disk, snapshot: false },
    startLimitMs: spec.limits.ms(5_000),
  });
  const interrupted = killOn(machine, ctx.signal);
  try {
    const agent = await bootToSettled(machine, { limits: spec.limits, connectAgent: ctx.connectAgent, step, ...(ctx.signal === undefined ? {} : { signal: ctx.signal }) });
    const taint = await takeTaint(agent, spec.limits);
    await freeze(machine, dir, spec.limits, step, agent.close);
    return { taint, events: scanConsole(await readFile(machine.consoleLog)), parameters: {} };
  } catch (error) {
    await keepConsole(machine, ctx, `${spec.target.id.replaceAll("/", "-")}-boot`);
    throw error;
  } finally {
    interrupted();
  }
}

async function addModule({ spec, ctx, hardware }: Run, module: NonNullable<TemplateSpec["module"]>, base: TemplateFiles, dir: string, step: Step): Promise<TemplateFiles["facts"]> {
  // cp keeps the holes of the RAM file: 90 of its 512 MiB are there
  await exec(["cp", "--sparse=always", base.ram, join(dir, "ram")], { timeoutMs: 120_000 });
  await copyFile(base.disk, join(dir, "disk.qcow2"));
  step.update(module.ko === null ? "mounting the bus" : `loading ${module.name}`);
  await using machine = await QemuMachine.start({
    name: `buslab-${ctx.runId}-mod${dir.slice(-6)}`,
    dir,
    socketDir: await makeSocketDir(ctx.runId),
    hardware,
    ram: { path: join(dir, "ram"), shared: true },
    disk: { path: join(dir, "disk.qcow2"), snapshot: false },
    restoreFrom: base.stateFile,
    startLimitMs: spec.limits.ms(5_000),
  });
  const interrupted = killOn(machine, ctx.signal);
  try {
    await machine.resume();
    const { agent, parameters } = await loadModule(machine, module, { limits: spec.limits, connectAgent: ctx.connectAgent, step, ...(ctx.signal === undefined ? {} : { signal: ctx.signal }) });
    if (looksForLeaks(spec)) {
      step.update("scanning for leaks of the boot, to be forgotten");
      await forgetLeaks(agent, spec.limits);
    }
    const taint = await takeTaint(agent, spec.limits);
    await freeze(machine, dir, spec.limits, step, agent.close);
    return { taint, events: [...base.facts.events, ...scanConsole(await readFile(machine.consoleLog))], parameters };
  } catch (error) {
    await keepConsole(machine, ctx, `${spec.target.id.replaceAll("/", "-")}-module`);
    throw error;
  } finally {
    interrupted();
  }
}

async function freeze(machine: QemuMachine, dir: string, limits: Limits, step: Step, closeAgent: () => Promise<void>): Promise<void> {
  step.update("freezing");
  await machine.freeze(join(dir, "state"), limits.ms(5_000));
  await closeAgent();
}

/** A trial clone: the only proof that a kept template is whole. */
async function restores({ spec, ctx, hardware }: Run, files: TemplateFiles, dir: string): Promise<void> {
  const clone = await startClone(files, await restoredHardware(hardware, dir), {
    name: `buslab-${ctx.runId}-try${files.key.slice(0, 6)}`,
    dir,
    socketDir: await makeSocketDir(ctx.runId),
    limits: spec.limits,
    connectAgent: ctx.connectAgent,
    ...(ctx.signal === undefined ? {} : { signal: ctx.signal }),
  });
  await clone.machine.kill();
}

function killOn(machine: QemuMachine, signal: AbortSignal | undefined): () => void {
  const abort = (): void => void machine.kill();
  signal?.addEventListener("abort", abort, { once: true });
  if (signal?.aborted === true) abort();
  return () => signal?.removeEventListener("abort", abort);
}

async function keepConsole(machine: QemuMachine, ctx: TemplateContext, name: string): Promise<void> {
  await machine.kill();
  await mkdir(ctx.logDir, { recursive: true });
  await copyFile(machine.consoleLog, join(ctx.logDir, `${name}-console.log`)).catch(() => undefined);
}
