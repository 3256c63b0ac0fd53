import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { asSuiteError, SuiteError } from "../../base/errors.ts";
import { printable } from "../../base/exec.ts";
import { race } from "../../base/deadline.ts";
import type { MachineDeath } from "../../record/v1.ts";
import type { Machine } from "../machine.ts";
import { classifyDeath } from "./death.ts";
import { qemuArgv, type Backing, type Hardware } from "./argv.ts";
import { launch, type ForkOptions, type Launched } from "./launcher.ts";
import { Qmp } from "./qmp.ts";

export interface QemuStart {
  /** `buslab-<run>-<label>` */
  readonly name: string;
  /** Folder of this machine: console.log, qemu.log. */
  readonly dir: string;
  /** Short folder for sockets: their paths must stay below 108 bytes. */
  readonly socketDir: string;
  readonly hardware: Hardware;
  readonly ram: Backing["ram"];
  readonly disk: Backing["disk"];
  /** File of a saved device state; the machine starts paused in it. */
  readonly restoreFrom?: string;
  /** A stopped machine with the same hardware, RAM and disk that can be forked, see {@link QemuMachine.forks}; the machine starts paused as its copy. */
  readonly forkOf?: QemuMachine;
  readonly startLimitMs: number;
}

/** Where QEMU prints a CPU's interrupt mask: x86 has an enable bit in its flags, Arm a mask bit in its state. */
const INTERRUPTS = [
  { flags: /\b[RE]FL=([0-9a-f]+)/g, off: (flags: number): boolean => (flags & 0x200) === 0 },
  { flags: /\bPS(?:TATE|R)=([0-9a-f]+)/g, off: (state: number): boolean => (state & 0x80) !== 0 },
];

/**
 * QEMU touches some 15 MiB of small allocations before the guest runs. In huge pages that is a few page faults instead of
 * thousands, which is a third of what a clone costs where faults are dear, as inside a virtual machine.
 * @see glibc manual, Memory Allocation Tunables
 */
const ALLOCATOR = ["hugetlb=1", "arena_max=1", "top_pad=16777216", "trim_threshold=1073741824", "mmap_threshold=1073741824"].map((tunable) => `glibc.malloc.${tunable}`).join(":");

/** A QEMU process with its monitor. */
export class QemuMachine implements Machine {
  readonly name: string;
  readonly pid: number;
  readonly agentSocket: string;
  readonly dead: Promise<MachineDeath>;
  readonly monitor: Qmp;
  readonly commandLine: string;
  consoleLog: string;
  endedByUs = false;
  readonly #launched: Launched;
  readonly #sockets: readonly string[];

  private constructor(name: string, launched: Launched, agentSocket: string, consoleLog: string, commandLine: string, monitor: Qmp, dead: Promise<MachineDeath>, sockets: readonly string[]) {
    this.name = name;
    this.#launched = launched;
    this.pid = launched.pid;
    this.agentSocket = agentSocket;
    this.consoleLog = consoleLog;
    this.commandLine = commandLine;
    this.monitor = monitor;
    this.dead = dead;
    this.#sockets = sockets;
  }

