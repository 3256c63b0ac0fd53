import { createServer, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { asSuiteError, SuiteError } from "../../base/errors.ts";

export interface QmpEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

interface Pending {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: SuiteError) => void;
}

/**
 * Client of QEMU's machine protocol: JSON lines, one answer a command, events in between. We listen and QEMU connects,
 * so that nobody polls for a socket file while a clone is supposed to start in a tenth of a second.
 * @see QEMU docs/interop/qmp-spec.txt
 */
export class Qmp {
  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  #sequence = 0;
  #rest = "";
  #closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => this.#feed(chunk));
    socket.on("error", () => undefined); // the close that follows tells the pending commands
    socket.on("close", () => this.#close());
  }

  /**
   * Listens on the path before QEMU is started with it. `connected` rejects when the signal is aborted.
   * @param negotiated the monitor has agreed on its capabilities before: it is that of a fork
   */
  static async listen(path: string, negotiated = false): Promise<{ connected: Promise<Qmp>; close: () => void }> {
    const server: Server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) => reject(new SuiteError("VM_START_FAILED", `no monitor socket can be made at ${path}`, { cause: error })));
      server.listen(path, resolve);
    });
    const connected = new Promise<Qmp>((resolve, reject) => {
      server.once("connection", (socket) => {
        server.close();
        const qmp = new Qmp(socket);
        if (negotiated) resolve(qmp);
        else qmp.send("qmp_capabilities").then(() => resolve(qmp), reject);
      });
    });
    connected.catch(() => undefined); // whoever waits sees it; nobody may wait when QEMU died first
    return { connected, close: () => server.close() };
  }

  /** @throws QMP_FAILED with QEMU's description, or when the connection ended before the answer */
  send(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    const id = ++this.#sequence;
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(new SuiteError("QMP_FAILED", `the monitor is closed; ${command} was not sent`));
        return;
      }
      this.#pending.set(id, { command, resolve, reject });
      this.#socket.write(`${JSON.stringify({ execute: command, id, ...(args === undefined ? {} : { arguments: args }) })}\n`);
    });
  }

  /** A command of the human monitor, for the few that have no other form. */
  async human(line: string): Promise<string> {
    return String(await this.send("human-monitor-command", { "command-line": line }));
  }

  /**
   * Lets the guest run. QEMU tells that a state is written a moment before it is ready to go on; a guest that was left
   * standing then would be called hung.
   * @throws QMP_FAILED
   */
  async goOn(limitMs: number): Promise<void> {
    for (const deadline = performance.now() + limitMs; ; await delay(5)) {
      try {
        await this.send("cont");
        return;
      } catch (error) {
        if (!/not finalized/.test(asSuiteError(error).message) || performance.now() > deadline) throw error;
      }
    }
  }

  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The next event that fits; waits for ever, so race it with a death and a deadline. */
  event(fits: (event: QmpEvent) => boolean): Promise<QmpEvent> {
    return new Promise((resolve) => {
      const stop = this.onEvent((event) => {
        if (!fits(event)) return;
        stop();
        resolve(event);
      });
    });
  }

  close(): void {
    this.#socket.destroy();
    this.#close();
  }

  #feed(chunk: string): void {
    const lines = (this.#rest + chunk).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.trim() !== "") this.#take(line);
    }
  }

  #take(line: string): void {
    let message: Record<string, unknown>;
    try {
      message = JSON.parse(line) as Record<string, unknown>;
    } catch {
      return; // QEMU writes JSON only; a torn last line means that it died, and its death is reported elsewhere
    }
    if (typeof message["event"] === "string") {
      const event: QmpEvent = { event: message["event"], data: (message["data"] ?? {}) as Record<string, unknown> };
      for (const listener of [...this.#listeners]) listener(event);
      return;
    }
    const pending = this.#pending.get(Number(message["id"]));
    if (pending === undefined) return; // the greeting
    this.#pending.delete(Number(message["id"]));
    const error = message["error"] as { desc?: string } | undefined;
    if (error === undefined) pending.resolve(message["return"]);
    else pending.reject(new SuiteError("QMP_FAILED", `QEMU refused ${pending.command}: ${error.desc ?? "no reason given"}`));
  }

  #close(): void {
    this.#closed = true;
    for (const { command, reject } of this.#pending.values()) {
      reject(new SuiteError("QMP_FAILED", `the monitor closed before it answered ${command}`));
    }
    this.#pending.clear();
  }
}
