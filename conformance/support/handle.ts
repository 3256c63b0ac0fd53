import * as abi from "../../fixtures/abi/constants.ts";
import { decodeInfo, decodeList, decodeStruct, type Decoded, type Info } from "../../fixtures/abi/decode.ts";
import { encodeCommand, item, type CommandFields, type Encoded, type Item, type Value } from "../../fixtures/abi/encode.ts";
import { describeCommand } from "./describe.ts";
import { BusError } from "./errno.ts";
import { memory, type Memory } from "./memory.ts";
import type { Destination } from "./message-options.ts";
import type { Process } from "./process.ts";
import { Script, type Arg } from "./script.ts";

/** Outcome of a command that is allowed to fail: the error's name and the command as the kernel left it. */
export interface RawResult {
  /** In words, for the message of a failed expectation. */
  readonly operation: string;
  readonly errno: string | null;
  readonly bytes: Uint8Array;
}

/** A connected handle with every command but SEND and RECV, which {@link Connection} adds. */
export class Handle {
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

  /** A filter of the bus's size with every bit set. */
  bloomOnes(): Uint8Array {
    return new Uint8Array(this.bloomSize()).fill(0xff);
  }

  bloomSize(): number {
    return Number(decodeStruct("bloom_parameter", this.helloAnswer, 16).size);
  }

  protected takeCookie(): bigint {
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
  protected freeFrom(script: Script, command: Memory, offsetAt: number): void {
    const free = memory(encodeCommand("FREE", {}));
    script.copy({ memory: command, at: offsetAt }, { memory: free, at: 24 });
    script.ioctl(this.fd, abi.COMMANDS.FREE, free);
  }

  protected note(what: string, result: string): void {
    this.process.transcript.add({ who: this.who, what, result });
  }
}

export const [POLLIN, POLLOUT] = [0x1, 0x4];
