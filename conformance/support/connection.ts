import * as abi from "../../fixtures/abi/constants.ts";
import { decodeInfo, decodeList, decodeMessage, decodeStruct, type Decoded, type Info, type Message } from "../../fixtures/abi/decode.ts";
import { encodeCommand, item, type CommandFields, type Encoded, type Item, type Value } from "../../fixtures/abi/encode.ts";
import { describeCommand, describeMessage, describeSent } from "./describe.ts";
import { BusError } from "./errno.ts";
import { address, memory, type Memory } from "./memory.ts";
import { encodeOptions, type Destination, type MessageOptions } from "./message-options.ts";
import type { Pending, Process } from "./process.ts";
import { Script, type Arg } from "./script.ts";
import type { Call, Read } from "../../orchestration/guest/program.ts";

/** Outcome of a command that is allowed to fail: the error's name and the command as the kernel left it. */
export interface RawResult {
  readonly errno: string | null;
  readonly bytes: Uint8Array;
}

/** What RECV, or a synchronous SEND, handed over. */
export interface Received extends Message {
  readonly offset: bigint;
  /** Size of the slice, not of the message. */
  readonly msgSize: bigint;
  /** INCOMPLETE_FDS or 0. */
  readonly returnFlags: bigint;
  /** Messages lost since the last report; 0 for synchronous replies. */
  readonly droppedMsgs: bigint;
  /** The whole slice, from the header on. */
  readonly slice: Uint8Array;
}

export interface RecvOptions {
  readonly flags?: bigint;
  readonly priority?: Value;
  /** Leaves the slice allocated; otherwise it is freed after its bytes were read. */
  readonly keep?: boolean;
}

/**
 * A connected handle as one process of the guest uses it. Every operation costs one round trip; failures throw
 * {@link BusError}, which `expectErrno` expects.
 */
export class Connection {
  readonly process: Process;
  readonly fd: number;
  readonly id: bigint;
  readonly poolSize: number;
  /** All of cmd_hello as the kernel wrote it. */
  readonly hello: Decoded<"cmd_hello">;
  /** The answer in the pool: a BLOOM_PARAMETER item. */
  readonly helloAnswer: Uint8Array;
  /** Where the pool is mapped in the process. */
  readonly pool: bigint;
  private nextCookie = 1n;

  constructor(process: Process, fd: number, hello: Decoded<"cmd_hello">, helloAnswer: Uint8Array, pool: bigint) {
    this.process = process;
    this.fd = fd;
    this.hello = hello;
    this.helloAnswer = helloAnswer;
    this.id = hello.id;
    this.poolSize = Number(hello.pool_size);
    this.pool = pool;
  }

  get who(): string {
    return `${this.process.who}:${this.id}`;
  }

  /** SEND. @returns the command as the kernel left it, and the cookie used */
  async send(to: Destination, options: MessageOptions = {}): Promise<Decoded<"cmd_send"> & { readonly cookie: bigint }> {
    const { command, message, cookie } = await this.encodeSend(to, options);
    const { errno, bytes } = await this.rawSend(command, message);
    if (errno !== null) throw new BusError("SEND", errno);
    return { ...decodeStruct("cmd_send", bytes), cookie };
  }

  /** A signal to everybody. The filter defaults to all ones, which fits every mask. */
  broadcast(options: MessageOptions = {}): ReturnType<Connection["send"]> {
    return this.send("broadcast", { ...options, bloom: options.bloom ?? { filter: this.bloomOnes() } });
  }

  /** Answers a request. */
  reply(request: Pick<Message, "header">, options: MessageOptions = {}): ReturnType<Connection["send"]> {
    return this.send(request.header.src_id, { cookieReply: request.header.cookie, ...options });
  }

  /** A synchronous call on a thread of its own. `keep` leaves the answer's slice allocated. */
  async call(to: Destination, options: MessageOptions & { readonly keep?: boolean } = {}): Promise<Received> {
    return (await this.startCall(to, options)).done;
  }

  /** Starts a synchronous call and returns when its thread sleeps in the kernel (or has ended). */
  async startCall(to: Destination, options: MessageOptions & { readonly keep?: boolean } = {}): Promise<Pending<Received>> {
    const deadline = options.timeoutNs === undefined ? { expectReplyMs: options.expectReplyMs ?? 10_000 } : { flags: abi.MSG.EXPECT_REPLY | (options.flags ?? 0n) };
    const { command, message } = await this.encodeSend(to, { ...options, ...deadline, sendFlags: abi.SEND.SYNC_REPLY | (options.sendFlags ?? 0n) });
    const script = new Script();
    const target = memory(pointAt(command, message));
    const step = script.ioctl(this.fd, abi.COMMANDS.SEND, target);
    const after = script.load(target);
    const slice = script.loadSlice(this.pool, { memory: target, at: 32 }, { memory: target, at: 40 });
    if (options.keep !== true) this.freeFrom(script, target, 32);
    const pending = await this.process.start(script);
    return pending.map((result) => {
      const { errno } = result.of(step);
      const reply = decodeStruct("cmd_send", result.bytes(after)).reply;
      this.note(`${describeCommand("SEND", command.bytes)}: ${describeSent(message.encoded.bytes)}`, errno ?? describeReceived(result.bytes(slice)));
      if (errno !== null) throw new BusError("SEND with SYNC_REPLY", errno);
      return received(result.bytes(slice), reply, 0n);
    });
  }

