import { copyFile, mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { requireProgram } from "../../vm-images/tools.ts";
import { SuiteError } from "../base/errors.ts";
import { exec } from "../base/exec.ts";
import type { ArchRow } from "../target/arches.ts";
import type { Target } from "../target/target-id.ts";
import { kernelLine } from "../vm/kernel-line.ts";
import { runPrefix } from "../vm/run-name.ts";

export interface BareGuest {
  readonly target: Target;
  /** Kernel image file. */
  readonly kernel: string;
  /** Root file system of the target's image, for its libraries and daemons. */
  readonly disk: string;
  /** The program that is process 1. */
  readonly program: string;
  /** Module file; null: the kernel has the bus. */
  readonly moduleKo: string | null;
}

export interface BareContext {
  readonly runId: string;
  readonly dir: string;
  readonly limitMs: number;
  readonly signal: AbortSignal;
  /** Called now and then with what was printed so far. */
  readonly onOutput?: (text: string) => void;
}

const PORT = "buslab.bench";
const MEMORY_MB = 1024;
const LOOK_EVERY_MS = 1000;
/**
 * No random numbers of the host; and no `rep movsb`, which icount counts byte by byte while hardware moves 32 bytes and more a
 * cycle: without it the kernel moves 8 bytes an instruction, the nearest to hardware that this emulation has.
 */
const STEADY_CPU: Partial<Record<ArchRow["id"], string>> = { x86_64: "max,erms=off,fsrm=off,rdrand=off,rdseed=off" };
/** 2^1 ns an instruction; the clock jumps over idle time, and nothing in the machine reads the host's clock. */
const STEADY = ["-icount", "shift=1,sleep=off", "-rtc", "base=2026-01-01,clock=vm"] as const;

/**
 * Boots straight into the program, as process 1 of a machine without network, entropy device, agent or systemd, whose clock counts
 * instructions. @returns what the program printed
 * @throws VM_START_FAILED | KERNEL_BOOT_FAILED | MODULE_LOAD_FAILED with the console in the details; COMMAND_FAILED when it took too long
 */
export async function runSteady(guest: BareGuest, words: readonly string[], ctx: BareContext): Promise<string> {
  await mkdir(ctx.dir, { recursive: true });
  const tools = await makeToolsDisk(guest, ctx.dir);
  const consoleLog = join(ctx.dir, "console.log");
  const module = guest.moduleKo === null ? "none" : "/mnt/module.ko";
  const inside = `mount -t ext4 -o ro /dev/vdb /mnt && exec /mnt/bench init ${module} ${PORT} ${words.join(" ")}`;
  const line = kernelLine(guest.target, ["nokaslr", "norandmaps", "random.trust_cpu=off", "init=/bin/sh", "--", "-c", `"${inside}"`]);
  // a file and not QEMU's standard output: that one is a pair with its standard input, whose end would disconnect the guest's port
  const output = join(ctx.dir, "figures.jsonl");
  await rm(output, { force: true });
  const printed = (): Promise<string> => readFile(output, "utf8").catch(() => "");
  const look = setInterval(() => void printed().then((text) => ctx.onOutput?.(text)), LOOK_EVERY_MS);
  try {
    await exec(steadyArgv(guest, { name: `${runPrefix(ctx.runId)}steady`, tools, consoleLog, output, line }), { timeoutMs: ctx.limitMs, signal: ctx.signal, code: "VM_START_FAILED", env: { TMPDIR: ctx.dir } });
  } finally {
    clearInterval(look);
  }
  const text = await printed();
  ctx.onOutput?.(text);
  const failed = /^\{"failed":"(.*)"\}\r?$/m.exec(text)?.[1];
  const details = (await readFile(consoleLog, "utf8").catch(() => "")).split("\n").slice(-60).join("\n");
  if (failed !== undefined) throw new SuiteError("MODULE_LOAD_FAILED", `the bare guest could not begin: ${failed}`, { details });
  if (text === "") throw new SuiteError("KERNEL_BOOT_FAILED", "the bare guest ended without a word", { details });
  return text;
}

function steadyArgv(guest: BareGuest, own: { readonly name: string; readonly tools: string; readonly consoleLog: string; readonly output: string; readonly line: string }): [string, ...string[]] {
  const { arch } = guest.target;
  const disk = (id: string, path: string, options: string): string[] => [
    ...["-drive", `file=${path.replaceAll(",", ",,")},format=raw,if=none,id=${id},${options}`],
    ...["-device", `virtio-blk${arch.qemu.deviceSuffix},drive=${id}`],
  ];
  const file = (id: string, path: string): string => `file,id=${id},path=${path.replaceAll(",", ",,")}`;
  return [
    arch.qemu.binary,
    ...["-name", own.name],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-machine", arch.qemu.machine, "-accel", "tcg,thread=single", "-cpu", STEADY_CPU[arch.id] ?? arch.qemu.cpu],
    ...STEADY,
    ...["-smp", "1", "-m", String(MEMORY_MB)],
    ...["-kernel", guest.kernel, "-append", own.line],
    ...disk("root", guest.disk, "snapshot=on"),
    ...disk("tools", own.tools, "readonly=on"),
    ...["-device", `virtio-serial${arch.qemu.deviceSuffix}`],
    ...["-chardev", file("out", own.output), "-device", `virtserialport,chardev=out,name=${PORT}`],
    ...["-chardev", file("console", own.consoleLog), "-serial", "chardev:console"],
  ];
}

/** What the image lacks: program and module, on a small disk of their own. */
async function makeToolsDisk(guest: BareGuest, dir: string): Promise<string> {
  const folder = join(dir, "tools");
  const disk = join(dir, "tools.ext4");
  await mkdir(folder, { recursive: true });
  await copyFile(guest.program, join(folder, "bench"));
  if (guest.moduleKo !== null) await copyFile(guest.moduleKo, join(folder, "module.ko"));
  const mke2fs = await requireProgram("mke2fs", "e2fsprogs");
  await exec([mke2fs, "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d", folder, disk, "32m"]);
  return disk;
}
