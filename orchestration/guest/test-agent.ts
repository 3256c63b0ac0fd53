import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ChildProcess } from "node:child_process";
import { exec, killGroup, spawnTied } from "../base/exec.ts";
import { ROOT } from "../base/paths.ts";
import { AgentClient } from "./agent-client.ts";

/** For the tests of this folder: the agent built for this host, listening on a unix socket as QEMU's port would. */
export class TestAgent implements AsyncDisposable {
  readonly socket: string;
  readonly process: ChildProcess;
  private readonly dir: string;

  private constructor(dir: string, socket: string, process: ChildProcess) {
    this.dir = dir;
    this.socket = socket;
    this.process = process;
  }

  static async start(): Promise<TestAgent> {
    const binary = await agentBinary();
    const dir = mkdtempSync(join(tmpdir(), "buslab-agent-"));
    const socket = join(dir, "agent.sock");
    return new TestAgent(dir, socket, spawnTied([binary, "--socket", socket], { stdio: ["ignore", "inherit", "inherit"] }));
  }

  connect(options: { requestTimeoutMs?: number; keepPeers?: boolean } = {}): Promise<AgentClient> {
    return AgentClient.connect(this.socket, { timeoutMs: 10_000, requestTimeoutMs: 10_000, ...options });
  }

  kill(): void {
    killGroup(this.process);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const over = this.process.exitCode === null && this.process.signalCode === null ? new Promise((resolve) => this.process.once("exit", resolve)) : undefined;
    this.kill();
    await over;
    rmSync(this.dir, { recursive: true });
  }
}

/** The agent for this host; make decides whether it has to be built, the lock lets test files run side by side. */
export async function agentBinary(): Promise<string> {
  const dir = join(ROOT, "node_modules/.cache/buslab-agent");
  await exec(["mkdir", "-p", dir]);
  await exec(["flock", join(dir, "lock"), "make", "-s", "-j2", "-C", join(ROOT, "vm-images/agent"), `OUT=${join(dir, "agent")}`]);
  return join(dir, "agent");
}

/** Why tests that need root are skipped, or false. */
export const needsRoot: string | false = process.getuid?.() === 0 ? false : "needs root: the agent runs as root in the guest";