  /** RECV. @throws BusError EAGAIN if nothing is queued */
  async recv(options: RecvOptions = {}): Promise<Received> {
    const { errno, command, slice } = await this.tryRecv(options);
    if (errno !== null) throw new BusError("RECV", errno);
    return received(slice, command.msg, command.dropped_msgs);
  }

  /** Waits until something is there, then RECV. @throws BusError EAGAIN if nothing came in time */
  async recvWithin(ms: number, options: RecvOptions = {}): Promise<Received> {
    await this.poll(ms, POLLIN);
    return this.recv(options);
  }

  /** RECV with PEEK; the slice counts as handed out, so it must be freed if the message is dropped. */
  peek(options: RecvOptions = {}): Promise<Received> {
    return this.recv({ keep: true, ...options, flags: abi.RECV.PEEK | (options.flags ?? 0n) });
  }

  /** RECV with DROP. @returns the command as the kernel left it */
  async drop(): Promise<Decoded<"cmd_recv">> {
    const { errno, command } = await this.tryRecv({ flags: abi.RECV.DROP });
    if (errno !== null) throw new BusError("RECV with DROP", errno);
    return command;
  }

  /** RECV that reports its error instead of throwing it; `command` shows the lost counter also with EAGAIN. */
  async tryRecv(options: RecvOptions = {}): Promise<{ readonly errno: string | null; readonly command: Decoded<"cmd_recv">; readonly slice: Uint8Array }> {
    const encoded = encodeCommand("RECV", { flags: options.flags ?? 0n, priority: options.priority ?? 0 });
    const script = new Script();
    const command = memory(encoded);
    const step = script.ioctl(this.fd, abi.COMMANDS.RECV, command);
    const after = script.load(command);
    const slice = script.loadSlice(this.pool, { memory: command, at: 40 }, { memory: command, at: 48 });
    if (options.keep !== true) this.freeFrom(script, command, 40);
    const result = await this.process.run(script);
    const { errno } = result.of(step);
    const bytes = result.bytes(slice);
    this.note(describeCommand("RECV", encoded.bytes), errno ?? (bytes.length === 0 ? "nothing" : describeReceived(bytes)));
    return { errno, command: decodeStruct("cmd_recv", result.bytes(after)), slice: bytes };
  }

  /** Everything that is queued, oldest first; ends at EAGAIN. Many in one round trip. */
  async recvAll(options: RecvOptions = {}): Promise<Received[]> {
    const all: Received[] = [];
    for (;;) {
      const encoded = encodeCommand("RECV", { flags: options.flags ?? 0n, priority: options.priority ?? 0 });
      const script = new Script();
      const command = memory(encoded);
      const blank = memory(24);
      const parts = { after: undefined as Read | undefined, slice: undefined as Read | undefined, step: undefined as Call | undefined };
      script.repeat(
        64,
        () => {
          script.copy({ memory: blank, at: 0 }, { memory: command, at: 40 }, 24);
          const step = script.ioctl(this.fd, abi.COMMANDS.RECV, command);
          parts.after = script.load(command);
          parts.slice = script.loadSlice(this.pool, { memory: command, at: 40 }, { memory: command, at: 48 });
          if (options.keep !== true) this.freeFrom(script, command, 40);
          parts.step = step;
          return step;
        },
        { untilError: true },
      );
      const { after, slice, step } = parts;
      if (after === undefined || slice === undefined || step === undefined) throw new RangeError("the loop was not built");
      const result = await this.process.run(script);
      const [errors, commands, slices] = [result.all(step), result.allBytes(after), result.allBytes(slice)];
      for (const [index, { errno }] of errors.entries()) {
        const bytes = slices[index] ?? new Uint8Array(0);
        this.note(describeCommand("RECV", encoded.bytes), errno ?? describeReceived(bytes));
        if (errno === "EAGAIN") return all;
        if (errno !== null) throw new BusError("RECV", errno);
        const left = decodeStruct("cmd_recv", commands[index] ?? new Uint8Array(0));
        all.push(received(bytes, left.msg, left.dropped_msgs));
      }
    }
  }

