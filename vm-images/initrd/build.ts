import { copyFile, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { exec } from "../../orchestration/base/exec.ts";
import { ROOT } from "../../orchestration/base/paths.ts";
import type { ArchRow } from "../../orchestration/target/arches.ts";
import type { BuildContext } from "../cache.ts";
import { toolchainOf } from "../toolchain.ts";
import { crossPrefix, requireProgram } from "../tools.ts";
import { cpio, type CpioEntry } from "./cpio.ts";
import { loadOrder, moduleName, readModuleTable, type ModuleTable } from "./module-order.ts";

/** Sources of the disk's one program; part of a key. */
export const INIT_SOURCE = "vm-images/initrd/init.c";

/** Without these no machine of ours finds its root file system or its agent. */
const NEEDED = ["virtio_blk", "virtio_console", "ext4"];
/** Loaded where the kernel has them: for ext4's check sums, for systemd, for what tests use. */
const WELCOME = ["crc32c_generic", "crc32c_intel", "virtio_net", "virtio_rng", "autofs4", "fuse", "overlay", "binder_linux", "rtc_pl031"];

const PACKED: Readonly<Record<string, readonly [string, string]>> = { xz: ["xz", "xz-utils"], zst: ["zstd", "zstd"], gz: ["gzip", "gzip"] };

export interface InitrdJob {
  readonly arch: ArchRow;
  /** The folder `/lib/modules/RELEASE` of the kernel. */
  readonly modules: string;
  readonly release: string;
  /** How the kernel is called in messages. */
  readonly shown: string;
}

/**
 * Writes the initial RAM disk of a kernel whose drivers are modules: a static program of ours and the modules that a machine
 * needs, in an order in which they can be loaded. Needs no root.
 * @returns names of the modules in it; none: the kernel has all built in and needs no such disk
 * @throws KERNEL_SPEC_INVALID naming the driver that the kernel has in neither form; COMMAND_FAILED
 */
export async function buildInitrd(job: InitrdJob, out: string, ctx: BuildContext): Promise<readonly string[]> {
  const work = `${out}.work`;
  await mkdir(work);
  try {
    const table = await tableOf(job, work, ctx);
    const transport = job.arch.qemu.deviceSuffix === "-pci" ? "virtio_pci" : "virtio_mmio";
    const missing = [transport, ...NEEDED].find((name) => !table.builtin.has(name) && !table.paths.has(name));
    if (missing !== undefined) {
      throw new SuiteError("KERNEL_SPEC_INVALID", `${job.shown} has the driver ${missing} neither built in nor among its modules, so it finds no disk here; build it with ${missing.toUpperCase()} on`);
    }
    // A driver's check-sum code is asked for by name at run time, too late for an initial RAM disk: it goes first.
    const [sums, rest] = [WELCOME.slice(0, 2), WELCOME.slice(2)];
    const order = loadOrder(table, [...sums, transport, ...NEEDED, ...rest]);
    if ([transport, ...NEEDED].every((name) => table.builtin.has(name))) return [];
    const entries: CpioEntry[] = ["dev", "proc", "root", "modules.d"].map((path) => ({ path, mode: 0o755 }));
    entries.push({ path: "init", mode: 0o755, data: await compileInit(job.arch, join(work, "init"), ctx) });
    const names: string[] = [];
    for (const path of order) {
      const name = `modules.d/${moduleName(path)}.ko`;
      entries.push({ path: name, mode: 0o644, data: await unpacked(join(job.modules, path), join(work, "module")) });
      names.push(name);
    }
    entries.push({ path: "modules", mode: 0o644, data: new TextEncoder().encode(names.map((name) => `/${name}\n`).join("")) });
    await writeFile(out, cpio(entries));
    return order.map(moduleName);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** A package's modules come without the table of what needs what: depmod makes it beside them, the folder stays as it is. */
async function tableOf(job: InitrdJob, work: string, ctx: BuildContext): Promise<ModuleTable> {
  const builtin = await readFile(join(job.modules, "modules.builtin"), "utf8").catch(() => "");
  const ready = await readFile(join(job.modules, "modules.dep"), "utf8").catch(() => undefined);
  if (ready !== undefined) return readModuleTable(ready, builtin);
  const folder = join(work, "base/lib/modules", job.release);
  await mkdir(folder, { recursive: true });
  await symlink(join(job.modules, "kernel"), join(folder, "kernel"));
  for (const name of ["modules.order", "modules.builtin", "modules.builtin.modinfo"]) await copyFile(join(job.modules, name), join(folder, name)).catch(() => undefined);
  const depmod = await requireProgram("depmod", "kmod");
  await exec([depmod, "-b", join(work, "base"), job.release], { logFile: join(ctx.logDir, "initrd.log") });
  return readModuleTable(await readFile(join(folder, "modules.dep"), "utf8"), builtin);
}

async function compileInit(arch: ArchRow, to: string, ctx: BuildContext): Promise<Uint8Array> {
  await mkdir(dirname(to), { recursive: true });
  await toolchainOf(ctx).run([`${crossPrefix(arch)}gcc`, "-static", "-s", "-Os", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-o", to, join(ROOT, INIT_SOURCE)], {
    logFile: join(ctx.logDir, "initrd.log"),
  });
  return readFile(to);
}

/** The kernel may not unpack modules itself; what it loads is plain. */
async function unpacked(path: string, scratch: string): Promise<Uint8Array> {
  const packer = PACKED[path.split(".").at(-1) ?? ""];
  if (packer === undefined) return readFile(path);
  const program = await requireProgram(packer[0], packer[1]);
  await exec(["sh", "-c", 'exec "$1" -dc "$2" >"$3"', "sh", program, path, scratch]);
  return readFile(scratch);
}
