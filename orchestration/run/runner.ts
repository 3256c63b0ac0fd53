import { createWriteStream } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SuiteError } from "../base/errors.ts";
import { killGroup, printable, spawnTied } from "../base/exec.ts";
import { nowMs } from "../base/deadline.ts";
import { ROOT } from "../base/paths.ts";
import { RUNNER_CLI, RUNNER_CONFIG } from "../plan/discover.ts";
import type { PlannedTest } from "../plan/plan.ts";
import { TITLE_SEPARATOR } from "../record/annotations.ts";
import type { RunFolder } from "./run-folder.ts";

export interface RunnerOptions {
  readonly folder: RunFolder;
  /** Tells its files from those of other runners of the run; none or empty for the only one. */
  readonly name?: string;
  /** Exactly what is to run, target by target. */
  readonly tests: ReadonlyMap<string, readonly PlannedTest[]>;
  readonly poolSocket: string;
  readonly slots: number;
  readonly slowdown: number;
  readonly seed: number;
  /** For the canaries and tests that need it. */
  readonly env: Readonly<Record<string, string>>;
  /** When this many milliseconds pass without a sign of life the runner is ended. */
  readonly silenceMs: number;
  /** Monotonic time of the last sign of life. */
  readonly lastSign: () => number;
  readonly signal?: AbortSignal;
  /** Ends the runner at the first test that fails; in the order of the list then, not shuffled. */
  readonly stopAtFirst?: boolean;
  /** Another command in the runner's place; for tests. */
  readonly argv?: readonly [string, ...string[]];
}

export interface RunnerEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Set when the runner was ended by us for silence. */
  readonly silent: boolean;
  /** Last lines that it printed. */
  readonly tail: string;
}

/** A runner that was asked to stop gets this long to finish its records. */
const STOP_MS = 4_000;

/** Runs the test runner on the planned tests and waits for its end, however it ends. */
export async function runRunner(options: RunnerOptions): Promise<RunnerEnd> {
  const { folder } = options;
  const suffix = options.name === undefined || options.name === "" ? "" : `-${options.name}`;
  const listFile = join(folder.dir, `test-list${suffix}.txt`);
  const logFile = suffix === "" ? folder.runnerLog : join(folder.dir, `runner${suffix}.log`);
  await writeFile(listFile, testList(options.tests));
  const argv = options.argv ?? [process.execPath, RUNNER_CLI, "test", "-c", RUNNER_CONFIG, "--test-list", listFile, ...(options.stopAtFirst === true ? ["--max-failures=1"] : [`--shuffle=${options.seed}`])];
  const log = createWriteStream(logFile, { flags: "a" });
  log.on("error", () => undefined); // a full disk shows in the records
  log.write(`$ ${printable(argv)}\n`);
  const child = spawnTied(argv, {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...withoutColour(process.env),
      ...options.env,
      BUSLAB_PLAN: folder.plan,
      BUSLAB_POOL: options.poolSocket,
      BUSLAB_RECORDS: folder.records,
      BUSLAB_RUN: folder.run,
      BUSLAB_RUN_DIR: folder.dir,
      BUSLAB_RUNNER_DIR: join(folder.dir, `runner${suffix}`),
      BUSLAB_TARGETS: [...options.tests.keys()].join(","),
      BUSLAB_WORKERS: String(options.slots),
      BUSLAB_SLOWDOWN: String(options.slowdown),
    },
  });
  child.stdout?.pipe(log, { end: false });
  child.stderr?.pipe(log, { end: false });

  let silent = false;
  let killTimer: NodeJS.Timeout | undefined;
  const watchdog = setInterval(() => {
    if (nowMs() - options.lastSign() < options.silenceMs) return;
    silent = true;
    killGroup(child);
  }, 1_000);
  const stop = (): void => {
    interruptGroup(child.pid);
    killTimer = setTimeout(() => killGroup(child), STOP_MS);
  };
  options.signal?.addEventListener("abort", stop, { once: true });
  if (options.signal?.aborted === true) stop();
  try {
    const end = await new Promise<Pick<RunnerEnd, "exitCode" | "signal">>((resolve, reject) => {
      child.once("error", (error) => reject(new SuiteError("RUNNER_FAILED", "the test runner could not be started", { cause: error })));
      child.once("exit", (exitCode, signal) => resolve({ exitCode, signal }));
    });
    killGroup(child); // whatever the runner left behind in its group
    return { ...end, silent, tail: await tailOf(logFile, log) };
  } finally {
    clearInterval(watchdog);
    clearTimeout(killTimer);
    options.signal?.removeEventListener("abort", stop);
    log.end();
  }
}

/** The runner's own list format: one test a line, by project, file and titles. */
export function testList(tests: ReadonlyMap<string, readonly PlannedTest[]>): string {
  return [...tests].flatMap(([target, own]) => own.map((test) => [`[${target}]`, test.file, test.title].join(TITLE_SEPARATOR))).join("\n");
}

function withoutColour(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { FORCE_COLOR: _colour, NODE_OPTIONS: _options, ...rest } = env;
  return { ...rest, NO_COLOR: "1" };
}

/** Ctrl-C for the whole group: the runner stops its workers and tells its reporters. */
function interruptGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGINT");
  } catch {
    // already gone
  }
}

async function tailOf(path: string, log: NodeJS.WritableStream): Promise<string> {
  await new Promise((resolve) => log.write("", resolve));
  const text = await readFile(path, "utf8").catch(() => "");
  return text.trimEnd().split("\n").slice(-30).join("\n");
}
