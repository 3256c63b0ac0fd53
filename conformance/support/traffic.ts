import * as abi from "../../fixtures/abi/constants.ts";
import { decodeMessage, type Message } from "../../fixtures/abi/decode.ts";
import { encodeCommand, item } from "../../fixtures/abi/encode.ts";
import type { Call, Read } from "../../orchestration/guest/program.ts";
import { grant, type Endpoint } from "./bus.ts";
import type { Connection } from "./connection.ts";
import { address, memory, type Memory } from "./memory.ts";
import type { Destination, MessageOptions } from "./message-options.ts";
import type { Process } from "./process.ts";
import { Script, ScriptResult } from "./script.ts";
import { ToldScript } from "./told-script.ts";

/** A SEND as a step of a script. `command` and `message` are the memories used, to count up, to load or to send again. */
export interface SendStep {
  readonly call: Call;
  readonly command: Memory;
  readonly message: Memory;
}

/** Where the cookie and the timeout or cookie_reply stand in a message. */
export const MESSAGE_AT = { cookie: 48, cookieReply: 56 } as const;

/** Encodes a SEND once and gives a function that adds it as a step, so that loops can have it. */
export async function prepareSend(from: Connection, to: Destination, options: MessageOptions = {}): Promise<{ readonly command: Memory; readonly message: Memory; step(script: Script): SendStep }> {
  const { message } = await from.encodeSend(to, options);
  const command = memory(encodeCommand("SEND", { flags: options.sendFlags ?? 0n, msg_address: address(message) }, options.sendItems ?? []), "send");
  return { command, message, step: (script) => ({ call: script.ioctl(from.fd, abi.COMMANDS.SEND, command), command, message }) };
}

/** Sets the deadline of a request so many milliseconds from the moment the script passes this step: a busy host cannot use it up before. */
export function deadlineFromHere(script: Script, message: Memory, ms: number): void {
  const { program } = script;
  program.store(script.place(message).plus(MESSAGE_AT.cookieReply), program.compute(program.clock(1), "+", ms * 1_000_000));
}

/**
 * A synchronous call that nobody answers, until its deadline. On a busy host the deadline may be over before SEND begins, and
 * then nothing is sent; so it is called again with more time until the request is there.
 * @returns the error of the last call
 */
export async function callInVain(client: Connection, to: Connection, cookie: number): Promise<string | null> {
  let errno: string | null = null;
  for (const ms of [100, 500, 2_500, 12_500]) {
    const send = await prepareSend(client, to, { cookie, flags: abi.MSG.EXPECT_REPLY, timeoutNs: 1n, sendFlags: abi.SEND.SYNC_REPLY });
    const script = new Script();
    deadlineFromHere(script, send.message, ms);
    const { call } = send.step(script);
    ({ errno } = (await (await client.process.start(script)).done).of(call));
    client.process.note(`SEND SYNC_REPLY to id ${to.id}, cookie ${cookie}, with a deadline ${ms} ms from then`, errno ?? "0");
    if (errno !== "ETIMEDOUT" || ((await to.poll()) & 0x1) !== 0) break;
  }
  return errno;
}

/**
 * Does what must be over before a deadline; on a host that was too busy for it, again with more time. What `work` expects of
 * the bus counts only if it was in time. It must use connections of its own.
 */
export async function inTime<T>(process: Process, work: (deadlineNs: bigint) => Promise<T>): Promise<T> {
  const patience = [1_500, 6_000, 24_000];
  for (const [attempt, ms] of patience.entries()) {
    const deadline = await process.deadlineNs(ms);
    const outcome = await work(deadline).then((value) => ({ value }), (error: unknown) => ({ error }));
    const late = (await process.monotonicNs()) >= deadline;
    if (late && attempt < patience.length - 1) {
      process.note(`what had to be done before the deadline took more than ${ms} ms`, "again with more time");
      continue;
    }
    if ("error" in outcome) throw outcome.error;
    return outcome.value;
  }
  throw new RangeError("the last attempt returns or throws");
}

/** Milliseconds until a little behind a deadline. */
export async function untilBehind(process: Process, deadlineNs: bigint): Promise<number> {
  return Math.max(0, Number((deadlineNs - (await process.monotonicNs())) / 1_000_000n)) + 200;
}

/** Messages taken by a loop of a script; `messages` tells what they were. */
export interface TakeLoop {
  messages(result: ScriptResult): Message[];
}

