import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BENCH_PATH, cpio } from "../../vm-images/index.ts";
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
  /** Archive that the kernel unpacks: the program that is process 1, and what it is linked with. */
  readonly root: string;
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

/** `LOG_PREFIX` of vm-images/bench/init.c, behind what the console puts in front of a line. */
const FIGURE = /^<\d+>\[[^\]]*\] bench: (\{.*\})\r?$/gm;
/** Name of the module in the archive. */
const MODULE = "module.ko";
const MEMORY_MB = 1024;
const LOOK_EVERY_MS = 1000;
/**
 * No random numbers of the host; and no `rep movsb`, which icount counts byte by byte while hardware moves 32 bytes and more a
 * cycle: without it the kernel moves 8 bytes an instruction, the nearest to hardware that this emulation has.
 */
const STEADY_CPU: Partial<Record<ArchRow["id"], string>> = { x86_64: "max,erms=off,fsrm=off,rdrand=off,rdseed=off" };
/** Boards of one version, so that a newer QEMU counts the same; what QEMU tells a kernel by itself has no random seeds in it. */
const STEADY_MACHINE: Readonly<Record<ArchRow["id"], string>> = { x86_64: "pc-q35-7.1", arm64: "virt-7.1,dtb-randomness=off", arm: "virt-7.1,dtb-randomness=off" };
/** 2^1 ns an instruction; the clock jumps over idle time, and nothing in the machine reads the host's clock. */
const STEADY = ["-icount", "shift=1,sleep=off", "-rtc", "base=2026-01-01,clock=vm"] as const;

/**
 * Boots straight into the program, as process 1 of a machine whose clock counts instructions. It has memory, a processor and a
 * serial line and nothing else: no disk, network, entropy device, agent or systemd. So nothing in it waits for the host, and two
 * boots are equal to the last instruction.
 * @returns what the program printed
 * @throws VM_START_FAILED | KERNEL_BOOT_FAILED | MODULE_LOAD_FAILED with the console in the details; COMMAND_FAILED when it took too long
 */
export async function runSteady(guest: BareGuest, words: readonly string[], ctx: BareContext): Promise<string> {
  await mkdir(ctx.dir, { recursive: true });
  const initrd = await makeInitrd(guest, ctx.dir);
  const consoleLog = join(ctx.dir, "console.log");
  await rm(consoleLog, { force: true });
  const module = guest.moduleKo === null ? "none" : `/${MODULE}`;
  const line = kernelLine(guest.target, ["nokaslr", "norandmaps", "random.trust_cpu=off", "random.trust_bootloader=off", `rdinit=${BENCH_PATH}`, "--", "init", module, ...words.map((word) => `"${word}"`)]);
  const seen = (): Promise<string> => readFile(consoleLog, "utf8").catch(() => "");
  const look = setInterval(() => void seen().then((log) => ctx.onOutput?.(figuresIn(log))), LOOK_EVERY_MS);
  try {
    await exec(["taskset", "--cpu-list", await lastProcessor(), ...steadyArgv(guest, { name: `${runPrefix(ctx.runId)}steady`, initrd, consoleLog, line })], { timeoutMs: ctx.limitMs, signal: ctx.signal, code: "VM_START_FAILED", env: { TMPDIR: ctx.dir } });
  } finally {
    clearInterval(look);
  }
  const log = await seen();
  const text = figuresIn(log);
  ctx.onOutput?.(text);
  const failed = /^\{"failed":"(.*)"\}$/m.exec(text)?.[1];
  const details = log.split("\n").slice(-60).join("\n");
  if (failed !== undefined) throw new SuiteError("MODULE_LOAD_FAILED", `the bare guest could not begin: ${failed}`, { details });
  if (text === "") throw new SuiteError("KERNEL_BOOT_FAILED", `the bare guest ended without a word; if ${guest.kernel} was built without BLK_DEV_INITRD, build it with that option`, { details });
  return text;
}

/**
 * The last processor of the host that this process may use. QEMU's main loop moves the clock over idle time once the guest's
 * processor has halted. On another processor of the host it can see that before the instructions run until then are counted;
 * the clock is then some of them too late, which was seen once a minute.
 */
async function lastProcessor(): Promise<string> {
  const status = await readFile("/proc/self/status", "utf8");
  return /^Cpus_allowed_list:.*?(\d+)$/m.exec(status)?.[1] ?? "0";
}

function figuresIn(log: string): string {
  return [...log.matchAll(FIGURE)].map(([, figure]) => `${figure}\n`).join("");
}

function steadyArgv(guest: BareGuest, own: { readonly name: string; readonly initrd: string; readonly consoleLog: string; readonly line: string }): [string, ...string[]] {
  const { arch } = guest.target;
  return [
    arch.qemu.binary,
    ...["-name", own.name],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-machine", STEADY_MACHINE[arch.id], "-accel", "tcg,thread=single", "-cpu", STEADY_CPU[arch.id] ?? arch.qemu.cpu],
    ...STEADY,
    ...["-smp", "1", "-m", String(MEMORY_MB)],
    ...["-kernel", guest.kernel, "-initrd", own.initrd, "-append", own.line],
    ...["-chardev", `file,id=console,path=${own.consoleLog.replaceAll(",", ",,")}`, "-serial", "chardev:console"],
  ];
}

/** The kernel unpacks archives that lie one behind the other: the root, which all targets of an architecture share, and the module. */
async function makeInitrd(guest: BareGuest, dir: string): Promise<string> {
  const path = join(dir, "initrd");
  const parts = [await readFile(guest.root)];
  if (guest.moduleKo !== null) parts.push(Buffer.from(cpio([{ path: MODULE, mode: 0o644, data: await readFile(guest.moduleKo) }])));
  await writeFile(path, Buffer.concat(parts));
  return path;
}
