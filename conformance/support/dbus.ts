import { concat, words } from "../../fixtures/abi/encode.ts";
import type { AgentClient } from "../../orchestration/guest/agent-client.ts";
import { longBytes } from "../../orchestration/guest/syscalls.ts";
import { DBUS_HEAD, dbusSize, decodeDbus, encodeDbus, type DbusArg, type DbusMessage } from "./dbus-wire.ts";
import { BusError } from "./errno.ts";
import { securityModule } from "./lsm.ts";
import { address, memory } from "./memory.ts";
import type { Process } from "./process.ts";
import { Script } from "./script.ts";

/** A received message with the descriptors that came with it. */
export type DbusReceived = DbusMessage & { readonly descriptors: readonly number[] };

const SOCKET = "/run/dbus/system_bus_socket";
const POLICY = "/etc/dbus-1/system.d/twin.conf";
/** The driver of the bus. */
const BUS = { destination: "org.freedesktop.DBus", path: "/org/freedesktop/DBus", interface: "org.freedesktop.DBus" } as const;
/** The object that a twin's server is. */
const SERVER = { path: "/twin", interface: "test.Twin" } as const;
const [AF_UNIX, SOCK_STREAM, SOCK_CLOEXEC, SOL_SOCKET, SCM_RIGHTS, MSG_CMSG_CLOEXEC, POLLIN] = [1, 1, 0o2000000, 1, 1, 0x40000000, 1];
/** Largest and usual piece that is read at once, and room for descriptors. */
const [CHUNK, PIECE, CONTROL, MOST_FDS] = [128 << 10, 4096, 64, 8];
/** Longest wait for a message, ms. */
const PATIENCE_MS = 20_000;
export const REQUEST_NAME = { PRIMARY_OWNER: 1, EXISTS: 3 } as const;

/**
 * Lets everybody own `name` on the system bus and call who owns it. False where no dbus-broker serves that bus, or where a security
 * module's policy decides about its messages as well: there is no twin then, and nothing to compare with.
 */
export async function dbusBroker(agent: AgentClient, root: Process, name: string): Promise<boolean> {
  const { stdout } = await agent.exec(["systemctl", "is-active", "dbus-broker.service"]);
  const module = await securityModule(agent);
  if (stdout.trim() !== "active" || module !== undefined) {
    root.note("looks for dbus-broker as a twin", module === undefined ? `${stdout.trim()}: left out` : `${module} decides about its messages: left out`);
    return false;
  }
  const rules = `<allow own="${name}"/><allow send_destination="${name}"/>`;
  await agent.writeFile(POLICY, `<busconfig><policy context="default">${rules}</policy></busconfig>\n`);
  const end = await DbusEnd.open(root);
  await end.ask("ReloadConfig");
  await root.close(end.fd);
  return true;
}

/** One process at the system bus, on its main thread. */
export class DbusEnd {
  readonly process: Process;
  readonly fd: number;
  /** Unique name. */
  name = "";
  private serial = 0;
  private readonly unread: DbusReceived[] = [];
  private bytes: Uint8Array = new Uint8Array(0);
  private descriptors: number[] = [];

  private constructor(process: Process, fd: number) {
    this.process = process;
    this.fd = fd;
  }

