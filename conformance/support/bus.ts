import * as abi from "../../fixtures/abi/constants.ts";
import { decodeStruct } from "../../fixtures/abi/decode.ts";
import { encodeCommand, item, type Item, type Value } from "../../fixtures/abi/encode.ts";
import { Connection } from "./connection.ts";
import { describeCommand } from "./describe.ts";
import { BusError } from "./errno.ts";
import { memory } from "./memory.ts";
import type { Process } from "./process.ts";
import { resultOf, Script } from "./script.ts";

export interface BusOptions {
  /** Behind `<euid>-`; by default a name not yet used. */
  readonly name?: string;
  /** MAKE flags; by default world access, so that processes of other users can connect. */
  readonly flags?: bigint;
  readonly bloom?: { readonly size: number; readonly hashes: number };
  /** What the creator shows in BUS_CREATOR_INFO. */
  readonly attachFlagsSend?: Value;
  readonly items?: readonly Item[];
}

export interface ConnectOptions {
  /** The process that connects; by default the one that made the bus. */
  readonly by?: Process;
  /** HELLO flags; by default ACCEPT_FD. */
  readonly flags?: bigint;
  /** Bytes, a multiple of the page size. Default 1 MiB; a message needs a sixth of it. */
  readonly pool?: Value;
  readonly attachSend?: Value;
  /** Metadata wanted; by default none, so that messages have a known size. */
  readonly attachRecv?: Value;
  readonly description?: string;
  readonly items?: readonly Item[];
}

/** One kdbusfs mount. */
export class Domain {
  /** Where it is mounted, for example `/sys/fs/kdbus`. */
  readonly path: string;
  private static made = 0;

  constructor(path: string) {
    this.path = path;
  }

  get control(): string {
    return `${this.path}/control`;
  }

  /** BUS_MAKE by this process; the bus lives until its owner descriptor is closed or the process ends. @throws BusError */
  async makeBus(owner: Process, options: BusOptions = {}): Promise<Bus> {
    const name = `${owner.euid}-${options.name ?? `bus${++Domain.made}`}`;
    const bloom = options.bloom ?? { size: 64, hashes: 1 };
    const attach = options.attachFlagsSend === undefined ? [] : [item.attachFlagsSend(options.attachFlagsSend)];
    const command = encodeCommand("BUS_MAKE", { flags: options.flags ?? abi.MAKE.ACCESS_WORLD }, [item.makeName(name), item.bloomParameter(bloom.size, bloom.hashes), ...attach, ...(options.items ?? [])]);
    const { fd, errno } = await setUp(owner, this.control, "BUS_MAKE", command);
    if (errno !== null) throw new BusError("BUS_MAKE", errno);
    return new Bus(this, owner, name, fd, bloom);
  }
}

/** Something one can connect through: a default endpoint or a custom one. */
export class Endpoint {
  readonly path: string;
  readonly owner: Process;
  /** The descriptor that keeps it alive. */
  readonly ownerFd: number;

  constructor(path: string, owner: Process, ownerFd: number) {
    this.path = path;
    this.owner = owner;
    this.ownerFd = ownerFd;
  }

  /** HELLO; the pool is mapped in the connecting process and the answer's slice freed. @throws BusError */
  async connect(options: ConnectOptions = {}): Promise<Connection> {
    const by = options.by ?? this.owner;
    const size = options.pool ?? 1 << 20;
    const encoded = encodeCommand(
      "HELLO",
      { flags: options.flags ?? abi.HELLO.ACCEPT_FD, pool_size: size, attach_flags_send: options.attachSend ?? abi.ATTACH_ALL, attach_flags_recv: options.attachRecv ?? 0 },
      [...(options.description === undefined ? [] : [item.description(options.description)]), ...(options.items ?? [])],
    );
    const script = new Script();
    const hello = memory(encoded, "hello");
    const path = memory(`${this.path}\0`, "path");
    const free = memory(encodeCommand("FREE", {}));
    const open = by.openStep(script, path);
    const step = script.ioctl(resultOf(open), abi.COMMANDS.HELLO, hello);
    const pool = script.map(resultOf(open), size, by.peer.reserve(0));
    const after = script.load(hello);
    const answer = script.loadSlice(resultOf(pool), { memory: hello, at: 64 }, { memory: hello, at: 72 });
    script.copy({ memory: hello, at: 64 }, { memory: free, at: 24 });
    script.ioctl(resultOf(open), abi.COMMANDS.FREE, free);
    const result = await by.run(script);
    const opened = result.of(open);
    if (opened.errno !== null) {
      by.note(`open ${this.path}`, opened.errno);
      throw new BusError(`open of ${this.path}`, opened.errno);
    }
    const { errno } = result.of(step);
    by.note(`${describeCommand("HELLO", encoded.bytes)} on ${this.path}`, errno ?? `id ${decodeStruct("cmd_hello", result.bytes(after)).id}`);
    const fd = Number(opened.value);
    if (errno !== null) {
      await by.close(fd);
      throw new BusError("HELLO", errno);
    }
    const mapped = result.of(pool);
    if (mapped.errno !== null) throw new BusError("mmap of the pool", mapped.errno);
    return new Connection(by, fd, decodeStruct("cmd_hello", result.bytes(after)), result.bytes(answer), BigInt.asUintN(64, mapped.value));
  }

