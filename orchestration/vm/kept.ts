import { copyFile, mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Limits } from "../base/deadline.ts";
import { digestOf } from "../base/digest.ts";
import { asSuiteError, SuiteError } from "../base/errors.ts";
import { exec } from "../base/exec.ts";
import { readJson, writeJson } from "../base/json-file.ts";
import { ARCHES, type ArchRow } from "../target/arches.ts";
import { qemuVersionOf } from "./accel.ts";
import { startClone, type Clone, type CloneOptions } from "./clone.ts";
import type { Machine } from "./machine.ts";
import type { Hardware } from "./qemu/argv.ts";
import type { Template } from "./template.ts";

/** A file that a kept machine is made of; equal size and time mean the same file, as for templates. */
const fileSchema = z.object({ path: z.string(), sizeBytes: z.number(), mtimeMs: z.number() });

/** What the machines of one target of a run, with equally many processors, can be brought back with: `kept/<target>/cpus-<number>.json` of the run folder. */
const targetSchema = z.object({
  schema: z.literal("buslab.kept-target/1"),
  target: z.string(),
  template: z.string(),
  qemu: z.string(),
  slowdown: z.number(),
  hostKey: z.string(),
  hardware: z.object({
    arch: z.enum(Object.keys(ARCHES) as [ArchRow["id"], ...ArchRow["id"][]]),
    accel: z.enum(["kvm", "tcg"]),
    memoryMb: z.int(),
    cpus: z.int(),
    kernel: fileSchema,
    initrd: fileSchema.optional(),
    kernelLine: z.string(),
  }),
  image: fileSchema,
  /** RAM, device state and disk of the template. */
  frozen: z.object({ ram: fileSchema, state: fileSchema, disk: fileSchema }),
});
export type KeptTarget = z.infer<typeof targetSchema>;

/** A machine as it was when its test failed: `kept/<target>/<test>/kept.json`, beside its memory and its disk. */
const machineSchema = z.object({ schema: z.literal("buslab.kept/1"), target: z.string(), test: z.string(), at: z.iso.datetime() });

const SAVE_MS = 5_000;

export function keptDir(runDir: string, target: string, test?: string): string {
  const dir = join(runDir, "kept", target.replaceAll("/", "_"));
  return test === undefined ? dir : join(dir, `${test.replace(/[^\w.-]+/g, "-").slice(0, 60)}-${digestOf(test).slice(7, 13)}`);
}

/** Writes down what a target's machines are made of, so that they can be made again while the cache has it. */
export async function describeKept(runDir: string, template: Pick<Template, "key" | "target" | "frozen">, own: { readonly hostKey: string; readonly image: string; readonly slowdown: number; readonly qemu: string }): Promise<void> {
  const { hardware, files } = template.frozen;
  const { arch, kernel, initrd, ...rest } = hardware;
  const document: KeptTarget = {
    schema: "buslab.kept-target/1",
    target: template.target.id,
    template: template.key,
    qemu: own.qemu,
    slowdown: own.slowdown,
    hostKey: own.hostKey,
    hardware: { ...rest, arch: arch.id, kernel: await describeFile(kernel), ...(initrd === undefined ? {} : { initrd: await describeFile(initrd) }) },
    image: await describeFile(own.image),
    frozen: { ram: await describeFile(files.ram), state: await describeFile(files.stateFile), disk: await describeFile(files.disk) },
  };
  await writeJson(targetFile(runDir, template.target.id, rest.cpus), document);
}

/**
 * Keeps a running machine: memory, devices and disk of this moment. It goes on afterwards.
 * @returns why it could not be kept, or null. It never throws: the verdict is made of other things
 */
export async function keepMachine(runDir: string, machine: Machine, template: Pick<Template, "frozen">, of: { readonly target: string; readonly test: string }, limits: Limits): Promise<string | null> {
  const dir = keptDir(runDir, of.target, of.test);
  try {
    await mkdir(dir, { recursive: true });
    // the template may be pruned long before the run: its part of the disk is 2 MB and is kept as well
    await copyFile(template.frozen.files.disk, join(dir, "base.qcow2"));
    await exec(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "base.qcow2", join(dir, "disk.qcow2")], { timeoutMs: limits.ms(SAVE_MS) });
    if (!(await machine.save(dir, limits.ms(SAVE_MS)))) throw new SuiteError("QMP_FAILED", `${machine.name} cannot be kept`);
    await writeJson(join(dir, "kept.json"), { schema: "buslab.kept/1", target: of.target, test: of.test, at: new Date().toISOString() } satisfies z.infer<typeof machineSchema>);
    return null;
  } catch (error) {
    await rm(dir, { recursive: true, force: true }).catch(() => undefined); // a full disk, or a QEMU that dies
    return asSuiteError(error).message;
  }
}

