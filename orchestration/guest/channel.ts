import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { nowMs } from "../base/deadline.ts";
import { SuiteError } from "../base/errors.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { errnoName } from "./errno.ts";
import { encodeFrame, FRAME, FrameDecoder, type Frame } from "./frame.ts";

/** The agent's own refusal: GUEST_REFUSED with the number of the error. */
export class AgentRefusal extends SuiteError {
  readonly errno: number;

  constructor(what: string, errno: number, why: string) {
    super("GUEST_REFUSED", `${what}: ${why === "" ? errnoName(errno) : why} (${errnoName(errno)})`);
    this.errno = errno;
  }
}

/** AGENT_HELD of the agent: no number of the kernel's. */
const HELD = 0x20000;

/**
 * A process that the kernel does not let die although it was killed. News about the kernel, since the agent beside it answers:
 * a test that meets it fails.
 */
export class HeldInKernel extends Error {
  constructor(what: string, where: string) {
    super(`${what}: ${where}`);
    this.name = "HeldInKernel";
  }
}

interface Waiting {
  readonly what: string;
  readonly sentMs: number;
  readonly resolve: (payload: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

export interface ConnectOptions {
  /** For reaching the socket and the first answer. */
  readonly timeoutMs: number;
  /** Peers of the former client live on; otherwise they are killed. */
  readonly keepPeers?: boolean;
}

const SYNC_REPEAT_MS = 1000;
const TRANSCRIPT_LINES = 400;

/** One connection to the agent: requests by number, events, and the end of it all. */
export class Channel {
  /** Called for each frame that answers no request. */
  onEvent: (frame: Frame) => void = () => undefined;
  /** Rejects nothing: resolves with the reason once the connection is gone. */
  readonly lost: Promise<SuiteError>;
  private readonly socket: Socket;
  private readonly decoder: FrameDecoder;
  private readonly waiting = new Map<number, Waiting>();
  private readonly lines: string[] = [];
  private readonly startMs = nowMs();
  private sent = 0;
  private nextRequest = 1;
  private end: SuiteError | undefined;
  private declareLost: (why: SuiteError) => void = () => undefined;
  private onSynced: () => void = () => undefined;

  private constructor(socket: Socket, nonce: Uint8Array) {
    this.socket = socket;
    this.decoder = new FrameDecoder(nonce);
    this.lost = new Promise((resolve) => (this.declareLost = resolve));
    socket.on("data", (chunk: Buffer) => this.receive(chunk));
    socket.on("error", (error) => this.fail(new SuiteError("GUEST_LOST", `the connection to the agent broke: ${error.message}`, { cause: error })));
    socket.on("close", () => this.fail(new SuiteError("GUEST_LOST", "the connection to the agent closed")));
  }

  /** @throws GUEST_LOST when nothing listens, GUEST_TIMEOUT when no agent answers */
  static async open(socketPath: string, options: ConnectOptions): Promise<Channel> {
    const deadlineMs = nowMs() + options.timeoutMs;
    const nonce = new Uint8Array(randomBytes(16));
    const channel = new Channel(await dial(socketPath, deadlineMs), nonce);
    const hello = new ByteWriter().raw(nonce).u32(options.keepPeers === true ? 1 : 0).u32(0).done();
    let synced = false;
    const answered = new Promise<void>((resolve) => (channel.onSynced = resolve)).then(() => (synced = true));
    while (!synced && channel.end === undefined) {
      if (nowMs() >= deadlineMs) channel.fail(new SuiteError("GUEST_TIMEOUT", `the agent at ${socketPath} did not answer within ${options.timeoutMs} ms`));
      else channel.write(FRAME.SYNC, 0, hello); // again and again: half a frame of a former client may have swallowed it
      const waitMs = Math.max(1, Math.min(SYNC_REPEAT_MS, deadlineMs - nowMs()));
      const stop = new AbortController();
      await Promise.race([answered, channel.lost, sleep(waitMs, undefined, { signal: stop.signal }).catch(() => undefined)]);
      stop.abort();
    }
    if (channel.end !== undefined) throw channel.end;
    return channel;
  }

  /** @throws GUEST_TIMEOUT, GUEST_LOST, GUEST_PROTOCOL, AgentRefusal with the errno, or HeldInKernel */
  request(type: number, payload: Uint8Array, what: string, timeoutMs: number): Promise<Uint8Array> {
    if (this.end !== undefined) return Promise.reject(this.after(what, this.end));
    const request = this.nextRequest++;
    const caller = new Error(); // an error made when the answer comes would not tell which test asked
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(request); // a late answer is dropped
        this.note(`!! ${what}: no answer within ${timeoutMs} ms`);
        reject(from(caller, new SuiteError("GUEST_TIMEOUT", `${what}: the agent did not answer within ${timeoutMs} ms`)));
      }, timeoutMs);
      const settle = (): void => clearTimeout(timer);
      this.waiting.set(request, {
        what,
        sentMs: nowMs(),
        resolve: (bytes) => (settle(), resolve(bytes)),
        reject: (error) => (settle(), reject(from(caller, error))),
      });
      this.note(`>> ${request} ${what} (${payload.length} bytes)`);
      this.write(type, request, payload);
    });
  }

  /** The last requests and answers, one a line: evidence for a failed test. */
  transcript(): string {
    return this.lines.join("\n");
  }

  async close(): Promise<void> {
    const closed = this.socket.closed ? Promise.resolve() : new Promise<void>((resolve) => this.socket.once("close", () => resolve()));
    this.fail(new SuiteError("GUEST_LOST", "the agent's client was closed"));
    await closed;
  }

  private write(type: number, request: number, payload: Uint8Array): void {
    this.socket.write(encodeFrame(type, request, this.sent++, payload));
  }

  private receive(chunk: Uint8Array): void {
    let frames: Frame[];
    try {
      frames = this.decoder.push(chunk);
    } catch (error) {
      this.fail(new SuiteError("GUEST_PROTOCOL", `the agent's wire is damaged: ${(error as Error).message}`, { cause: error }));
      return;
    }
    for (const frame of frames) this.handle(frame);
  }

  private handle(frame: Frame): void {
    if (frame.type === FRAME.SYNCED) {
      const version = new ByteReader(frame.payload.subarray(16)).u32();
      this.note(`<< synced with agent version ${version}`);
      this.onSynced();
      return;
    }
    if (frame.type === FRAME.BAD_FRAME) {
      this.fail(new SuiteError("GUEST_PROTOCOL", `the agent could not read us: ${new ByteReader(frame.payload).text()}`));
      return;
    }
    const waiting = this.waiting.get(frame.request);
    if (frame.type !== FRAME.OK && frame.type !== FRAME.ERROR) {
      this.note(`<< event ${frame.type.toString(16)}`);
      this.onEvent(frame);
      return;
    }
    if (waiting === undefined) return this.note(`<< ${frame.request} too late`);
    this.waiting.delete(frame.request);
    const tookMs = (nowMs() - waiting.sentMs).toFixed(1);
    if (frame.type === FRAME.OK) {
      this.note(`<< ${frame.request} ok (${frame.payload.length} bytes, ${tookMs} ms)`);
      waiting.resolve(frame.payload);
      return;
    }
    const reader = new ByteReader(frame.payload);
    const errno = reader.s32();
    const refusal = errno === HELD ? new HeldInKernel(waiting.what, reader.text()) : new AgentRefusal(waiting.what, errno, reader.text());
    this.note(`<< ${frame.request} ${refusal.message} (${tookMs} ms)`);
    waiting.reject(refusal);
  }

  /** The first reason counts; everything that waits is told. */
  private fail(why: SuiteError): void {
    if (this.end !== undefined) return;
    this.end = why;
    this.note(`!! ${why.message}`);
    this.socket.destroy();
    for (const waiting of this.waiting.values()) waiting.reject(this.after(waiting.what, why));
    this.waiting.clear();
    this.declareLost(why);
  }

  private after(what: string, why: SuiteError): SuiteError {
    return new SuiteError(why.code, `${what}: ${why.message}`, { cause: why });
  }

  private note(line: string): void {
    this.lines.push(`${(nowMs() - this.startMs).toFixed(1)} ${line}`);
    if (this.lines.length > TRANSCRIPT_LINES) this.lines.splice(0, this.lines.length - TRANSCRIPT_LINES);
  }
}

function from(caller: Error, error: Error): Error {
  error.stack = `${error.name}: ${error.message}\n${(caller.stack ?? "").split("\n").slice(2).join("\n")}`;
  return error;
}

/** QEMU makes the socket when it starts, so a missing one is waited for. */
async function dial(path: string, deadlineMs: number): Promise<Socket> {
  for (;;) {
    const socket = connect(path);
    const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
      socket.once("connect", () => resolve(undefined));
      socket.once("error", resolve);
    });
    if (error === undefined) {
      socket.removeAllListeners("error");
      return socket;
    }
    socket.destroy();
    const mayCome = error.code === "ENOENT" || error.code === "ECONNREFUSED" || error.code === "EAGAIN";
    if (!mayCome || nowMs() >= deadlineMs) throw new SuiteError("GUEST_LOST", `nothing answers at ${path}: ${error.code ?? error.message}`, { cause: error });
    await sleep(20);
  }
}
