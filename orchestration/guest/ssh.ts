import ssh2 from "ssh2";
import type { Client, ClientChannel, SFTPWrapper } from "ssh2";
import { race } from "../base/deadline.ts";
import { SuiteError } from "../base/errors.ts";

/** A key pair that lives as long as one run; the private half never touches a disk. */
export interface RunKey {
  /** OpenSSH format. */
  readonly privateKey: string;
  /** One line for `authorized_keys`. */
  readonly publicLine: string;
}

export interface SshAccess {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Either this or an ssh agent's socket. */
  readonly privateKey?: string;
  readonly agentSocket?: string;
  /** The server's ed25519 key as in its `.pub` file; any other key is refused. */
  readonly hostKeyLine: string;
  readonly deadlineMs: number;
}

/** A remote command that goes on: its three streams, and its end. */
export interface SshStream {
  readonly channel: ClientChannel;
  /** Resolves when it has ended, or the connection is gone. */
  readonly ended: Promise<void>;
}

export interface SshResult {
  readonly stdout: string;
  readonly stderr: string;
  /** Exit status, or null when a signal ended the command. */
  readonly exitCode: number | null;
}

/**
 * A fresh ed25519 pair. One of 256 that ssh2 makes is malformed (it strips a zero byte that belongs to the
 * key: mscdex/ssh2 issue 1390), so a pair that its own reader refuses is made anew.
 */
export function newRunKey(comment: string, generate = (): { private: string; public: string } => ssh2.utils.generateKeyPairSync("ed25519", { comment })): RunKey {
  for (;;) {
    const pair = generate();
    if ([pair.private, pair.public].some((half) => ssh2.utils.parseKey(half) instanceof Error)) continue;
    return { privateKey: pair.private, publicLine: `${pair.public}\n` };
  }
}

/** One ssh connection: commands, an interactive shell, file transfer. */
export class SshSession implements AsyncDisposable {
  readonly #client: Client;
  readonly #lost: Promise<never>;
  readonly #deadlineMs: number;
  /** Resolves when the connection is gone, whoever ended it. */
  readonly closed: Promise<void>;

  private constructor(client: Client, lost: Promise<never>, deadlineMs: number) {
    this.#client = client;
    this.#lost = lost;
    this.#deadlineMs = deadlineMs;
    this.closed = lost.catch(() => undefined);
  }

  /** @throws SSH_FAILED when the server is not there, shows another key than the pinned one, or refuses ours */
  static async open(access: SshAccess): Promise<SshSession> {
    const pinned = keyBlob(access.hostKeyLine);
    const client = new ssh2.Client();
    let refused = false;
    const ready = new Promise<void>((resolve, reject) => {
      client.once("ready", resolve);
      client.once("error", (error) => {
        const why = refused ? "it shows another host key than the one pinned when the image was built" : error.message;
        reject(new SuiteError("SSH_FAILED", `ssh to ${access.host}:${access.port} failed: ${why}`, { cause: error }));
      });
    });
    client.connect({
      host: access.host,
      port: access.port,
      username: access.user,
      ...(access.privateKey === undefined ? {} : { privateKey: access.privateKey }),
      ...(access.agentSocket === undefined ? {} : { agent: access.agentSocket }),
      readyTimeout: access.deadlineMs,
      keepaliveInterval: 5_000,
      algorithms: { serverHostKey: ["ssh-ed25519"] },
      hostVerifier: (key: Buffer) => {
        refused = !key.equals(pinned);
        return !refused;
      },
    });
    await race(ready, { deadlineMs: access.deadlineMs, code: "SSH_FAILED", what: `ssh to ${access.host}:${access.port}` }).catch((error: unknown) => {
      client.destroy();
      throw error;
    });
    // Without it each small write waits for the peer's delayed acknowledgement: 51 ms instead of 4 ms a command.
    client.setNoDelay(true);
    const lost = new Promise<never>((_, reject) => {
      const gone = (): void => reject(new SuiteError("SSH_FAILED", `the ssh connection to ${access.host}:${access.port} was lost`));
      client.once("close", gone);
      client.on("error", gone);
    });
    lost.catch(() => undefined);
    return new SshSession(client, lost, access.deadlineMs);
  }

