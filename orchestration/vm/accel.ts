import { constants } from "node:fs";
import { access, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { SuiteError } from "../base/errors.ts";
import { exec, killGroup, spawnTied } from "../base/exec.ts";
import { writeJson } from "../base/json-file.ts";
import { cacheDir } from "../base/paths.ts";
import { silent, type Progress } from "../base/progress.ts";
import { isNative, type ArchRow } from "../target/arches.ts";
import { PROBE_GUESTS, type ProbeGuest } from "./qemu/probe-guest.ts";

export interface Accel {
  readonly kind: "kvm" | "tcg";
  /** Why it is this one, for people. */
  readonly why: string;
  /** Time the probe took; 0 when the answer came from the cache. */
  readonly probeMs: number;
  /** How much slower a guest runs than with hardware acceleration; all time limits are multiplied by it. */
  readonly slowdown: number;
  readonly qemuVersion: string;
}

export interface AccelContext {
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
}

/** A working KVM boots the guest in a tenth of this; a hanging one must not hold up a run. */
const KVM_DEADLINE_MS = 4_000;
const TCG_DEADLINE_MS = 60_000;
/** When the speed could not be measured: a loaded host of the kind this was developed on. */
const DEFAULT_TCG_SLOWDOWN = 12;
/** A loop is friendlier to emulation than a kernel: page faults, system calls and new code cost more than its ratio says. */
const LEAST_TCG_SLOWDOWN = 8;
const MOST_TCG_SLOWDOWN = 40;
const PROBES = 3;

const cacheSchema = z.object({
  key: z.string(),
  kind: z.enum(["kvm", "tcg"]),
  why: z.string(),
  slowdown: z.number(),
});

/** Targets of a matrix ask at the same time; two probes at once would measure each other. */
const asked = new Map<string, Promise<Accel>>();

/**
 * Finds what accelerates guests of this architecture by booting a tiny one: the existence of /dev/kvm proves nothing,
 * some hosts open it and create machines whose guests hang. The answer is kept until host boot, QEMU or node change.
 * BUSLAB_ACCEL=kvm|tcg|auto overrides.
 * @throws HOST_TOOL_MISSING without QEMU; CONFIG_INVALID for another BUSLAB_ACCEL; VM_START_FAILED when kvm is demanded and does not work
 */
export async function findAccel(arch: ArchRow, ctx: AccelContext = {}): Promise<Accel> {
  const known = asked.get(arch.id);
  if (known !== undefined) return known;
  const answer = lookFor(arch, ctx).finally(() => asked.delete(arch.id));
  asked.set(arch.id, answer);
  return answer;
}

async function lookFor(arch: ArchRow, ctx: AccelContext): Promise<Accel> {
  const wanted = process.env["BUSLAB_ACCEL"] ?? "auto";
  if (!["auto", "kvm", "tcg"].includes(wanted)) throw new SuiteError("CONFIG_INVALID", `BUSLAB_ACCEL is "${wanted}"; it may be auto, kvm or tcg`);
  const qemuVersion = await qemuVersionOf(arch);
  const node = await kvmNode();
  const cacheFile = join(cacheDir(), `accel-${arch.id}.json`);
  const key = [await bootId(), qemuVersion, node, wanted].join(" | ");
  const cached = await readCache(cacheFile, key);
  if (cached !== undefined) return { ...cached, probeMs: 0, qemuVersion };

  const step = (ctx.progress ?? silent).step("accelerator");
  const started = performance.now();
  const answer = await decide(arch, wanted, node, (message) => step.update(message), ctx.signal);
  const probeMs = Math.round(performance.now() - started);
  await writeJson(cacheFile, { key, ...answer }).catch(() => undefined); // a full or read-only cache costs a second a run
  step.done(`${answer.kind}, because ${answer.why}`);
  return { ...answer, probeMs, qemuVersion };
}

/** First line of `qemu-system-… --version`. @throws HOST_TOOL_MISSING naming the package */
export async function qemuVersionOf(arch: ArchRow): Promise<string> {
  try {
    const { stdout } = await exec([arch.qemu.binary, "--version"], { timeoutMs: 20_000 });
    return stdout.split("\n")[0] ?? "";
  } catch (error) {
    throw new SuiteError("HOST_TOOL_MISSING", `${arch.qemu.binary} cannot be run; install the package ${arch.qemu.package}`, { cause: error });
  }
}

type Answer = Pick<Accel, "kind" | "why" | "slowdown">;

async function decide(arch: ArchRow, wanted: string, node: string, say: (message: string) => void, signal?: AbortSignal): Promise<Answer> {
  const kvm = wanted === "tcg" ? { works: false as const, why: "BUSLAB_ACCEL=tcg asks for it" } : await tryKvm(arch, node, say, signal);
  if (kvm.works) return { kind: "kvm", why: kvm.why, slowdown: 1 };
  if (wanted === "kvm") throw new SuiteError("VM_START_FAILED", `BUSLAB_ACCEL=kvm, but ${kvm.why}`);
  say("measuring emulation");
  const guest = PROBE_GUESTS[arch.id];
  if (guest === undefined) return { kind: "tcg", why: kvm.why, slowdown: DEFAULT_TCG_SLOWDOWN };
  const probe = (): Promise<ProbeResult> => runProbe(arch, guest, "tcg", TCG_DEADLINE_MS, signal);
  const fastest = await fastestLoop(probe, guest.nativeLoopMs * LEAST_TCG_SLOWDOWN);
  if (!fastest.works) throw new SuiteError("VM_START_FAILED", `neither KVM nor emulation runs a guest: ${kvm.why}; ${fastest.why}`);
  return { kind: "tcg", why: kvm.why, slowdown: Math.min(MOST_TCG_SLOWDOWN, Math.max(LEAST_TCG_SLOWDOWN, Math.round(fastest.loopMs / guest.nativeLoopMs))) };
}

/**
 * The answer is kept until the host boots again and multiplies every time limit, so what else ran during one probe must
 * not count: the fastest of PROBES is taken, and no more are made once one is as fast as any answer says.
 */
export async function fastestLoop(probe: () => Promise<ProbeResult>, fastEnoughMs: number): Promise<ProbeResult> {
  let fastest = await probe();
  for (let made = 1; made < PROBES && fastest.works && fastest.loopMs > fastEnoughMs; made++) {
    const next = await probe();
    if (next.works && next.loopMs < fastest.loopMs) fastest = next;
  }
  return fastest;
}

async function tryKvm(arch: ArchRow, node: string, say: (message: string) => void, signal?: AbortSignal): Promise<{ works: boolean; why: string }> {
  if (!isNative(arch)) return { works: false, why: `this host (${process.arch}) does not run ${arch.id} code itself` };
  if (node !== "usable") return { works: false, why: `/dev/kvm is ${node}` };
  const guest = PROBE_GUESTS[arch.id];
  if (guest === undefined) return { works: false, why: `there is no guest to try KVM with on ${arch.id}` };
  say("booting a tiny guest with KVM");
  const result = await runProbe(arch, guest, "kvm", KVM_DEADLINE_MS, signal);
  return result.works ? { works: true, why: `a tiny guest ran with KVM in ${Math.round(result.totalMs)} ms` } : { works: false, why: `/dev/kvm opens, but ${result.why}` };
}

export type ProbeResult = { readonly works: true; readonly loopMs: number; readonly totalMs: number } | { readonly works: false; readonly why: string };

/** Boots the tiny guest once; every way to fail is an answer, not an exception. */
export async function runProbe(arch: ArchRow, guest: ProbeGuest, kind: "kvm" | "tcg", deadlineMs: number, signal?: AbortSignal): Promise<ProbeResult> {
  const folder = await mkdtemp(join(tmpdir(), "buslab-probe-"));
  try {
    const disk = join(folder, "probe.img");
    await writeFile(disk, guest.disk);
    const started = performance.now();
    const child = spawnTied(
      [
        arch.qemu.binary,
        ...["-name", "buslab-probe", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
        ...["-accel", kind, "-cpu", kind === "kvm" ? "host" : arch.qemu.cpu],
        ...guest.argv(disk),
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    let printed = "";
    let complaint = "";
    const markedAt = [0, 0];
    child.stdout?.on("data", (chunk: Buffer) => {
      printed += chunk.toString("latin1");
      guest.marks.forEach((mark, index) => {
        if (markedAt[index] === 0 && printed.includes(mark)) markedAt[index] = performance.now();
      });
    });
    child.stderr?.on("data", (chunk: Buffer) => (complaint += chunk.toString()));
    let expired = false;
    const end = (): void => {
      expired = true;
      killGroup(child);
    };
    const timer = setTimeout(end, deadlineMs);
    signal?.addEventListener("abort", end, { once: true });
    const ended = await new Promise<{ code: number | null; signal: string | null }>((resolve) => {
      child.once("error", () => resolve({ code: 127, signal: null }));
      child.once("close", (code, name) => resolve({ code, signal: name }));
    });
    clearTimeout(timer);
    signal?.removeEventListener("abort", end);
    if (ended.code === guest.exitCode) return { works: true, loopMs: (markedAt[1] ?? 0) - (markedAt[0] ?? 0), totalMs: performance.now() - started };
    const says = complaint.trim().split("\n").filter((line) => !/ warning: /.test(line))[0];
    const said = says === undefined ? "" : ` (${says.replace(/^qemu-system-\S+: /, "")})`;
    if (expired) return { works: false, why: `a tiny guest with ${kind} ${printed.includes(guest.marks[0]) ? "ran but did not end" : "hung"} for ${deadlineMs} ms${said}` };
    return { works: false, why: `QEMU with ${kind} ${ended.signal === null ? `ended with exit code ${ended.code ?? "?"}` : `died of ${ended.signal}`}${said}` };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function kvmNode(): Promise<string> {
  try {
    await access("/dev/kvm", constants.R_OK | constants.W_OK);
    return "usable";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? "absent" : "not open to this user";
  }
}

async function bootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "unknown")).trim();
}

async function readCache(path: string, key: string): Promise<Answer | undefined> {
  try {
    const { key: known, ...answer } = cacheSchema.parse(JSON.parse(await readFile(path, "utf8")));
    return known === key ? answer : undefined;
  } catch {
    return undefined; // absent, torn or of an older form: measured again
  }
}
