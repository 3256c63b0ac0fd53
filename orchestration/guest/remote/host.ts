import { appendFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { nowMs, type Limits } from "../../base/deadline.ts";
import { asSuiteError, SuiteError } from "../../base/errors.ts";
import { exec } from "../../base/exec.ts";
import { SshSession, type SshAccess, type SshStream } from "../ssh.ts";
import { consoleLine, type ConsoleCommand } from "./console.ts";
import { leaveScript, PROBE, PROBE_NATIVE_MS, renewScript } from "./steps.ts";

export interface RemoteFacts {
  readonly machine: string;
  readonly cpus: number;
  readonly release: string;
  readonly boot: string;
  readonly lsm: string;
  readonly taint: number;
  /** How much slower it is than hardware; all time limits are multiplied by it. */
  readonly slowdown: number;
}

export interface RemoteOptions {
  readonly access: Omit<SshAccess, "deadlineMs">;
  readonly runId: string;
  /** A static agent of the machine's architecture. */
  readonly agent: string;
  readonly module: { readonly name: string; readonly file: string } | null;
  /** Command of this host that reboots the machine; null: it comes back by itself or not at all. */
  readonly reboot: string | null;
  readonly console: ConsoleCommand | null;
  readonly limits: Limits;
  readonly signal: AbortSignal;
}

/** Where the agent may lie: the first that lets a program run. Many systems mount /run without that. */
const BASES = ["/run", "/var/tmp", "/root"] as const;

function folderIn(base: string, runId: string): string {
  return `${base}/buslab-${runId}`;
}

/** From the panic of a board to a login again. */
const REBOOT_MS = 600_000;
/** A machine whose contact is lost and that nobody reboots may come back by itself within this. */
const REGAIN_MS = 60_000;

/** A machine that is not ours to boot, reached through ssh channels alone. */
export class RemoteHost implements AsyncDisposable {
  readonly options: RemoteOptions;
  /** Folder of ours there. */
  dir: string;
  boot = "";
  /** Takes what the kernel logs; the lines of before a test had the machine go nowhere. */
  sink: ((line: string) => void) | null = null;
  #session: SshSession | null = null;
  #kmsg: SshStream | null = null;
  #ready = false;

  constructor(options: RemoteOptions) {
    this.options = options;
    this.dir = folderIn(BASES[0], options.runId);
  }

  /** Looks at a machine before anything is brought there. @throws SSH_FAILED | CONFIG_INVALID */
  static async probe(access: Omit<SshAccess, "deadlineMs">): Promise<RemoteFacts> {
    await using session = await SshSession.open({ ...access, deadlineMs: 60_000 });
    return factsOf(await session.exec(PROBE, { deadlineMs: 60_000 }).then(({ stdout }) => stdout), access);
  }

  /** A connection that answers; a new one when the last is gone. @throws SSH_FAILED */
  async session(deadlineMs = this.options.limits.ms(5_000)): Promise<SshSession> {
    if (this.#session !== null) return this.#session;
    const session = await SshSession.open({ ...this.options.access, deadlineMs });
    this.#session = session;
    void session.closed.then(() => {
      if (this.#session === session) this.#session = null;
    });
    return session;
  }

  /**
   * Makes the machine ready for a test: reached, on a kernel that is not marked by the test before, with a domain of its own.
   * @returns taint of its kernel
   * @throws VM_START_FAILED when it cannot be reached or cleaned and nobody can reboot it; MODULE_LOAD_FAILED
   */
  async renew(): Promise<number> {
    for (let tries = 0; ; tries += 1) {
      const trouble = await this.#tryRenew();
      if (typeof trouble === "number") return trouble;
      this.#ready = false;
      if (this.options.signal.aborted) throw new SuiteError("INTERRUPTED", "interrupted while the machine was made ready");
      if (this.options.reboot === null || tries > 0) throw new SuiteError("VM_START_FAILED", `${this.options.access.host} is not fit for a further test: ${trouble}${this.options.reboot === null ? "; with --reboot COMMAND it would be rebooted" : " although it was rebooted"}`);
      await this.#reboot();
    }
  }

  /** The boot that is running now, by a connection of its own; null when it does not answer. */
  async bootNow(deadlineMs: number): Promise<string | null> {
    try {
      await using session = await SshSession.open({ ...this.options.access, deadlineMs });
      return (await session.exec("cat /proc/sys/kernel/random/boot_id", { deadlineMs })).stdout.trim();
    } catch {
      return null;
    }
  }

  /** Asks the kernel for its tasks by a connection of its own. */
  async sysrq(keys: string): Promise<boolean> {
    const deadlineMs = this.options.limits.ms(2_000);
    try {
      await using session = await SshSession.open({ ...this.options.access, deadlineMs });
      for (const key of keys) await session.exec(`echo ${key} > /proc/sysrq-trigger`, { deadlineMs });
      return true;
    } catch {
      return false;
    }
  }

  /** Drops the connection: what is there now says nothing any more. */
  forget(): void {
    this.#session?.close();
    this.#session = null;
    this.#kmsg = null;
    this.#ready = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const session = await this.session(5_000).catch(() => null);
    await session?.exec(leaveScript(this.dir, this.options.module?.name ?? null), { deadlineMs: 20_000 }).catch(() => undefined);
    this.forget();
  }

  async #tryRenew(): Promise<number | string> {
    try {
      const session = await this.#reach();
      if (!this.#ready) await this.#bring(session);
      const deadlineMs = this.options.limits.ms(4_000);
      const { exitCode, stdout } = await session.exec(renewScript(this.dir, this.options.module === null ? null : { name: this.options.module.name, file: `${this.dir}/module.ko` }), { deadlineMs });
      const said = stdout.trim().split("\n").at(-1) ?? "";
      if (exitCode === 4) throw new SuiteError("MODULE_LOAD_FAILED", `${this.options.module?.name ?? "the bus"} cannot be brought up on ${this.options.access.host}: ${said}`);
      if (exitCode === 5) throw new SuiteError("CONFIG_INVALID", `${this.options.access.host}: ${said}; give --module`);
      if (exitCode !== 0) return said === "" ? `cleaning it ended with ${exitCode ?? "a signal"}` : said;
      return Number(said);
    } catch (error) {
      const named = asSuiteError(error);
      if (named.code !== "SSH_FAILED") throw named;
      this.forget();
      return named.message;
    }
  }

  /** Connected, after a wait for a machine that reboots by itself. */
  async #reach(): Promise<SshSession> {
    const deadline = nowMs() + REGAIN_MS;
    for (;;) {
      try {
        return await this.session();
      } catch (error) {
        if (this.boot === "" || nowMs() > deadline || this.options.signal.aborted) throw error;
        await delay(1_000);
      }
    }
  }

  /** Agent, module and the kernel's log; all in memory of the machine, so gone with its next boot. */
  async #bring(session: SshSession): Promise<void> {
    const deadlineMs = this.options.limits.ms(10_000);
    const put = async (local: string, name: string, mode: string): Promise<void> => {
      const { exitCode, stderr } = await session.exec(`umask 077; mkdir -p ${this.dir} && rm -f ${this.dir}/${name} && cat > ${this.dir}/${name} && chmod ${mode} ${this.dir}/${name}`, { stdin: await readFile(local), deadlineMs });
      if (exitCode !== 0) throw new SuiteError("SSH_FAILED", `${name} cannot be written to ${this.dir} of ${this.options.access.host}: ${stderr.trim()}`);
    };
    let ran = false;
    for (const base of BASES) {
      this.dir = folderIn(base, this.options.runId);
      await put(this.options.agent, "agent", "755");
      ran = (await session.exec(`${this.dir}/agent --version`, { deadlineMs })).exitCode === 0;
      if (ran) break;
      await session.exec(`rm -rf ${this.dir}`, { deadlineMs });
    }
    if (!ran) throw new SuiteError("CONFIG_INVALID", `the guest agent does not run on ${this.options.access.host}: neither from ${BASES.join(" nor ")}`);
    if (this.options.module !== null) await put(this.options.module.file, "module.ko", "600");
    this.boot = (await session.exec("cat /proc/sys/kernel/random/boot_id", { deadlineMs })).stdout.trim();
    this.#kmsg = await session.stream("exec cat /dev/kmsg");
    let rest = "";
    this.#kmsg.channel.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines.map(consoleLine)) if (line !== null) this.sink?.(line);
    });
    this.#ready = true;
  }

  async #reboot(): Promise<void> {
    const before = this.boot;
    this.forget();
    await exec(["sh", "-c", this.options.reboot ?? "false"], { timeoutMs: REBOOT_MS, signal: this.options.signal, code: "VM_START_FAILED" });
    const deadline = nowMs() + REBOOT_MS;
    for (;;) {
      const boot = await this.bootNow(this.options.limits.ms(2_000));
      if (boot !== null && boot !== before) return;
      if (nowMs() > deadline || this.options.signal.aborted) throw new SuiteError("VM_START_FAILED", `${this.options.access.host} did not come back within ${REBOOT_MS / 1000} s after ${this.options.reboot ?? ""}`);
      await delay(1_000);
    }
  }
}

/** Adds a line to a console file. */
export function appendLine(path: string, line: string): void {
  try {
    appendFileSync(path, `${line}\n`);
  } catch {
    // a full disk: the mark at the end will be missing, and the console counts as not read
  }
}

/** @throws CONFIG_INVALID for an account that is not root */
export function factsOf(text: string, access: Pick<SshAccess, "user" | "host">): RemoteFacts {
  const facts = new Map([...text.matchAll(/^(\w+)=(.*)$/gm)].map(([, name = "", value = ""]) => [name, value.trim()]));
  const of = (name: string): string => facts.get(name) ?? "";
  if (of("uid") !== "0") throw new SuiteError("CONFIG_INVALID", `${access.user}@${access.host} has uid ${of("uid") || "unknown"}; the suite needs root there`);
  const loopMs = (Number(of("to")) - Number(of("from"))) * 1000;
  return { machine: of("machine"), cpus: Number(of("cpus")) || 1, release: of("release"), boot: of("boot"), lsm: of("lsm"), taint: Number(of("taint")), slowdown: Math.min(40, Math.max(2, Math.round(loopMs / PROBE_NATIVE_MS))) };
}
