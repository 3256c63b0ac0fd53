import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../base/paths.ts";
import { readRecords, type RecordLog } from "../record/jsonl.ts";
import type { Verdict } from "../record/verdict.ts";
import { leftoversOf } from "../vm/leftovers.ts";
import { socketDirOf } from "../vm/run-name.ts";

export interface Ended {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `./buslab` as a person starts it, watched by a test. */
export class BuslabProcess {
  readonly child: ChildProcess;
  readonly home: string;
  readonly ended: Promise<Ended>;
  stderr = "";
  stdout = "";

  constructor(home: string, argv: readonly string[], env: Readonly<Record<string, string | undefined>> = {}, prefix: readonly string[] = []) {
    this.home = home;
    const [program = "", ...words] = [...prefix, process.execPath, "--disable-warning=ExperimentalWarning", join(ROOT, "orchestration/cli/main.ts"), ...argv];
    this.child = spawn(program, words, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"], detached: true, env: { ...process.env, NODE_TEST_CONTEXT: undefined, NODE_OPTIONS: undefined, BUSLAB_HOME: home, ...env } });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.stdout += text));
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.stderr += text));
    this.ended = new Promise((resolve, reject) => {
      this.child.once("error", reject);
      this.child.once("close", (exitCode, signal) => resolve({ exitCode, signal, stdout: this.stdout, stderr: this.stderr }));
    });
  }

  /** The run's id, as soon as it is told. */
  get run(): string | undefined {
    return /^run (\S+) in /m.exec(this.stderr)?.[1];
  }

  get dir(): string {
    return join(this.home, "runs", this.run ?? "no-run");
  }

  records(): Promise<RecordLog> {
    return readRecords(join(this.dir, "records.jsonl"));
  }

  /** Waits for a sign; fails with what was printed when the process ends first, or two minutes pass. */
  async until<T>(what: string, sign: () => Promise<T | undefined> | T | undefined): Promise<T> {
    const deadline = performance.now() + 120_000;
    for (;;) {
      const found = await Promise.resolve(sign()).catch(() => undefined);
      if (found !== undefined) return found;
      if (this.child.exitCode !== null || this.child.signalCode !== null || performance.now() > deadline) throw new Error(`no sign of ${what}:\n${this.stderr}\n${this.stdout}`);
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
  }

  /** What is left of the run on this host: machines, sockets, runner processes. */
  async leftovers(): Promise<string[]> {
    const run = this.run ?? "no-run";
    const left = (await leftoversOf(run)).map((pid) => `machine ${pid}`);
    if (readdirSync(join(socketDirOf(run), "..")).includes(`buslab-${run}`)) left.push(socketDirOf(run));
    return [...left, ...processesOf(run).map((pid) => `process ${pid}`)];
  }
}

/** Processes that got the run's id in their environment: the runner and its workers. */
export function processesOf(run: string, argument = ""): number[] {
  return readdirSync("/proc").flatMap((name) => {
    try {
      if (!/^\d+$/.test(name) || !readFileSync(`/proc/${name}/environ`, "utf8").includes(`BUSLAB_RUN=${run}\0`)) return [];
      return readFileSync(`/proc/${name}/cmdline`, "utf8").includes(argument) ? [Number(name)] : [];
    } catch {
      return []; // gone meanwhile
    }
  });
}

/** A BUSLAB_HOME of its own. */
export function freshHome(t: { after(undo: () => void): void }): string {
  const home = mkdtempSync(join(tmpdir(), "buslab-e2e-"));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  return home;
}

/** The one document that a command with --json prints. */
export function verdictOf(ended: Ended): Verdict {
  return JSON.parse(ended.stdout) as Verdict;
}

/** Outcomes by test, canaries left out. */
export function outcomesOf(verdict: Verdict): Record<string, string> {
  return Object.fromEntries(verdict.targets.flatMap((target) => target.tests.map((test) => [test.id, test.outcome.kind === "infra-error" ? test.outcome.code : test.outcome.kind])));
}