  /**
   * Starts QEMU; resolves when its monitor answers and, for a restore, its state is loaded (still paused).
   * @throws HOST_TOOL_MISSING | VM_START_FAILED with QEMU's own words
   */
  static async start(options: QemuStart): Promise<QemuMachine> {
    await mkdir(options.dir, { recursive: true });
    const label = options.name.split("-").at(-1) ?? "m";
    const agentSocket = join(options.socketDir, `${label}.a`);
    const monitorSocket = join(options.socketDir, `${label}.q`);
    for (const path of [agentSocket, monitorSocket]) {
      if (path.length > 107) throw new SuiteError("VM_START_FAILED", `the socket path ${path} is longer than 107 bytes; set TMPDIR to a shorter folder`);
      await rm(path, { force: true });
    }
    const argv = qemuArgv(options.hardware, { ...options, monitorSocket, agentSocket, restore: options.restoreFrom !== undefined });
    const consoleLog = join(options.dir, "console.log");
    const qemuLog = join(options.dir, "qemu.log");
    const { restoreFrom: input, forkOf: parent } = options;
    const listening = await Qmp.listen(monitorSocket, parent !== undefined);

    // tmpDir: what a clone writes to its disk goes to an unlinked file there, not to a /tmp that may be RAM
    const files = { stdout: consoleLog, stderr: qemuLog, tmpDir: options.dir };
    const launching = parent === undefined ? launch(argv, { ...files, tunables: ALLOCATOR, ...(input === undefined ? {} : { input }) }) : parent.#fork({ ...files, name: options.name, agentSocket, monitorSocket });
    const launched = await launching.catch((error: unknown) => {
      listening.close();
      throw error;
    });

    let shutdownReason: string | undefined;
    let trouble: string | undefined;
    const place = { consoleLog };
    let machine: QemuMachine | undefined;
    const dead = launched.ended.then(async ({ code, signal }) =>
      classifyDeath({
        code,
        signal,
        shutdownReason,
        trouble,
        endedByUs: machine?.endedByUs ?? false,
        console: await tail(machine?.consoleLog ?? place.consoleLog),
        qemuSays: (await tail(qemuLog)).trim(),
      }),
    );
    const diedEarly = dead.then((death): never => {
      throw /failed to execute|ENOENT/.test(death.detail)
        ? new SuiteError("HOST_TOOL_MISSING", `the program ${argv[0]} is not installed (package ${options.hardware.arch.qemu.package})`)
        : new SuiteError("VM_START_FAILED", `QEMU ended while ${options.name} was started: ${death.detail}`, { details: printable(argv) });
    });
    diedEarly.catch(() => undefined);
    try {
      const monitor = await race(listening.connected, {
        deadlineMs: options.startLimitMs,
        code: "VM_START_FAILED",
        what: `start of QEMU for ${options.name}`,
        death: diedEarly,
      }).catch(async (error: unknown) => {
        // a QEMU that dies while it greets closes its monitor a moment before it is reaped; its own words are better
        throw asSuiteError(error).code === "QMP_FAILED" ? await Promise.race([diedEarly, delay(5_000, error, { ref: false })]).catch((death: unknown) => death) : error;
      });
      monitor.onEvent(({ event, data }) => {
        if (event === "SHUTDOWN") shutdownReason = String(data["reason"] ?? "");
        if (event !== "BLOCK_IO_ERROR") return;
        // QEMU would stop the guest and wait for space for ever; ended now, it is told from a hanging kernel
        trouble = `the guest's disk could not be written or read on the host (${data["nospace"] === true ? "no space left" : String(data["reason"] ?? "input/output error")})`;
        launched.kill();
      });
      machine = new QemuMachine(options.name, launched, agentSocket, consoleLog, printable(argv), monitor, dead, [agentSocket, monitorSocket]);
      if (options.restoreFrom !== undefined) {
        await race(machine.#load(), { deadlineMs: options.startLimitMs, code: "VM_START_FAILED", what: `load of the saved state for ${options.name}`, death: diedEarly });
      }
      return machine;
    } catch (error) {
      launched.kill();
      await launched.ended;
      throw error;
    } finally {
      listening.close();
      void dead.then(() => Promise.all([agentSocket, monitorSocket].map((path) => rm(path, { force: true })))).catch(() => undefined);
    }
  }

  /** Whether {@link QemuStart.forkOf} can be this one, once its guest is stopped. */
  get forks(): boolean {
    return this.#launched.fork !== undefined;
  }

  /** Whether QEMU has seen that the agent's last client is gone. */
  async isAlone(): Promise<boolean> {
    const devices = (await this.monitor.send("query-chardev")) as readonly { readonly label: string; readonly filename: string }[];
    return devices.some(({ label, filename }) => label === "agent" && filename.startsWith("disconnected:"));
  }

  #fork(options: ForkOptions): Promise<Launched> {
    if (this.#launched.fork === undefined) return Promise.reject(new SuiteError("INTERNAL", `${this.name} cannot be forked`));
    return this.#launched.fork(options);
  }

  /** Lets a restored machine run. */
  async resume(): Promise<void> {
    await this.monitor.send("cont");
  }

  /** Stops the guest and writes its device state; RAM is in its shared file. QEMU is ended afterwards. @throws QMP_FAILED | HOST_DISK_FULL */
  async freeze(stateFile: string, limitMs: number): Promise<void> {
    await this.monitor.send("stop");
    await this.#writeState(stateFile, limitMs);
    this.endedByUs = true;
    await this.monitor.send("quit").catch(() => undefined);
    const forced = setTimeout(() => this.#launched.kill(), limitMs);
    await this.dead;
    clearTimeout(forced);
  }

  async save(dir: string, limitMs: number): Promise<boolean> {
    if (this.endedByUs) return false;
    await this.monitor.send("stop");
    try {
      // Not drive-backup: it opens its target, and the file behind that, with the flags of this clone's own overlay, which is
      // temporary (snapshot=on), and QEMU unlinks what is temporary: the template's disk was gone after the first one.
      await this.monitor.send("blockdev-add", { driver: "qcow2", "node-name": "kept", file: { driver: "file", filename: join(dir, "disk.qcow2") }, backing: null });
      const copied = this.monitor.event(({ event, data }) => event === "BLOCK_JOB_COMPLETED" && data["device"] === "keep");
      await this.monitor.send("blockdev-backup", { "job-id": "keep", device: "root", target: "kept", sync: "top" });
      const { data } = await race(copied, { deadlineMs: limitMs, code: "QMP_FAILED", what: "copying the disk" });
      await this.monitor.send("blockdev-del", { "node-name": "kept" });
      if (data["error"] !== undefined) throw new SuiteError("QMP_FAILED", `the disk could not be copied: ${String(data["error"])}`);
      await this.#writeState(join(dir, "state"), limitMs);
      return true;
    } finally {
      await this.monitor.goOn(limitMs);
    }
  }

  async kill(): Promise<void> {
    this.endedByUs = true;
    this.#launched.kill();
    await this.dead;
    this.monitor.close();
    await Promise.all(this.#sockets.map((path) => rm(path, { force: true })));
  }

  murder(): void {
    this.#launched.kill();
  }

  async dumpTasks(): Promise<boolean> {
    try {
      for (const key of ["9", "t", "w", "l"]) {
        await this.monitor.send("chardev-send-break", { id: "console" });
        this.#launched.feed(key);
        await delay(300); // the kernel reads one character after each break; there is no sign to wait for
      }
      return true;
    } catch {
      return false;
    }
  }

  async interruptsOff(): Promise<boolean | undefined> {
    const registers = await this.monitor.human("info registers -a").catch(() => "");
    const off = INTERRUPTS.flatMap(({ flags, off: isOff }) => [...registers.matchAll(flags)].map(([, value = ""]) => isOff(Number.parseInt(value, 16))));
    return off.length === 0 ? undefined : off.every(Boolean);
  }

  async interruptHard(): Promise<boolean> {
    return this.monitor.send("inject-nmi").then(
      () => true,
      () => false,
    );
  }

  async forwardSsh(): Promise<number> {
    const refused = (await this.monitor.human("hostfwd_add net tcp:127.0.0.1:0-:22")).trim();
    if (refused !== "") throw new SuiteError("QMP_FAILED", `QEMU refused a forward to the guest's sshd: ${refused}`);
    const table = await this.monitor.human("info usernet");
    const port = /HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+22\b/.exec(table)?.[1];
    if (port === undefined) throw new SuiteError("QMP_FAILED", "QEMU shows no forward to the guest's sshd", { details: table });
    return Number(port);
  }

  async moveConsole(path: string): Promise<void> {
    await mkdir(dirname(path), { recursive: true });
    await rename(this.consoleLog, path);
    this.consoleLog = path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  async #load(): Promise<void> {
    await this.#migrationSetup();
    // a clone sits on no network that would have to learn where it has moved to
    await this.monitor.send("migrate-set-parameters", { "announce-rounds": 0 });
    const finished = this.#migrationEnd();
    await this.monitor.send("migrate-incoming", { uri: "fd:3" }); // the fourth entry of stdio above
    await finished;
  }

  /** Device state, and memory that is the machine's own. */
  async #writeState(stateFile: string, limitMs: number): Promise<void> {
    await this.#migrationSetup();
    await this.monitor.send("migrate-set-parameters", { "max-bandwidth": 17_179_869_184 });
    const finished = this.#migrationEnd();
    await this.monitor.send("migrate", { uri: `exec:cat > '${stateFile.replaceAll("'", `'\\''`)}'` });
    await race(finished, { deadlineMs: limitMs, code: "QMP_FAILED", what: "saving the state" });
  }

  async #migrationSetup(): Promise<void> {
    await this.monitor.send("migrate-set-capabilities", {
      capabilities: [
        { capability: "x-ignore-shared", state: true },
        { capability: "events", state: true },
      ],
    });
  }

  async #migrationEnd(): Promise<void> {
    const end = await this.monitor.event(({ event, data }) => event === "MIGRATION" && (data["status"] === "completed" || data["status"] === "failed"));
    if (end.data["status"] === "failed") throw new SuiteError("QMP_FAILED", `the saved state of ${this.name} could not be written or read`);
  }
}

async function tail(path: string): Promise<string> {
  return (await readFile(path, "utf8").catch(() => "")).slice(-64 * 1024);
}
