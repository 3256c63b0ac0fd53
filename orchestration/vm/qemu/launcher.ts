import type { ChildProcess } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { digestOf, short } from "../../base/digest.ts";
import { SuiteError } from "../../base/errors.ts";
import { exec, killGroup, spawnTied } from "../../base/exec.ts";
import { cacheDir } from "../../base/paths.ts";

/** What a machine's process is started with; it leads a process group of its own and dies with this process. */
export interface LaunchOptions {
  /** Files that its standard output and error are appended to. */
  readonly stdout: string;
  readonly stderr: string;
  /** File that it may read as descriptor 3. */
  readonly input?: string;
  /** Folder of its temporary files. */
  readonly tmpDir: string;
  /** For glibc's allocator, see GLIBC_TUNABLES in its manual. */
  readonly tunables: string;
}

export interface ProgramEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process that was launched. */
export interface Launched {
  readonly pid: number;
  /** Its end; never rejects. A program that is not installed ends with code 127 and says so on its standard error. */
  readonly ended: Promise<ProgramEnd>;
  /** Writes to its standard input. */
  feed(text: string): void;
  /** Kills it and its group; nothing where it has ended. */
  kill(): void;
  /**
   * Makes a copy of it with all of its threads, see fork.c; its guest has to be stopped, and nobody connected to its agent.
   * Undefined where it was not started from a launcher. @throws VM_START_FAILED with the reason; the machine is to be given up then
   */
  fork?(options: ForkOptions): Promise<Launched>;
}

/** What a fork has of its own. */
export interface ForkOptions extends Omit<LaunchOptions, "input" | "tunables"> {
  /** In place of its parent's in the command line, and not longer. */
  readonly name: string;
  /** Socket that it listens at for a client of the agent. */
  readonly agentSocket: string;
  /** Socket that somebody listens at for its monitor. */
  readonly monitorSocket: string;
}

const SOURCES = ["launcher.c", "order.c", "fork.c", "fork.h"].map((name) => join(import.meta.dirname, name));
/** The one argument by which launcher.c knows that it is to act; machines' command lines are written over it. */
const ARGUMENT = `buslab-launcher${" ".repeat(32 * 1024)}`;
const READY_MS = 20_000;
const SIGNALS = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name as NodeJS.Signals]));

/**
 * A QEMU that stands in front of its main() and makes machines by fork, see launcher.c. An execution costs some 50 ms of
 * processor time in the dynamic linker and in constructors, and a fork of this process another 15 ms.
 */
class Launcher {
  readonly #child: ChildProcess;
  readonly #starting = new Map<string, { resolve: (pid: number) => void; reject: (error: SuiteError) => void }>();
  readonly #running = new Map<string, (end: ProgramEnd) => void>();
  #last = 0;
  #gone: SuiteError | undefined;
  #wasReady = false;
  #ready: () => void = () => undefined;