  /** Sends `count` messages in a loop of the guest, with rising cookies from the given one (default 1); ends at the first error. */
  async flood(to: Destination, count: number, options: MessageOptions = {}): Promise<{ readonly sent: number; readonly errno: string | null }> {
    const { command, message } = await this.encodeSend(to, { cookie: 1n, ...options });
    const target = memory(pointAt(command, message));
    const script = new Script();
    const calls: Call[] = [];
    script.repeat(
      count,
      () => {
        const call = script.ioctl(this.fd, abi.COMMANDS.SEND, target);
        calls.push(call);
        return call;
      },
      { untilError: true, add: [{ memory: message, at: 48, by: 1 }] },
    );
    const outcomes = (await this.process.run(script)).all(calls[0] as Call);
    const errno = outcomes.at(-1)?.errno ?? null;
    const sent = outcomes.filter((outcome) => outcome.errno === null).length;
    this.note(`up to ${count} times ${describeCommand("SEND", command.bytes)}: ${describeSent(message.encoded.bytes)}`, `${sent} sent${errno === null ? "" : `, then ${errno}`}`);
    return { sent, errno };
  }

  /** The same connection in another process that holds the handle under this number. Maps the pool there. */
  async usedBy(process: Process, fd: number): Promise<Connection> {
    const script = new Script();
    const map = script.map(fd, this.poolSize, process.peer.reserve(0));
    const { value, errno } = (await process.run(script)).of(map);
    if (errno !== null) throw new BusError("mmap of the pool", errno);
    return new Connection(process, fd, this.hello, this.helloAnswer, BigInt.asUintN(64, value));
  }

  /** NAME_ACQUIRE. @returns return_flags */
  async acquire(name: string, flags: bigint = 0n): Promise<bigint> {
    return (await this.command("NAME_ACQUIRE", { flags }, [item.name(name)])).return_flags;
  }

  async release(name: string): Promise<void> {
    await this.command("NAME_RELEASE", {}, [item.name(name)]);
  }

  /** MATCH_ADD; without rules it fits everything. @returns the cookie, by default one not yet used */
  async addMatch(rules: readonly Item[] = [], options: { readonly cookie?: bigint; readonly flags?: bigint } = {}): Promise<bigint> {
    const cookie = options.cookie ?? this.takeCookie();
    await this.command("MATCH_ADD", { cookie, flags: options.flags ?? 0n }, rules);
    return cookie;
  }

  async removeMatch(cookie: bigint): Promise<void> {
    await this.command("MATCH_REMOVE", { cookie });
  }

  /** LIST; the slice is freed. */
  async list(flags: bigint): Promise<Info[]> {
    const { bytes } = await this.answer("LIST", encodeCommand("LIST", { flags }), 24);
    return decodeList(bytes);
  }

  /** CONN_INFO by id, connection or name; the slice is freed. */
  async info(of: Destination, attach: Value = abi.ATTACH_ALL): Promise<Info> {
    const byName = typeof of === "string";
    const id = typeof of === "string" ? 0n : typeof of === "bigint" ? of : of.id;
    const { bytes } = await this.answer("CONN_INFO", encodeCommand("CONN_INFO", { id, attach_flags: attach }, byName ? [item.name(of)] : []), 40);
    return decodeInfo(bytes);
  }

  /** BUS_CREATOR_INFO; the slice is freed. */
  async creatorInfo(attach: Value = abi.ATTACH_ALL): Promise<Info> {
    const { bytes } = await this.answer("BUS_CREATOR_INFO", encodeCommand("BUS_CREATOR_INFO", { attach_flags: attach }), 40);
    return decodeInfo(bytes);
  }

  async update(items: readonly Item[]): Promise<void> {
    await this.command("UPDATE", {}, items);
  }

  async byebye(): Promise<void> {
    await this.command("BYEBYE", {});
  }

  async free(offset: bigint | number): Promise<void> {
    await this.command("FREE", { offset });
  }

  /** poll(2) on the handle. @returns revents, 0 after `timeoutMs` without any */
  poll(timeoutMs = 0, events = POLLIN | POLLOUT): Promise<number> {
    return this.process.poll(this.fd, events, timeoutMs);
  }

  /** Bytes of the pool as the process sees them in its mapping, whoever owns them. */
  async poolBytes(offset: number, size: number): Promise<Uint8Array> {
    return this.process.readMemory(this.pool + BigInt(offset), size);
  }

  /** Closes the descriptor; the connection ends if nobody else holds the handle. */
  async close(): Promise<void> {
    await this.process.close(this.fd);
    this.note("close", "0");
  }