/** RECV again and again inside the guest, as often as told; where nothing is queued the turn only yields. Slices are freed. */
export function takeLoop(script: Script, from: Connection, turns: number): TakeLoop {
  const command = memory(encodeCommand("RECV", {}));
  const free = memory(encodeCommand("FREE", {}));
  const slices: Read[] = [];
  script.repeat(turns, () => {
    const recv = script.ioctl(from.fd, abi.COMMANDS.RECV, command);
    script.program.if(
      recv.err,
      "==",
      0,
      () => {
        slices.push(script.loadSlice(from.pool, { memory: command, at: 40 }, { memory: command, at: 48 }));
        script.copy({ memory: command, at: 40 }, { memory: free, at: 24 });
        script.ioctl(from.fd, abi.COMMANDS.FREE, free);
      },
      () => script.syscall("sched_yield"),
    );
    return recv;
  });
  return { messages: (result) => slices.flatMap((slice) => result.allBytes(slice).map((bytes) => decodeMessage(bytes))) };
}

/** Runs scripts at the same time, each on a thread of its own. @param place of the arena where they wait for each other; not used before by this test */
export async function together(place: number, parts: readonly { readonly process: Process; readonly build: (script: ToldScript) => void }[]): Promise<ScriptResult[]> {
  const started = parts.map(({ process, build }) => {
    const script = new ToldScript();
    script.program.barrier(script.program.arena(place), parts.length);
    build(script);
    return { process, script, result: process.peer.start(script.program).result };
  });
  return Promise.all(started.map(async ({ process, script, result }) => process.told(script, new ScriptResult(await result))));
}

/** Lets everybody talk to a connection: it acquires a name that a policy holder opened to the world. */
export async function openToWorld(bus: Endpoint, connection: Connection, name = "open.to.all"): Promise<void> {
  await bus.connectPolicyHolder(name, [grant.world(abi.POLICY.TALK)]);
  await connection.acquire(name);
}

const POLLHUP = 0x10;

/** The write end of a pipe, to see whether somebody still holds it. */
export interface PipeProbe {
  readonly read: number;
  readonly write: number;
  /** Closes the own write end and waits a second at most. @returns whether no other is left: the read end is at end-of-file */
  released(): Promise<boolean>;
}

export async function pipeProbe(process: Process): Promise<PipeProbe> {
  const { read, write } = await process.pipe();
  let open = true;
  return {
    read,
    write,
    async released() {
      if (open) await process.close(write);
      open = false;
      return ((await process.poll(read, 0, 1000)) & POLLHUP) !== 0;
    },
  };
}

/** An eventfd. */
export async function eventfd(process: Process, value = 0): Promise<number> {
  return Number(await process.must("eventfd2", value, 0o2000000));
}

/** Waits for the handle to become readable and reads the guest's clock then. @returns undefined if nothing woke it within the time */
export async function readableAt(connection: Connection, timeoutMs: number): Promise<bigint | undefined> {
  const script = new Script();
  const began = script.program.clock(1);
  const { ready } = script.program.poll(connection.fd, 0x1, timeoutMs);
  const now = script.program.clock(1);
  const { result } = await (await connection.process.start(script)).done;
  const at = result.unsigned(now);
  return result.number(ready) > 0 && at - result.unsigned(began) < BigInt(timeoutMs) * 1_000_000n ? at : undefined;
}

/** Messages that SENDs of various kinds make: `item.vec` of a text as it stands in a list of items. */
export function textVec(text: string | Uint8Array): ReturnType<typeof item.vec> {
  const data = memory(text, "payload");
  return item.vec(address(data), data.size);
}

/** Address of a page that can be read and written, with nothing mapped behind it. */
export async function pageBeforeHole(process: Process): Promise<bigint> {
  const script = new Script();
  const map = script.map(-1, 8192, process.peer.reserve(0), { protection: 3, flags: 0x22 });
  const at = BigInt.asUintN(64, (await process.run(script)).of(map).value);
  await process.must("munmap", at + 4096n, 4096);
  return at;
}

/** Writes to memory of the process at an address. */
export async function writeMemory(process: Process, at: bigint, bytes: Uint8Array): Promise<void> {
  const script = new Script();
  script.program.copy(at, script.place(memory(bytes)), bytes.length);
  await process.run(script);
}