  /** @param onGone called when one that was ready is no more */
  private constructor(program: string, library: string, tunables: string, onGone: () => void) {
    // env, not this process, sets LD_PRELOAD: setpriv must not be held too
    this.#child = spawnTied(["env", `LD_PRELOAD=${library}`, program, ARGUMENT], { stdio: ["pipe", "pipe", "ignore"], env: { ...process.env, GLIBC_TUNABLES: tunables } });
    const { stdin, stdout } = this.#child;
    stdin?.on("error", () => undefined); // EPIPE: its end is told below
    if (stdout !== null) createInterface({ input: stdout }).on("line", (line) => this.#answer(line));
    const gone = (why: string): void => {
      if (this.#gone !== undefined) return;
      this.#gone = new SuiteError("VM_START_FAILED", `the process that starts the machines ${why}`);
      if (this.#wasReady) onGone();
      for (const { reject } of this.#starting.values()) reject(this.#gone);
      // what it started was tied to it and died with it
      for (const ended of this.#running.values()) ended({ code: null, signal: "SIGKILL" });
      this.#starting.clear();
      this.#running.clear();
    };
    this.#child.once("error", (error) => gone(`could not be started: ${error.message}`));
    this.#child.once("close", (code, signal) => gone(`ended with ${signal ?? `exit code ${code ?? "?"}`}`));
  }

  /** Undefined where this host's QEMU cannot be held so: machines are executed one by one then. */
  static async open(program: string, library: string, tunables: string, onGone: () => void): Promise<Launcher | undefined> {
    const launcher = new Launcher(program, library, tunables, onGone);
    const ready = new Promise<boolean>((resolve) => {
      launcher.#ready = () => resolve(true);
      launcher.#child.once("close", () => resolve(false));
      launcher.#child.once("error", () => resolve(false));
    });
    const answered = await Promise.race([ready, delay(READY_MS, false, { ref: false })]);
    if (!answered) killGroup(launcher.#child);
    launcher.#hold();
    return answered ? launcher : undefined;
  }

  /** @throws VM_START_FAILED when no process could be made */
  async start(argv: readonly string[], options: LaunchOptions): Promise<Launched> {
    return this.#make("start", options.stdout, options.stderr, options.input ?? "-", options.tmpDir, ...argv);
  }

  async #make(verb: "start" | "fork", ...words: readonly string[]): Promise<Launched> {
    if (this.#gone !== undefined) throw this.#gone;
    this.#last += 1;
    const id = String(this.#last);
    const ended = new Promise<ProgramEnd>((resolve) => this.#running.set(id, resolve));
    const started = new Promise<number>((resolve, reject) => this.#starting.set(id, { resolve, reject }));
    this.#hold();
    this.#send(verb, id, ...words);
    const pid = await started;
    return {
      pid,
      ended,
      feed: (text) => this.#send("feed", id, text),
      fork: (own) => this.#make("fork", id, own.stdout, own.stderr, own.tmpDir, own.name, own.agentSocket, own.monitorSocket),
      kill: () => {
        if (!this.#running.has(id)) return;
        try {
          process.kill(-pid, "SIGKILL");
        } catch {
          // it has ended, and the launcher is about to say so
        }
      },
    };
  }

  #send(verb: string, id: string, ...words: readonly string[]): void {
    this.#child.stdin?.write(`${[verb, id, ...words.map(encodeURIComponent)].join(" ")}\n`);
  }

  #answer(line: string): void {
    const [verb, id = "", first = "", ...more] = line.split(" ");
    switch (verb) {
      case "ready":
        this.#wasReady = true;
        return this.#ready();
      case "started":
        this.#starting.get(id)?.resolve(Number(first));
        break;
      case "failed":
        this.#starting.get(id)?.reject(new SuiteError("VM_START_FAILED", `no process could be made for a machine: ${[first, ...more].join(" ")}`));
        this.#running.delete(id);
        break;
      default: {
        const signal = SIGNALS.get(Number(more[0])) ?? null;
        this.#running.get(id)?.({ code: signal === null ? Number(first) : null, signal });
        this.#running.delete(id);
      }
    }
    this.#starting.delete(id);
    this.#hold();
  }

  /** This process stays for as long as a machine runs, and no longer for the launcher's sake. */
  #hold(): void {
    const { stdin, stdout } = this.#child;
    for (const handle of [this.#child, stdin, stdout] as unknown as readonly { ref(): void; unref(): void }[]) {
      if (this.#running.size > 0) handle.ref();
      else handle.unref();
    }
  }
}

/** One for each program and its allocator's settings. */
const launchers = new Map<string, Promise<Launcher | undefined>>();

/**
 * Starts a machine's process: from a launcher that is made at the first call, or, where the host does not let one be made,
 * by itself.
 * @throws VM_START_FAILED
 */
export async function launch(argv: readonly [string, ...string[]], options: LaunchOptions): Promise<Launched> {
  const key = `${argv[0]} ${options.tunables}`;
  let launcher = launchers.get(key);
  if (launcher === undefined) {
    launcher = library().then((path) => (path === undefined ? undefined : Launcher.open(argv[0], path, options.tunables, () => launchers.delete(key))));
    launchers.set(key, launcher);
  }
  return (await launcher)?.start(argv, options) ?? launchAlone(argv, options);
}

/** As {@link launch}, executed by this process. */
export function launchAlone(argv: readonly [string, ...string[]], options: LaunchOptions): Launched {
  const files = [openSync(options.stdout, "a"), openSync(options.stderr, "a")];
  if (options.input !== undefined) files.push(openSync(options.input, "r"));
  try {
    const child = spawnTied(argv, { stdio: ["pipe", ...files], env: { ...process.env, TMPDIR: options.tmpDir, GLIBC_TUNABLES: options.tunables } });
    child.stdin?.on("error", () => undefined); // EPIPE of a machine that died; its end is told
    const ended = new Promise<ProgramEnd>((resolve) => {
      child.once("error", () => resolve({ code: 127, signal: null }));
      child.once("exit", (code, signal) => resolve({ code, signal }));
    });
    return { pid: child.pid ?? -1, ended, feed: (text) => void child.stdin?.write(text), kill: () => killGroup(child) };
  } finally {
    for (const file of files) closeSync(file);
  }
}

let compiled: Promise<string | undefined> | undefined;

/** launcher.c and what belongs to it as a shared library, kept by the digest of their source; undefined where this host cannot compile it. */
function library(): Promise<string | undefined> {
  compiled ??= compile();
  return compiled;
}

async function compile(): Promise<string | undefined> {
  const dir = join(cacheDir(), "launcher");
  const path = join(dir, `${short(digestOf(Buffer.concat(await Promise.all(SOURCES.map((source) => readFile(source))))))}.so`);
  if (existsSync(path)) return path;
  const fresh = `${path}.${process.pid}`;
  try {
    await mkdir(dir, { recursive: true });
    await exec(["gcc", "-O2", "-shared", "-fPIC", "-o", fresh, ...SOURCES.filter((source) => source.endsWith(".c")), "-ldl"]);
    await rename(fresh, path);
    return path;
  } catch {
    await rm(fresh, { force: true });
    return undefined;
  }
}