  /** Any command with valid fields and items; throws on failure. @returns the fixed part as the kernel left it */
  async command<C extends abi.CommandName>(name: C, fields: CommandFields<C>, items: readonly Item[] = []): Promise<Decoded<"cmd">> {
    const { errno, bytes } = await this.ioctl(name, encodeCommand(name, fields, items));
    if (errno !== null) throw new BusError(name, errno);
    return decodeStruct("cmd", bytes);
  }

  /** The ioctl itself with any bytes, or any pointer; nothing is checked and no failure thrown. */
  async ioctl(name: abi.CommandName, argument: Encoded | Memory | Arg): Promise<RawResult> {
    return this.process.command(this.fd, name, argument, this.who);
  }

  /** SEND with any bytes. The command's msg_address is pointed at the message unless the command has already a hole or a value there. */
  async rawSend(command: Encoded, message: Memory): Promise<RawResult & { readonly message: Uint8Array }> {
    const script = new Script();
    const target = memory(pointAt(command, message));
    const step = script.ioctl(this.fd, abi.COMMANDS.SEND, target);
    const after = script.load(target);
    const messageAfter = script.load(message);
    const result = await this.process.run(script);
    const { errno } = result.of(step);
    this.note(`${describeCommand("SEND", command.bytes)}: ${describeSent(message.encoded.bytes)}`, errno ?? "0");
    return { errno, bytes: result.bytes(after), message: result.bytes(messageAfter) };
  }

  /** The command and message of a SEND, for scripts and raw tests. */
  async encodeSend(to: Destination, options: MessageOptions): Promise<{ readonly command: Encoded; readonly message: Memory; readonly cookie: bigint }> {
    const cookie = options.cookie ?? this.takeCookie();
    const { expectReplyMs } = options;
    const timeoutNs = options.timeoutNs ?? (expectReplyMs === undefined ? undefined : await this.process.deadlineNs(expectReplyMs));
    const message = memory(encodeOptions(to, { ...options, ...(timeoutNs === undefined ? {} : { timeoutNs }), cookie }), "message");
    const command = encodeCommand("SEND", { flags: options.sendFlags ?? 0n }, options.sendItems ?? []);
    return { command, message, cookie: typeof cookie === "object" ? 0n : BigInt.asUintN(64, BigInt(cookie)) };
  }

  /** A filter of the bus's size with every bit set. */
  bloomOnes(): Uint8Array {
    return new Uint8Array(this.bloomSize()).fill(0xff);
  }

  bloomSize(): number {
    return Number(decodeStruct("bloom_parameter", this.helloAnswer, 16).size);
  }

  private takeCookie(): bigint {
    return this.nextCookie++;
  }

  private async answer(name: abi.CommandName, encoded: Encoded, offsetAt: number): Promise<{ readonly bytes: Uint8Array }> {
    const script = new Script();
    const command = memory(encoded);
    const step = script.ioctl(this.fd, abi.COMMANDS[name], command);
    const slice = script.loadSlice(this.pool, { memory: command, at: offsetAt }, { memory: command, at: offsetAt + 8 });
    this.freeFrom(script, command, offsetAt);
    const result = await this.process.run(script);
    const { errno } = result.of(step);
    const bytes = result.bytes(slice);
    this.note(describeCommand(name, encoded.bytes), errno ?? `${bytes.length} bytes`);
    if (errno !== null) throw new BusError(name, errno);
    return { bytes };
  }

  // Whether FREE works is judged by its own tests, so its result is not looked at here.
  private freeFrom(script: Script, command: Memory, offsetAt: number): void {
    const free = memory(encodeCommand("FREE", {}));
    script.copy({ memory: command, at: offsetAt }, { memory: free, at: 24 });
    script.ioctl(this.fd, abi.COMMANDS.FREE, free);
  }

  private note(what: string, result: string): void {
    this.process.transcript.add({ who: this.who, what, result });
  }
}

function received(slice: Uint8Array, info: Decoded<"msg_info">, dropped: bigint): Received {
  return { ...decodeMessage(slice), offset: info.offset, msgSize: info.msg_size, returnFlags: info.return_flags, droppedMsgs: dropped, slice };
}

function describeReceived(slice: Uint8Array): string {
  try {
    return describeMessage(decodeMessage(slice));
  } catch (error) {
    return `no message: ${(error as Error).message}`;
  }
}

const MSG_ADDRESS_AT = 24;
const [POLLIN, POLLOUT] = [0x1, 0x4];

function pointAt(command: Encoded, message: Memory): Encoded {
  const { bytes, patches } = command;
  const given = patches.some((patch) => patch.at === MSG_ADDRESS_AT) || bytes.length < 32 || bytes.subarray(MSG_ADDRESS_AT, 32).some((byte) => byte !== 0);
  return given ? command : { bytes, patches: [...patches, { at: MSG_ADDRESS_AT, width: 8, source: address(message).later }] };
}
