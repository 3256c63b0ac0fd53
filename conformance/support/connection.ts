import * as abi from "../../fixtures/abi/constants.ts";
import { decodeMessage, decodeStruct, type Decoded, type Message } from "../../fixtures/abi/decode.ts";
import { encodeCommand, type Encoded, type Value } from "../../fixtures/abi/encode.ts";
import type { Call, Read } from "../../orchestration/guest/program.ts";
import { describeCommand, describeMessage, describeSent } from "./describe.ts";
import { BusError } from "./errno.ts";
import { Handle, POLLIN, type RawResult } from "./handle.ts";
import { address, memory, type Memory } from "./memory.ts";
import { encodeOptions, type Destination, type MessageOptions } from "./message-options.ts";
import type { Pending, Process } from "./process.ts";
import { Script } from "./script.ts";

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
export class Connection extends Handle {
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

  /**
   * Starts a synchronous call and returns when its thread sleeps in the kernel and the request is queued, or when the call has ended.
   * @param options `at`: who has the request in its queue, if `to` is not that connection
   */
  async startCall(to: Destination, options: MessageOptions & { readonly keep?: boolean; readonly at?: Connection } = {}): Promise<Pending<Received>> {
    const deadline = options.timeoutNs === undefined ? { expectReplyMs: options.expectReplyMs ?? 30_000 } : { flags: abi.MSG.EXPECT_REPLY | (options.flags ?? 0n) };
    const { command, message, timeoutNs } = await this.encodeSend(to, { ...options, ...deadline, sendFlags: abi.SEND.SYNC_REPLY | (options.sendFlags ?? 0n) });
    const script = new Script();
    const target = memory(pointAt(command, message));
    const began = script.program.clock(1);
    const step = script.ioctl(this.fd, abi.COMMANDS.SEND, target);
    const ended = script.program.clock(1);
    const after = script.load(target);
    const slice = script.loadSlice(this.pool, { memory: target, at: 32 }, { memory: target, at: 40 });
    if (options.keep !== true) this.freeFrom(script, target, 32);
    const pending = await this.process.start(script);
    const asked = options.at ?? (to instanceof Connection ? to : undefined);
    await asked?.untilAsked(pending.done);
    return pending.map((result) => {
      const { errno } = result.of(step);
      // The kernel looks at everything once more at the deadline, so a wake-up that was lost ends the call well, but then.
      const far = timeoutNs !== undefined && timeoutNs - result.result.unsigned(began) >= FAR_NS;
      if (far && errno !== "ETIMEDOUT" && result.result.unsigned(ended) >= timeoutNs) throw new Error(`the call ended with ${errno ?? "its reply"} only at its deadline: nothing woke it`);
      const reply = decodeStruct("cmd_send", result.bytes(after)).reply;
      this.note(`${describeCommand("SEND", command.bytes)}: ${describeSent(message.encoded)}`, errno ?? describeReceived(result.bytes(slice)));
      if (errno !== null) throw new BusError("SEND with SYNC_REPLY", errno);
      return received(result.bytes(slice), reply, 0n);
    });
  }

  /** A kernel may sleep before it has queued a request, so a caller that is asleep need not have asked yet. */
  private async untilAsked(call: Promise<unknown>): Promise<void> {
    let over = false;
    const end = (): void => void (over = true);
    call.then(end, end);
    for (let tries = 0; !over && tries < ASKED_TRIES && ((await this.poll(ASKED_MS, POLLIN)) & POLLIN) === 0; tries++);
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
    this.note(`up to ${count} times ${describeCommand("SEND", command.bytes)}: ${describeSent(message.encoded)}`, `${sent} sent${errno === null ? "" : `, then ${errno}`}`);
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

  /** SEND with any bytes. The command's msg_address is pointed at the message unless the command has already a hole or a value there. */
  async rawSend(command: Encoded, message: Memory): Promise<RawResult & { readonly message: Uint8Array }> {
    const script = new Script();
    const target = memory(pointAt(command, message));
    const step = script.ioctl(this.fd, abi.COMMANDS.SEND, target);
    const after = script.load(target);
    const messageAfter = script.load(message);
    const result = await this.process.run(script);
    const { errno } = result.of(step);
    const operation = `${describeCommand("SEND", command.bytes)}: ${describeSent(message.encoded)}`;
    this.note(operation, errno ?? "0");
    return { operation, errno, bytes: result.bytes(after), message: result.bytes(messageAfter) };
  }

  /** The command and message of a SEND, for scripts and raw tests. */
  async encodeSend(to: Destination, options: MessageOptions): Promise<{ readonly command: Encoded; readonly message: Memory; readonly cookie: bigint; readonly timeoutNs: bigint | undefined }> {
    const cookie = options.cookie ?? this.takeCookie();
    const { expectReplyMs } = options;
    const timeoutNs = options.timeoutNs ?? (expectReplyMs === undefined ? undefined : await this.process.deadlineNs(expectReplyMs));
    const message = memory(encodeOptions(to, { ...options, ...(timeoutNs === undefined ? {} : { timeoutNs }), cookie }), "message");
    const command = encodeCommand("SEND", { flags: options.sendFlags ?? 0n }, options.sendItems ?? []);
    const known = typeof timeoutNs === "bigint" || typeof timeoutNs === "number" ? BigInt(timeoutNs) : undefined;
    return { command, message, timeoutNs: known, cookie: typeof cookie === "object" ? 0n : BigInt.asUintN(64, BigInt(cookie)) };
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
/** Deadlines so far away that no busy host makes a call miss them. */
const FAR_NS = 20_000_000_000n;

/** How long, and in which steps, the request of a sleeping caller is waited for. */
const ASKED_MS = 20;
const ASKED_TRIES = 250;

function pointAt(command: Encoded, message: Memory): Encoded {
  const { bytes, patches } = command;
  const given = patches.some((patch) => patch.at === MSG_ADDRESS_AT) || bytes.length < 32 || bytes.subarray(MSG_ADDRESS_AT, 32).some((byte) => byte !== 0);
  return given ? command : { bytes, patches: [...patches, { at: MSG_ADDRESS_AT, width: 8, source: address(message).later }] };
}
