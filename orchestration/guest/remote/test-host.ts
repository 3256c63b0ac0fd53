import { spawn } from "node:child_process";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ssh2 from "ssh2";
import type { Connection, ServerChannel } from "ssh2";
import { newRunKey, type SshAccess } from "../ssh.ts";

/**
 * For the tests of this folder: an ssh server of ours whose commands run on this host, with the kernel's parts (log, boot id,
 * bus) played by files. As OpenSSH does, it gives a command one socket for standard input and output.
 */
export class TestHost implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), "buslab-remote-"));
  readonly access: Omit<SshAccess, "deadlineMs">;
  readonly #server: InstanceType<typeof ssh2.Server>;
  readonly #connections = new Set<Connection>();
  /** What the script between two tests says and ends with. */
  renewed: { readonly says: string; readonly exitCode: number } = { says: "0", exitCode: 0 };

  private constructor(server: InstanceType<typeof ssh2.Server>, access: Omit<SshAccess, "deadlineMs">) {
    this.#server = server;
    this.access = access;
    writeFileSync(join(this.dir, "kmsg"), "");
    this.boot("first");
  }

  static async start(): Promise<TestHost> {
    const hostKey = newRunKey("host");
    const server = new ssh2.Server({ hostKeys: [hostKey.privateKey] });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const host = new TestHost(server, { host: "127.0.0.1", port: (server.address() as AddressInfo).port, user: "root", privateKey: newRunKey("user").privateKey, hostKeyLine: hostKey.publicLine });
    server.on("connection", (client) => host.#serve(client));
    return host;
  }

  /** The kernel that runs is this one. */
  boot(id: string): void {
    writeFileSync(join(this.dir, "boot"), `${id}\n`);
  }

  /** A record of the kernel's log. */
  log(record: string): void {
    appendFileSync(join(this.dir, "kmsg"), `${record}\n`);
  }

  /** Every connection is gone at once; new ones are taken. */
  drop(): void {
    for (const connection of this.#connections) connection.end();
  }

  /** Nothing answers any more. */
  stop(): void {
    this.#server.close();
    this.drop();
  }

  [Symbol.dispose](): void {
    this.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }

  #serve(client: Connection): void {
    this.#connections.add(client);
    client.on("error", () => undefined);
    client.on("close", () => this.#connections.delete(client));
    client.on("authentication", (request) => request.accept());
    client.on("openssh.streamlocal", (accept, refuse, { socketPath }) => {
      const socket = connect(socketPath.replace(/^\/run\/buslab-/, `${this.dir}/buslab-`));
      socket.once("error", () => refuse());
      socket.once("connect", () => {
        const channel = accept();
        channel.on("error", () => undefined);
        channel.on("close", () => socket.destroy());
        socket.on("close", () => channel.close());
        channel.pipe(socket).pipe(channel);
      });
    });
    client.on("ready", () => client.on("session", (accept) => accept().on("exec", (take, _refuse, { command }) => void this.#exec(take(), command))));
  }

  async #exec(channel: ServerChannel, command: string): Promise<void> {
    channel.on("error", () => undefined);
    const answer = (text: string, exitCode: number): void => {
      channel.write(text);
      channel.exit(exitCode);
      channel.end();
    };
    const said = /^echo '<(\d+)>(.*)' > \/dev\/kmsg$/.exec(command);
    if (said !== null) {
      this.log(`${said[1] ?? ""},1,5000000,-;${said[2] ?? ""}`);
      return answer("", 0);
    }
    if (command.includes("mount -t kdbusfs")) return answer(`${this.renewed.says}\n`, this.renewed.exitCode);
    const words = command
      .replaceAll("/proc/sys/kernel/random/boot_id", join(this.dir, "boot"))
      .replaceAll("exec cat /dev/kmsg", `exec tail -n +1 -s 0.01 -f ${join(this.dir, "kmsg")}`)
      .replaceAll("/run/buslab-", `${this.dir}/buslab-`);
    const { ours, theirs } = await socketPair(join(this.dir, `s${Math.random().toString(36).slice(2)}`));
    const child = spawn("sh", ["-c", words], { stdio: [theirs, theirs, "ignore"], detached: true });
    theirs.destroy();
    const end = (): void => {
      if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) process.kill(-child.pid, "SIGKILL");
    };
    channel.on("close", end);
    channel.on("data", (chunk: Buffer) => ours.write(chunk));
    channel.on("end", () => ours.end());
    ours.on("error", () => undefined);
    ours.on("data", (chunk: Buffer) => channel.write(chunk));
    const read = new Promise((resolve) => ours.once("close", resolve));
    child.once("exit", (code) => {
      void Promise.race([read, new Promise((resolve) => setTimeout(resolve, 200))]).then(() => {
        channel.exit(code ?? 128);
        channel.end();
      });
    });
  }
}

async function socketPair(path: string): Promise<{ readonly ours: Socket; readonly theirs: Socket }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
  const ours = connect({ path, allowHalfOpen: true });
  const theirs = await accepted;
  server.close();
  return { ours, theirs };
}