  /** Runs a command by the remote shell and waits for its end. */
  async exec(command: string, options: { readonly stdin?: string | Uint8Array; readonly deadlineMs?: number } = {}): Promise<SshResult> {
    let stdout = "";
    let stderr = "";
    let end: (exitCode: number | null) => void = () => undefined;
    const ended = new Promise<number | null>((resolve) => (end = resolve));
    const channel = await this.#call<ClientChannel>(`start of ${command}`, (done) =>
      this.#client.exec(command, (error, opened) => {
        // Listened to before anything is awaited: the status of a quick command comes in the same packet as its start.
        if (error === undefined) {
          let exitCode: number | null = null;
          opened.once("exit", (code: number | null) => (exitCode = code));
          opened.once("close", () => end(exitCode));
          opened.setEncoding("utf8").on("data", (chunk: string) => (stdout += chunk));
          opened.stderr.setEncoding("utf8").on("data", (chunk: string) => (stderr += chunk));
        }
        done(error, opened);
      }),
    );
    channel.end(typeof options.stdin === "object" ? Buffer.from(options.stdin) : (options.stdin ?? ""));
    const exitCode = await race(ended, { deadlineMs: options.deadlineMs ?? this.#deadlineMs, code: "SSH_FAILED", what: `remote command ${command}`, death: this.#lost });
    return { stdout, stderr, exitCode };
  }

  /** Starts a command and hands its streams over. */
  async stream(command: string): Promise<SshStream> {
    const channel = await this.#call<ClientChannel>(`start of ${command}`, (done) => this.#client.exec(command, done));
    channel.on("error", () => undefined); // `close` follows
    const ended = Promise.race([new Promise<void>((resolve) => channel.once("close", () => resolve())), this.closed]);
    return { channel, ended };
  }

  /** A channel to a unix socket there. @throws SSH_FAILED when nothing listens or sshd forbids it */
  toSocket(path: string): Promise<ClientChannel> {
    return this.#call<ClientChannel>(`channel to ${path}`, (done) => this.#client.openssh_forwardOutStreamLocal(path, done));
  }

  /** Joins this terminal to a remote login shell until it ends; returns its exit status. */
  async shell(): Promise<number> {
    const { columns = 80, rows = 24 } = process.stdout;
    const channel = await this.#call<ClientChannel>("start of a shell", (done) => this.#client.shell({ term: process.env["TERM"] ?? "xterm", cols: columns, rows }, done));
    const raw = process.stdin.isTTY;
    if (raw) process.stdin.setRawMode(true);
    const resize = (): void => channel.setWindow(process.stdout.rows, process.stdout.columns, 0, 0);
    process.stdout.on("resize", resize);
    process.stdin.pipe(channel);
    channel.pipe(process.stdout);
    channel.stderr.pipe(process.stderr);
    try {
      return await new Promise<number>((resolve) => {
        let exitCode = 0;
        channel.once("exit", (code: number | null) => (exitCode = code ?? 128));
        channel.once("close", () => resolve(exitCode));
      });
    } finally {
      if (raw) process.stdin.setRawMode(false);
      process.stdout.off("resize", resize);
      process.stdin.unpipe(channel);
      process.stdin.pause();
    }
  }

  async put(localPath: string, remotePath: string): Promise<void> {
    const sftp = await this.#sftp();
    await this.#call<undefined>(`upload of ${localPath}`, (done) => sftp.fastPut(localPath, remotePath, (error) => done(error ?? undefined, undefined)));
    sftp.end();
  }

  async get(remotePath: string, localPath: string): Promise<void> {
    const sftp = await this.#sftp();
    await this.#call<undefined>(`download of ${remotePath}`, (done) => sftp.fastGet(remotePath, localPath, (error) => done(error ?? undefined, undefined)));
    sftp.end();
  }

  close(): void {
    this.#client.end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  #sftp(): Promise<SFTPWrapper> {
    return this.#call<SFTPWrapper>("start of sftp", (done) => this.#client.sftp(done));
  }

  async #call<T>(what: string, start: (done: (error: Error | undefined, value: T) => void) => void): Promise<T> {
    const answer = new Promise<T>((resolve, reject) => {
      start((error, value) => {
        if (error === undefined) resolve(value);
        else reject(new SuiteError("SSH_FAILED", `${what} failed: ${error.message}`, { cause: error }));
      });
    });
    return race(answer, { deadlineMs: this.#deadlineMs, code: "SSH_FAILED", what, death: this.#lost });
  }
}

function keyBlob(publicLine: string): Buffer {
  const [kind, blob] = publicLine.trim().split(/\s+/);
  if (kind !== "ssh-ed25519" || blob === undefined) {
    throw new SuiteError("SSH_FAILED", `the pinned host key "${publicLine.slice(0, 40)}" is no ed25519 public key line`);
  }
  return Buffer.from(blob, "base64");
}
