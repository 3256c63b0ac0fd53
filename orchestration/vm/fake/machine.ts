import { appendFileSync, readFileSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ChildProcess } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { SuiteError } from "../../base/errors.ts";
import { killGroup, spawnTied } from "../../base/exec.ts";
import type { MachineDeath } from "../../record/v1.ts";
import type { Machine, MachineDriver } from "../machine.ts";
import { runPrefix } from "../run-name.ts";

export interface FakeOptions {
  readonly runId: string;
  /** The guest agent built for this host; without it the machine is a process that does nothing and answers nothing. */
  readonly agent?: string;
}

/** A machine without a guest: the real agent as a process of this host, a console that the test writes. */
export class FakeMachine implements Machine {
  readonly name: string;
  readonly pid: number;
  readonly agentSocket: string;
  readonly dead: Promise<MachineDeath>;
  consoleLog: string;
  endedByUs = false;
  /** What it says when asked for its interrupts. */
  deaf: boolean | undefined;
  /** What a guest would have done, for machines that are told to panic. */
  #death: MachineDeath | undefined;
  readonly #child: ChildProcess;

  private constructor(name: string, child: ChildProcess, agentSocket: string, consoleLog: string) {
    this.name = name;
    this.#child = child;
    this.pid = child.pid ?? -1;
    this.agentSocket = agentSocket;
    this.consoleLog = consoleLog;
    this.dead = new Promise((resolve) => {
      child.once("exit", (_code, signal) => {
        resolve(this.#death ?? { kind: "killed", detail: this.endedByUs ? "ended by the machine pool" : `the process was killed with ${signal ?? "?"}` });
      });
    });
  }

  static async start(options: FakeOptions & { readonly label: string; readonly dir: string }): Promise<FakeMachine> {
    await mkdir(options.dir, { recursive: true });
    const name = `${runPrefix(options.runId)}${options.label}`;
    const agentSocket = join(options.dir, "a");
    const consoleLog = join(options.dir, "console.log");
    await writeFile(consoleLog, "");
    // The shell stays the parent, because its command line carries the run's id; what it starts dies with it.
    const tied = "setpriv --pdeathsig KILL --";
    const program = options.agent === undefined ? `${tied} sleep 600; :` : `${tied} "$0" --socket "$1"; :`;
    const child = spawnTied(["sh", "-c", program, options.agent ?? "-", agentSocket, "-name", name], { stdio: "ignore" });
    const machine = new FakeMachine(name, child, agentSocket, consoleLog);
    if (options.agent !== undefined) {
      // ready, as a clone is when its driver hands it out
      const ended = machine.dead.then(() => true);
      while (!isListening(agentSocket)) {
        if (await Promise.race([ended, delay(5, false)])) throw new SuiteError("VM_START_FAILED", `the agent ${options.agent} ended at once`);
      }
    }
    return machine;
  }

  /** Appends to the console as a kernel or a program would. */
  print(text: string): void {
    appendFileSync(this.consoleLog, text);
  }

  /** Prints a panic and ends, as a guest does. */
  panic(message: string): void {
    this.print(`<0>[   20.000000] Kernel panic - not syncing: ${message}\r\n`);
    this.#death = { kind: "panic", detail: `Kernel panic - not syncing: ${message}` };
    killGroup(this.#child);
  }

  async kill(): Promise<void> {
    this.endedByUs = true;
    killGroup(this.#child);
    await this.dead;
    await rm(this.agentSocket, { force: true });
  }

  murder(): void {
    killGroup(this.#child);
  }

  async dumpTasks(): Promise<boolean> {
    this.print("<6>[   30.000000] sysrq: Show State\r\n<6>[   30.000100] task:agent           state:R stack:0     pid:412\r\n");
    return true;
  }

  async interruptsOff(): Promise<boolean | undefined> {
    return this.deaf;
  }

  async interruptHard(): Promise<boolean> {
    return false;
  }

  async save(): Promise<boolean> {
    return false;
  }

  async forwardSsh(): Promise<number> {
    throw new SuiteError("QMP_FAILED", "a fake machine has no network");
  }

  async moveConsole(path: string): Promise<void> {
    await mkdir(dirname(path), { recursive: true });
    await rename(this.consoleLog, path);
    this.consoleLog = path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

/** A socket's file is there before anybody listens; flag 0x10000 is the kernel's __SO_ACCEPTCON (unix(7), /proc/net/unix). */
function isListening(path: string): boolean {
  return readFileSync("/proc/net/unix", "utf8").split("\n").some((line) => line.endsWith(` ${path}`) && line.split(/\s+/)[3] === "00010000");
}

export function fakeDriver(options: FakeOptions): MachineDriver {
  return { kind: "fake", start: (start) => FakeMachine.start({ ...options, ...start }) };
}
