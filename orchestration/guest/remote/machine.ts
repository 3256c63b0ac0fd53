import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { nowMs } from "../../base/deadline.ts";
import { SuiteError } from "../../base/errors.ts";
import type { MachineDeath } from "../../record/v1.ts";
import type { Machine } from "../../vm/machine.ts";
import type { SshStream } from "../ssh.ts";
import { serialLines } from "./console.ts";
import { appendLine, type RemoteHost } from "./host.ts";

/** How long a machine that fell silent gets to answer a new connection. */
const ANSWER_MS = 3_000;

/** One lease of a machine that is reached by ssh: an agent of its own there, and what the kernel logs meanwhile. */
export class RemoteMachine implements Machine {
  readonly name: string;
  readonly pid = process.pid;
  readonly agentSocket: string;
  readonly dead: Promise<MachineDeath>;
  consoleLog: string;
  endedByUs = false;
  readonly #host: RemoteHost;
  readonly #agent: SshStream;
  readonly #server: Server;
  readonly #consoleFrom: number;
  #die: (death: MachineDeath) => void = () => undefined;
  #client: Socket | null = null;
  #broken = false;
  #asked: Promise<MachineDeath | null> | undefined;

  private constructor(host: RemoteHost, name: string, agent: SshStream, server: Server, agentSocket: string, consoleLog: string, consoleFrom: number) {
    this.#host = host;
    this.name = name;
    this.#agent = agent;
    this.#server = server;
    this.agentSocket = agentSocket;
    this.consoleLog = consoleLog;
    this.#consoleFrom = consoleFrom;
    this.dead = new Promise((resolve) => (this.#die = resolve));
  }

  /** Starts an agent there and listens for its clients here. @throws what {@link RemoteHost.renew} throws; SSH_FAILED */
  static async start(host: RemoteHost, options: { readonly name: string; readonly dir: string; readonly socketDir: string }): Promise<{ readonly machine: RemoteMachine; readonly taint: number }> {
    await mkdir(options.dir, { recursive: true });
    const taint = await host.renew();
    const session = await host.session();
    const consoleLog = join(options.dir, "console.log");
    await writeFile(consoleLog, "");
    const mark = `buslab: begin of ${options.name}`;
    const agentSocket = join(options.socketDir, `${options.name.split("-").at(-1) ?? "m"}.a`);
    await rm(agentSocket, { force: true });
    // a socket and not its standard streams: sshd gives a command two pipes, and the agent serves one descriptor
    const agent = await session.stream(`rm -f ${host.dir}/socket; exec ${host.dir}/agent --socket ${host.dir}/socket`);
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) => reject(new SuiteError("VM_START_FAILED", `no socket can be made at ${agentSocket}`, { cause: error })));
      server.listen(agentSocket, resolve);
    });
    const machine = new RemoteMachine(host, options.name, agent, server, agentSocket, consoleLog, (await host.options.console?.size()) ?? 0);
    const marked = new Promise<void>((resolve) => {
      host.sink = (line) => {
        if (!line.endsWith(mark)) return;
        host.sink = (text) => appendLine(machine.consoleLog, text);
        resolve();
      };
    });
    await session.exec(`echo '<12>${mark}' > /dev/kmsg`);
    await Promise.race([marked, agent.ended]);
    machine.#serve();
    return { machine, taint };
  }

  async kill(): Promise<void> {
    this.endedByUs = true;
    this.#end({ kind: "killed", detail: "given back" });
    await rm(this.agentSocket, { force: true });
  }

  murder(): void {
    this.#end({ kind: "killed", detail: "its agent was ended" });
  }

  lostContact(): Promise<MachineDeath | null> {
    // a channel that broke is looked into already
    return this.#broken ? this.dead : (this.#asked ??= this.#find());
  }

  /** By a connection of its own: the agent may be what hangs. What the kernel prints comes by its log. */
  dumpTasks(): Promise<boolean> {
    return this.#host.sysrq("twl");
  }

  interruptsOff(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  interruptHard(): Promise<boolean> {
    return Promise.resolve(false);
  }

  save(): Promise<boolean> {
    return Promise.resolve(false);
  }

  forwardSsh(): Promise<number> {
    return Promise.reject(new SuiteError("SSH_FAILED", `${this.#host.options.access.host} is reached by ssh itself`));
  }

  async moveConsole(path: string): Promise<void> {
    await mkdir(dirname(path), { recursive: true });
    await rename(this.consoleLog, path);
    this.consoleLog = path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  /** One client at a time, as at the port of a virtual machine: the next one waits until the one before has gone. */
  #serve(): void {
    const waiting: Socket[] = [];
    const next = (): void => {
      const socket = waiting.shift();
      this.#client = socket ?? null;
      if (socket !== undefined) void this.#join(socket);
    };
    this.#server.on("connection", (socket) => {
      socket.pause();
      socket.on("error", () => undefined);
      socket.once("close", () => {
        const at = waiting.indexOf(socket);
        if (at >= 0) waiting.splice(at, 1);
        if (this.#client === socket) next();
      });
      waiting.push(socket);
      if (this.#client === null) next();
    });
    void this.#agent.ended.then(async () => {
      if (this.endedByUs) return;
      this.#broken = true;
      this.#client?.destroy();
      const death = await this.#find();
      this.#end(death ?? { kind: "qemu-failed", detail: "the agent's channel broke" });
    });
  }

  /** Joins a client here to the agent there; an agent that was started just now may not listen yet. */
  async #join(socket: Socket): Promise<void> {
    const deadline = nowMs() + this.#host.options.limits.ms(ANSWER_MS);
    for (;;) {
      try {
        const channel = await (await this.#host.session()).toSocket(`${this.#host.dir}/socket`);
        channel.on("error", () => undefined);
        channel.on("close", () => socket.destroy());
        socket.once("close", () => channel.close());
        if (socket.destroyed) channel.close();
        channel.pipe(socket);
        socket.pipe(channel);
        return;
      } catch {
        if (this.endedByUs || this.#broken || socket.destroyed || nowMs() > deadline) return void socket.destroy();
        await delay(20);
      }
    }
  }

  /** Which kernel answers now: the same, another one, or none. */
  async #find(): Promise<MachineDeath | null> {
    const host = this.#host;
    const boot = await host.bootNow(host.options.limits.ms(ANSWER_MS));
    const serial = (await host.options.console?.since(this.#consoleFrom)) ?? Buffer.alloc(0);
    if (boot !== host.boot) {
      host.forget();
      // the log that came by ssh ended with the contact; what the serial line showed is the rest of the story
      if (serial.length > 0) appendLine(this.consoleLog, serialLines(serial));
    }
    if (boot === null) return { kind: "hung", detail: `contact was lost, and no new connection was answered${host.options.console === null ? "; there is no --console to tell why" : ""}` };
    if (boot !== host.boot) return { kind: "reset", detail: `contact was lost, and the machine has booted anew` };
    // the same kernel: what broke is the connection, unless only the agent is silent
    return this.#broken ? { kind: "qemu-failed", detail: "the agent's channel broke, and the same kernel was reached by a new connection" } : null;
  }

  #end(death: MachineDeath): void {
    this.#host.sink = null;
    this.#die(death);
    this.#client?.destroy();
    this.#server.close();
    this.#agent.channel.close();
  }
}