/**
 * What the machine of a test is made of.
 * @param cpus processors that the test asks for: it had the machine with the fewest that are enough
 * @throws ARTIFACT_GONE when the run did not write it down or it was pruned
 */
export async function readKeptTarget(runDir: string, target: string, cpus = 1): Promise<KeptTarget> {
  const dir = keptDir(runDir, target);
  const known = (await readdir(dir).catch(() => [])).flatMap((name) => /^cpus-(\d+)\.json$/.exec(name)?.[1] ?? []).map(Number).sort((a, b) => a - b);
  const fitting = known.find((count) => count >= cpus) ?? known.at(-1);
  // the name without a number is that of older runs, all of whose machines were equal
  const path = fitting === undefined ? join(dir, "target.json") : targetFile(runDir, target, fitting);
  if ((await stat(path).catch(() => null)) === null) throw new SuiteError("ARTIFACT_GONE", `${dir} tells nothing of its machines: the run was pruned, or its target never came up`);
  return readJson(path, targetSchema);
}

/** The kept machine of a test, or null when there is none. @throws FILE_INVALID */
export async function keptMachineOf(runDir: string, target: string, test: string): Promise<{ readonly dir: string; readonly at: string } | null> {
  const dir = keptDir(runDir, target, test);
  if ((await stat(join(dir, "kept.json")).catch(() => null)) === null) return null;
  const { at } = await readJson(join(dir, "kept.json"), machineSchema);
  return { dir, at };
}

/**
 * A machine of the target: the kept one of a test, or a fresh clone of the template. What is written in it is thrown away.
 * @param dir of the kept machine; null: a fresh clone
 * @throws ARTIFACT_GONE naming each file that is missing or was made anew; what cloning throws
 */
export async function openKept(kept: KeptTarget, dir: string | null, options: CloneOptions & { readonly scratch: string }): Promise<Clone> {
  const { hardware: saved } = kept;
  const arch = ARCHES[saved.arch];
  const version = await qemuVersionOf(arch);
  if (version !== kept.qemu) throw new SuiteError("ARTIFACT_GONE", `the machine was frozen by ${kept.qemu}, and this host has ${version}: another QEMU cannot take its state`);
  const { kernel, initrd } = saved;
  const needed = [kernel, ...(initrd === undefined ? [] : [initrd]), kept.image, ...(dir === null ? Object.values(kept.frozen) : [])];
  const gone: string[] = [];
  for (const file of needed) {
    const found = await stat(file.path).catch(() => null);
    if (found === null) gone.push(`${file.path} is gone`);
    else if (found.size !== file.sizeBytes || found.mtimeMs !== file.mtimeMs) gone.push(`${file.path} was made anew since`);
  }
  if (gone.length > 0) throw new SuiteError("ARTIFACT_GONE", `the cache no longer has what this machine of ${kept.target} is made of: ${gone[0] ?? ""}${gone.length === 1 ? "" : `, and ${gone.length - 1} more`}`, { details: gone.join("\n") });
  const hardware: Hardware = { arch, accel: saved.accel, memoryMb: saved.memoryMb, cpus: saved.cpus, kernel: kernel.path, ...(initrd === undefined ? {} : { initrd: initrd.path }), kernelLine: saved.kernelLine };
  const files =
    dir === null
      ? { ram: kept.frozen.ram.path, disk: kept.frozen.disk.path, stateFile: kept.frozen.state.path }
      : { ram: await emptyRam(options.scratch, saved.memoryMb), disk: join(dir, "disk.qcow2"), stateFile: join(dir, "state") };
  return startClone(files, hardware, options);
}

/** Memory that a saved state is loaded into whole. */
async function emptyRam(scratch: string, memoryMb: number): Promise<string> {
  const path = join(scratch, "ram");
  await using file = await open(path, "w");
  await file.truncate(memoryMb * 1024 * 1024);
  return path;
}

function targetFile(runDir: string, target: string, cpus: number): string {
  return join(keptDir(runDir, target), `cpus-${cpus}.json`);
}

async function describeFile(path: string): Promise<z.infer<typeof fileSchema>> {
  const { size, mtimeMs } = await stat(path);
  return { path, sizeBytes: size, mtimeMs };
}
