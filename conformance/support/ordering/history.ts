import type { Message } from "../../../fixtures/abi/decode.ts";

/** Who or what a step was addressed to: a connection, a well-known name, or everybody. */
export type Target = { readonly receiver: bigint } | { readonly name: string } | "everybody";

/** What one thread did, in the order in which it did it. */
export type Step =
  /** `id` is `source/cookie`. Only an accepted unicast message must arrive. */
  | { readonly do: "send"; readonly id: string; readonly to: Target; readonly accepted: boolean; readonly mayBeLost: boolean }
  /** The thread took this message and acted on it from here on. */
  | { readonly do: "receive"; readonly id: string }
  /** A command that announces something; the ids of one step have no order among themselves. `end` marks those of a connection that ends. */
  | { readonly do: "change"; readonly ids: readonly string[]; readonly end: boolean; readonly takes?: { readonly name: string; readonly by: bigint; readonly moves: boolean } }
  /** Threads that tell each other: what stands before `give` has ended before anything behind `take` begins. */
  | { readonly do: "give" | "take"; readonly token: string };

export interface Log {
  readonly thread: string;
  readonly process: string;
  readonly steps: readonly Step[];
}

/** What one connection received, oldest first. */
export interface View {
  readonly receiver: bigint;
  /** True if everything was taken that had been queued, so that what is missing is lost. */
  readonly complete: boolean;
  /** A monitor gets copies of what goes to others. */
  readonly monitor?: boolean;
  readonly seen: readonly Seen[];
}

export interface Seen {
  readonly id: string;
  readonly seqnum?: bigint;
  readonly monotonicNs?: bigint;
}

/** What is known of a piece of traffic: what threads did, and what connections received. */
export interface Story {
  readonly logs: readonly Log[];
  readonly views: readonly View[];
}

interface Endpoint {
  readonly id: bigint;
}

/** Collects a {@link Story} while a test runs. Cookies must be unique for each sender. */
export class History implements Story {
  readonly logs: LogWriter[] = [];
  readonly views: View[] = [];
  private readonly announced = new Map<string, number>();

  /** A thread; of a process of its own unless told. */
  thread(name: string, process = name): LogWriter {
    const log = new LogWriter(name, process, (what) => this.numbered(what, this.announced));
    this.logs.push(log);
    return log;
  }

  /** Everything that a connection received, in the order in which RECV without flags returned it. */
  view(receiver: Endpoint, messages: readonly Message[], options: { readonly complete?: boolean; readonly monitor?: boolean } = {}): this {
    const counts = new Map<string, number>();
    const seen = messages.map((message): Seen => {
      const stamp = message.metadata.timestamp;
      const id = message.notification === undefined ? messageId(message.header.src_id, message.header.cookie) : this.numbered(announcement(message), counts);
      return { id, ...(stamp === undefined ? {} : { seqnum: stamp.seqnum, monotonicNs: stamp.monotonic_ns }) };
    });
    this.views.push({ receiver: receiver.id, complete: options.complete ?? true, monitor: options.monitor ?? false, seen });
    return this;
  }

  /** The same announcement again and again is told apart by counting. */
  private numbered(what: string, counts: Map<string, number>): string {
    const count = (counts.get(what) ?? 0) + 1;
    counts.set(what, count);
    return `${what} #${count}`;
  }
}

class LogWriter implements Log {
  readonly thread: string;
  readonly process: string;
  readonly steps: Step[] = [];
  private readonly number: (what: string) => string;

  constructor(thread: string, process: string, number: (what: string) => string) {
    this.thread = thread;
    this.process = process;
    this.number = number;
  }

  /** A SEND that returned this errno, null for success. A signal may be lost, so it is told as such. */
  send(from: Endpoint, to: Endpoint | string, cookie: bigint | number, options: { readonly errno?: string | null; readonly signal?: boolean } = {}): this {
    const target: Target = to === "everybody" ? to : typeof to === "string" ? { name: to } : { receiver: to.id };
    this.steps.push({ do: "send", id: messageId(from.id, BigInt(cookie)), to: target, accepted: (options.errno ?? null) === null, mayBeLost: options.signal === true || to === "everybody" });
    return this;
  }

  receive(message: { readonly header: Pick<Message["header"], "src_id" | "cookie"> }): this {
    this.steps.push({ do: "receive", id: messageId(message.header.src_id, message.header.cookie) });
    return this;
  }

  /** A command that announces these: `NAME_ADD a.b`, `ID_REMOVE 7`. */
  announce(what: readonly string[], options: { readonly end?: boolean } = {}): this {
    this.steps.push({ do: "change", ids: what.map(this.number), end: options.end ?? false });
    return this;
  }

  /** NAME_ACQUIRE or NAME_RELEASE by which a name came to a connection; `moves` if waiting messages move with it. */
  takes(by: Endpoint, name: string, options: { readonly announces?: readonly string[]; readonly moves?: boolean } = {}): this {
    this.steps.push({ do: "change", ids: (options.announces ?? []).map(this.number), end: false, takes: { name, by: by.id, moves: options.moves ?? false } });
    return this;
  }

  /** The end of a connection, in the order of guarantee 9. */
  ends(of: Endpoint, options: { readonly names?: readonly string[]; readonly requests?: readonly (bigint | number)[] } = {}): this {
    for (const group of [options.names ?? [], (options.requests ?? []).map((cookie) => `REPLY_DEAD ${cookie}`), [`ID_REMOVE ${of.id}`]]) if (group.length > 0) this.announce(group, { end: true });
    return this;
  }

  give(token: string): this {
    this.steps.push({ do: "give", token });
    return this;
  }

  take(token: string): this {
    this.steps.push({ do: "take", token });
    return this;
  }
}

function messageId(source: bigint, cookie: bigint): string {
  return `${source}/${cookie}`;
}

function announcement(message: Message): string {
  const { notification, header } = message;
  if (notification === undefined) return "";
  if ("name" in notification) return `${notification.kind} ${notification.name}`;
  return "id" in notification ? `${notification.kind} ${notification.id}` : `${notification.kind} ${header.timeout_ns}`;
}
