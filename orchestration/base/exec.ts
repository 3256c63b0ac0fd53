import { spawn, type ChildProcess, type SpawnOptions } from "node:child_process";
import { createWriteStream } from "node:fs";
import { SuiteError, type ErrorCode } from "./errors.ts";

export interface ExecOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly stdin?: string | Uint8Array;
  /** Kills the whole process group when it passes; default: ten minutes. */
  readonly timeoutMs?: number;
  /** All output is appended to this file. */
  readonly logFile?: string;
  /** Called with every complete line of stdout and stderr. */
  readonly onLine?: (line: string) => void;
  readonly signal?: AbortSignal;
  /** Exit codes that are not an error; default: 0 alone. */
  readonly okCodes?: readonly number[];
  /** Code of the error thrown; default COMMAND_FAILED. */
  readonly code?: ErrorCode;
}

export interface ExecResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

const KEEP_CHARS = 4 * 1024 * 1024;

/**
 * Runs a command without a shell, in a process group of its own that dies with this process.
 * @throws SuiteError with the command line and the last lines it printed; INTERRUPTED when the signal ended it, whatever code was asked for
 */
export async function exec(argv: readonly [string, ...string[]], options: ExecOptions = {}): Promise<ExecResult> {
  const child = spawnTied(argv, {
    stdio: ["pipe", "pipe", "pipe"],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
  });
  const log = options.logFile === undefined ? undefined : createWriteStream(options.logFile, { flags: "a" });
  log?.on("error", () => undefined); // a full disk shows in the command itself; the log must not end the run
  log?.write(`$ ${printable(argv)}\n`);
  const stdout = collect(child, "stdout", options.onLine, log);
  const stderr = collect(child, "stderr", options.onLine, log);
  child.stdin?.on("error", () => undefined); // EPIPE: the child chose not to read
  child.stdin?.end(options.stdin ?? "");

  let timedOut = false;
  const timeoutMs = options.timeoutMs ?? 600_000;
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup(child);
  }, timeoutMs);
  const abort = (): void => killGroup(child);
  options.signal?.addEventListener("abort", abort, { once: true });
  if (options.signal?.aborted === true) abort();
  try {
    const exitCode = await new Promise<number>((resolve, reject) => {
      child.once("error", (error: NodeJS.ErrnoException) => {
        reject(
          error.code === "ENOENT"
            ? new SuiteError("HOST_TOOL_MISSING", `the program ${argv[0]} is not installed`, { cause: error })
            : new SuiteError(options.code ?? "COMMAND_FAILED", `${argv[0]} could not be started`, { cause: error }),
        );
      });
      child.once("close", (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : 9)));
    });
    const result = { stdout: stdout(), stderr: stderr(), exitCode };
    if (options.signal?.aborted === true) throw new SuiteError("INTERRUPTED", `interrupted: ${printable(argv).slice(0, 400)}`);
    if (timedOut) throw failure(argv, result, options.code, `took longer than ${timeoutMs} ms`);
    if (!(options.okCodes ?? [0]).includes(exitCode)) throw failure(argv, result, options.code, `ended with exit code ${exitCode}`);
    return result;
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", abort);
    log?.end();
  }
}

/** Starts a child in a group of its own that the kernel kills when this process dies, SIGKILL included. */
export function spawnTied(argv: readonly [string, ...string[]], options: SpawnOptions = {}): ChildProcess {
  return spawn("setpriv", ["--pdeathsig", "KILL", "--", ...argv], { detached: true, ...options });
}

/** Kills a child of {@link spawnTied} and everything in its group. */
export function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    child.kill("SIGKILL");
  }
}

/** The command as it can be pasted into a shell. */
export function printable(argv: readonly string[]): string {
  return argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(" ");
}

function failure(argv: readonly string[], result: ExecResult, code: ErrorCode | undefined, how: string): SuiteError {
  const tail = `${result.stdout}\n${result.stderr}`.trim().split("\n").slice(-40).join("\n");
  const missing = result.exitCode === 127 && /setpriv: failed to execute/.test(result.stderr);
  if (missing) return new SuiteError("HOST_TOOL_MISSING", `the program ${argv[0] ?? "?"} is not installed`);
  if (/No space left on device/.test(tail)) return new SuiteError("HOST_DISK_FULL", `no space left while running ${argv[0] ?? "?"}`, { details: tail });
  return new SuiteError(code ?? "COMMAND_FAILED", `${printable(argv).slice(0, 400)} ${how}`, { details: tail });
}

function collect(child: ChildProcess, name: "stdout" | "stderr", onLine: ((line: string) => void) | undefined, log: NodeJS.WritableStream | undefined): () => string {
  let text = "";
  let rest = "";
  const stream = child[name];
  stream?.setEncoding("utf8");
  stream?.on("data", (chunk: string) => {
    text = (text + chunk).slice(-KEEP_CHARS);
    log?.write(chunk);
    if (onLine === undefined) return;
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  });
  return () => text;
}
