import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { silent } from "../../orchestration/base/progress.ts";
import { AgentClient } from "../../orchestration/guest/agent-client.ts";
import { ARCHES, isNative } from "../../orchestration/target/arches.ts";
import { buildAgent } from "../../vm-images/agent/build.ts";

/** The guest agent running on this host, for tests that need nothing of the bus. */
export class HostAgent implements AsyncDisposable {
  /** A folder that lives as long as the agent. */
  readonly folder: string;
  readonly socket: string;
  private readonly child: ChildProcess;

  private constructor(folder: string, socket: string, child: ChildProcess) {
    this.folder = folder;
    this.socket = socket;
    this.child = child;
  }

  /** Resolves when the agent answers. */
  static async start(): Promise<HostAgent> {
    const arch = Object.values(ARCHES).find(isNative);
    if (arch === undefined) throw new SuiteError("HOST_TOOL_MISSING", `no architecture of the matrix runs on a ${process.arch} host`);
    const folder = await mkdtemp(join(tmpdir(), "buslab-agent-"));
    const { binary } = await buildAgent(arch, { progress: silent, logDir: folder });
    const socket = join(folder, "agent.sock");
    const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", binary, "--socket", socket], { stdio: "ignore" });
    const started = new HostAgent(folder, socket, child);
    await (await untilItListens(socket)).close();
    return started;
  }

  connect(): Promise<AgentClient> {
    return AgentClient.connect(this.socket, { timeoutMs: 2_000 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function untilItListens(socket: string): Promise<AgentClient> {
  const endMs = performance.now() + 10_000;
  for (;;) {
    try {
      return await AgentClient.connect(socket, { timeoutMs: 2_000 });
    } catch (error) {
      if (performance.now() > endMs) throw error;
    }
  }
}