  /** Connects as whoever the process is at the moment. @throws BusError; Error if the broker refuses it */
  static async open(process: Process): Promise<DbusEnd> {
    const fd = Number(await process.must("socket", AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const path = new Uint8Array([AF_UNIX, 0, ...new TextEncoder().encode(`${SOCKET}\0`)]);
    await process.must("connect", fd, memory(path, "system bus"), path.length);
    const end = new DbusEnd(process, fd);
    await process.write(fd, "\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n");
    let answer = "";
    while (!/AGREE_UNIX_FD\r\n$/.test(answer)) {
      answer += new TextDecoder().decode(await end.more());
      if (/(REJECTED|ERROR)/.test(answer)) throw new Error(`dbus-broker refuses ${process.who}: ${answer.trim()}`);
    }
    end.name = String((await end.ask("Hello")).args[0]);
    return end;
  }

  /** Calls the driver of the bus. @throws Error with the name of the error it answers */
  async ask(member: string, ...args: readonly DbusArg[]): Promise<DbusReceived> {
    const answer = await this.answerTo(await this.send({ type: "call", ...BUS, member, args }));
    if (answer.type === "error") throw new Error(`${member} of the D-Bus driver: ${answer.errorName ?? ""} ${String(answer.args[0])}`);
    return answer;
  }

  /** @returns a value of {@link REQUEST_NAME}; it never waits in a queue */
  async requestName(name: string): Promise<number> {
    const DO_NOT_QUEUE = 4;
    return Number((await this.ask("RequestName", name, DO_NOT_QUEUE)).args[0]);
  }

  /** Hears when a name changes hands. */
  async watch(name: string): Promise<void> {
    await this.ask("AddMatch", `type='signal',sender='${BUS.destination}',member='NameOwnerChanged',arg0='${name}'`);
  }

  /** A call of whoever owns the name. @returns its serial, for {@link answerTo} */
  call(destination: string, args: readonly DbusArg[] = [], fds: readonly number[] = []): Promise<number> {
    return this.send({ type: "call", destination, ...SERVER, member: "Call", args }, fds);
  }

  /** Many messages in one piece of memory, each with its own number from 1 on as argument. */
  async flood(destination: string, count: number, kind: "call" | "signal"): Promise<void> {
    const messages = Array.from({ length: count }, (_, index) => encodeDbus({ type: kind, noReply: true, serial: ++this.serial, destination, ...SERVER, member: "Count", args: [index + 1] }));
    await this.put(Uint8Array.from(Buffer.concat(messages)), []);
  }

  reply(to: DbusReceived, args: readonly DbusArg[] = [], fds: readonly number[] = []): Promise<number> {
    return this.send({ type: "return", replySerial: to.serial, destination: to.sender ?? "", args }, fds);
  }

  /** The next message that is no answer of the driver's. @throws Error if none comes in time */
  async receive(): Promise<DbusReceived> {
    return this.first(() => true);
  }

  /** The reply or error that answers a call; what came before it stays to be received. */
  async answerTo(serial: number): Promise<DbusReceived> {
    return this.first((message) => message.replySerial === serial);
  }

  /** What came and was not received yet; nothing is waited for. */
  received(): DbusReceived[] {
    return this.unread.splice(0);
  }

  private async first(fits: (message: DbusReceived) => boolean): Promise<DbusReceived> {
    for (let looked = 0; ; ) {
      const index = this.unread.findIndex((message, at) => at >= looked && fits(message));
      if (index >= 0) return this.unread.splice(index, 1)[0]!;
      looked = this.unread.length;
      await this.fill();
    }
  }

  private async send(message: Omit<DbusMessage, "serial">, fds: readonly number[] = []): Promise<number> {
    const serial = ++this.serial;
    await this.put(encodeDbus({ ...message, serial, ...(fds.length > 0 ? { fds: fds.length } : {}) }), fds);
    this.process.note(`D-Bus ${message.type} ${message.member ?? ""} to ${message.destination ?? ""}`, `serial ${serial}`);
    return serial;
  }

  /** sendmsg until all is written. */
  private async put(bytes: Uint8Array, fds: readonly number[]): Promise<void> {
    const width = longBytes(this.process.peer.arch);
    const header = 2 * 4 + width;
    const control = memory(concat([words(width, [header + 4 * fds.length]), words(4, [SOL_SOCKET, SCM_RIGHTS, ...fds])]), "control");
    for (let at = 0; at < bytes.length; ) {
      const data = memory(bytes.subarray(at, at + (1 << 20)), "D-Bus bytes");
      const vector = memory(words(width, [address(data), data.size]), "iovec");
      const withFds = at === 0 && fds.length > 0;
      const message = memory(words(width, [0, 0, address(vector), 1, withFds ? address(control) : 0, withFds ? control.size : 0, 0]), "msghdr");
      at += Number(await this.process.must("sendmsg", this.fd, message, 0));
    }
  }

  /** Reads until at least one more message is whole. */
  private async fill(): Promise<void> {
    for (;;) {
      const size = this.bytes.length < DBUS_HEAD ? Infinity : dbusSize(this.bytes);
      if (this.bytes.length >= size) {
        const message = decodeDbus(this.bytes.slice(0, size));
        this.bytes = this.bytes.slice(size);
        if (isOwnNameSignal(message)) continue;
        this.unread.push({ ...message, descriptors: this.descriptors.splice(0, message.fds ?? 0) });
        return;
      }
      const more = await this.more(size === Infinity ? PIECE : Math.min(CHUNK, Math.max(PIECE, size - this.bytes.length)));
      this.bytes = new Uint8Array(Buffer.concat([this.bytes, more]));
    }
  }

  /** Waits for bytes and takes them; descriptors are put aside. @throws Error when none come, or the broker ends the connection */
  private async more(most = PIECE): Promise<Uint8Array> {
    const width = longBytes(this.process.peer.arch);
    const data = memory(most, "room");
    const control = memory(CONTROL, "control");
    const vector = memory(words(width, [address(data), data.size]), "iovec");
    const message = memory(words(width, [0, 0, address(vector), 1, address(control), control.size, 0]), "msghdr");
    const script = new Script();
    script.program.poll(this.fd, POLLIN, PATIENCE_MS);
    const step = script.syscall("recvmsg", this.fd, message, MSG_CMSG_CLOEXEC | 0x40); // MSG_DONTWAIT
    const [header, ancillary, bytes] = [script.load(message), script.load(control), script.load(data)];
    const result = await this.process.run(script);
    const { value, errno } = result.of(step);
    if (errno !== null) throw new BusError("recvmsg from dbus-broker", errno);
    if (value === 0n) throw new Error(`dbus-broker ended the connection of ${this.process.who}`);
    const got = new DataView(result.bytes(header).buffer).getUint32(5 * width, true);
    if (got > 0) {
      const view = new DataView(result.bytes(ancillary).buffer);
      for (let at = width + 8; at < Math.min(view.getUint32(0, true), width + 8 + 4 * MOST_FDS); at += 4) this.descriptors.push(view.getInt32(at, true));
    }
    return result.bytes(bytes).slice(0, Number(value));
  }
}

/** The driver tells each connection of its own names, wanted or not. */
function isOwnNameSignal(message: DbusMessage): boolean {
  return message.type === "signal" && message.sender === BUS.destination && /^Name(Acquired|Lost)$/.test(message.member ?? "");
}