  /** HELLO as activator of a name, with policy for it. */
  connectActivator(name: string, options: ConnectOptions = {}): Promise<Connection> {
    return this.connect({ ...options, flags: abi.HELLO.ACTIVATOR | (options.flags ?? abi.HELLO.ACCEPT_FD), items: [item.name(name), ...(options.items ?? [])] });
  }

  /** HELLO as policy holder: grants on a name (or wildcard) for as long as the connection lives. */
  connectPolicyHolder(name: string, grants: readonly Item[], options: ConnectOptions = {}): Promise<Connection> {
    return this.connect({ ...options, flags: abi.HELLO.POLICY_HOLDER | (options.flags ?? 0n), items: [item.name(name), ...grants, ...(options.items ?? [])] });
  }

  /** HELLO as monitor. */
  connectMonitor(options: ConnectOptions = {}): Promise<Connection> {
    return this.connect({ ...options, flags: abi.HELLO.MONITOR | (options.flags ?? abi.HELLO.ACCEPT_FD) });
  }

  /** Closes the owner descriptor: the endpoint (or bus) ends with all its connections. */
  async close(): Promise<void> {
    await this.owner.close(this.ownerFd);
    this.owner.note(`close the owner of ${this.path}`, "0");
  }
}

export class Bus extends Endpoint {
  readonly domain: Domain;
  /** Directory name, with the uid. */
  readonly name: string;
  readonly bloom: { readonly size: number; readonly hashes: number };

  constructor(domain: Domain, owner: Process, name: string, ownerFd: number, bloom: { readonly size: number; readonly hashes: number }) {
    super(`${domain.path}/${name}/bus`, owner, ownerFd);
    this.domain = domain;
    this.name = name;
    this.bloom = bloom;
  }

  get directory(): string {
    return `${this.domain.path}/${this.name}`;
  }

  /** ENDPOINT_MAKE by the owner or another privileged process. @throws BusError */
  async makeEndpoint(options: { readonly name?: string; readonly flags?: bigint; readonly by?: Process } = {}): Promise<CustomEndpoint> {
    const by = options.by ?? this.owner;
    const name = `${by.euid}-${options.name ?? "endpoint"}`;
    const { fd, errno } = await setUp(by, this.path, "ENDPOINT_MAKE", encodeCommand("ENDPOINT_MAKE", { flags: options.flags ?? abi.MAKE.ACCESS_WORLD }, [item.makeName(name)]));
    if (errno !== null) throw new BusError("ENDPOINT_MAKE", errno);
    return new CustomEndpoint(`${this.directory}/${name}`, by, fd);
  }
}

export class CustomEndpoint extends Endpoint {
  /** ENDPOINT_UPDATE: replaces the whole policy. */
  async update(items: readonly Item[]): Promise<void> {
    const { errno } = await this.owner.command(this.ownerFd, "ENDPOINT_UPDATE", encodeCommand("ENDPOINT_UPDATE", {}, items));
    if (errno !== null) throw new BusError("ENDPOINT_UPDATE", errno);
  }
}

/** Grants for policy items. */
export const grant = {
  user: (uid: Value, access: bigint): Item => item.policyAccess(abi.POLICY_TYPE.USER, access, uid),
  group: (gid: Value, access: bigint): Item => item.policyAccess(abi.POLICY_TYPE.GROUP, access, gid),
  world: (access: bigint): Item => item.policyAccess(abi.POLICY_TYPE.WORLD, access),
} as const;

async function setUp(by: Process, path: string, name: "BUS_MAKE" | "ENDPOINT_MAKE", encoded: ReturnType<typeof encodeCommand>): Promise<{ readonly fd: number; readonly errno: string | null }> {
  const script = new Script();
  const open = by.openStep(script, memory(`${path}\0`, "path"));
  const step = script.ioctl(resultOf(open), abi.COMMANDS[name], memory(encoded));
  const result = await by.run(script);
  const opened = result.of(open);
  if (opened.errno !== null) {
    by.note(`open ${path}`, opened.errno);
    throw new BusError(`open of ${path}`, opened.errno);
  }
  const { errno } = result.of(step);
  by.note(`${describeCommand(name, encoded.bytes)} on ${path}`, errno ?? "0");
  if (errno !== null) await by.close(Number(opened.value));
  return { fd: Number(opened.value), errno };
}
