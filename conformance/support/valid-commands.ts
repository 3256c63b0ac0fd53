import * as abi from "../../fixtures/abi/constants.ts";
import { concat, encodeCommand, encodeMessage, encodeStruct, item, plain, string, type CommandFields, type Encoded, type Item, type Value } from "../../fixtures/abi/encode.ts";
import type { Read } from "../../orchestration/guest/program.ts";
import type { Bus } from "./bus.ts";
import { address, memory } from "./memory.ts";
import type { Process } from "./process.ts";
import { Script } from "./script.ts";

type Header = { readonly size?: Value; readonly flags?: Value; readonly return_flags?: Value };

/** One command that would succeed, on a handle of its own that fits it: what a test of the common rules breaks one thing of. */
export interface ValidCommand {
  readonly name: abi.CommandName;
  readonly process: Process;
  readonly fd: number;
  /** Header fields replace the valid ones, items are added behind them; `bare` leaves out the valid items. */
  encode(header?: Header, items?: readonly Item[], options?: { readonly bare?: boolean }): Encoded;
}

/** Every command of the interface, each on a handle of its own, so that what one of them does is nothing to the others. */
export async function validCommands(bus: Bus, process: Process = bus.owner): Promise<ValidCommand[]> {
  const by = process;
  const connection = async () => bus.connect({ by });
  const endpoint = await bus.makeEndpoint({ name: "valid" });
  const define = <C extends abi.CommandName>(name: C, fd: number, fields: CommandFields<C> = {}, items: readonly Item[] = [], owner = process): ValidCommand => ({
    name,
    process: owner,
    fd,
    encode: (header = {}, more = [], { bare = false } = {}) => encodeCommand(name, { ...fields, ...header }, [...(bare ? [] : items), ...more]),
  });
  const [info, sender, receiver, free, releaser, remover] = [await connection(), await connection(), await connection(), await connection(), await connection(), await connection()];
  await receiver.send(receiver, { payload: "valid" });
  await releaser.acquire("valid.release");
  await remover.addMatch([], { cookie: 77n });
  const message = memory(encodeMessage({ dst_id: sender.id, payload_type: abi.PAYLOAD.DBUS, cookie: 1 }, []), "message");
  return [
    define("BUS_MAKE", await process.open(bus.domain.control), {}, [item.makeName(`${process.euid}-valid`), item.bloomParameter(64, 1)]),
    define("ENDPOINT_MAKE", await process.open(bus.path), {}, [item.makeName(`${process.euid}-other`)]),
    define("ENDPOINT_UPDATE", endpoint.ownerFd, {}, [], endpoint.owner),
    define("HELLO", await process.open(bus.path), { pool_size: 65536, flags: abi.HELLO.ACCEPT_FD }),
    define("UPDATE", (await connection()).fd),
    define("BYEBYE", (await connection()).fd),
    define("FREE", free.fd, { offset: free.poolSize }),
    define("CONN_INFO", info.fd, { id: info.id, attach_flags: abi.ATTACH_ALL }),
    define("BUS_CREATOR_INFO", (await connection()).fd, { attach_flags: abi.ATTACH_ALL }),
    define("LIST", (await connection()).fd, { flags: abi.LIST.UNIQUE }),
    define("SEND", sender.fd, { msg_address: address(message) }),
    define("RECV", receiver.fd),
    define("NAME_ACQUIRE", (await connection()).fd, {}, [item.name("valid.acquire")]),
    define("NAME_RELEASE", releaser.fd, {}, [item.name("valid.release")]),
    define("MATCH_ADD", (await connection()).fd, { cookie: 77 }),
    define("MATCH_REMOVE", remover.fd, { cookie: 77 }),
  ];
}

/** What became of one of several ioctls: its error, or null, and the command as the kernel left it. */
export interface Outcome {
  readonly errno: string | null;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

/** The same ioctl with several arguments, one after the other in one round trip. */
export async function ioctls(process: Process, fd: number, name: abi.CommandName, commands: readonly Encoded[]): Promise<Outcome[]> {
  const script = new Script();
  const steps = commands.map((encoded) => {
    const command = memory(encoded, "command");
    const call = script.ioctl(fd, abi.COMMANDS[name], command);
    return { call, load: script.load(command) satisfies Read, before: encoded.bytes };
  });
  const result = await process.run(script);
  const outcomes = steps.map(({ call, load, before }) => ({ errno: result.of(call).errno, before, after: result.bytes(load) }));
  process.note(`${commands.length} times ${name} on descriptor ${fd}`, outcomes.map((outcome) => outcome.errno ?? "0").join(" "));
  return outcomes;
}

/** One well-formed item of every type the interface knows. */
export const SAMPLE_ITEMS: Readonly<Record<abi.ItemName, Item>> = {
  NULL: item.raw(abi.ITEM.NULL, new Uint8Array(8)),
  NEGOTIATE: item.negotiate([1]),
  PAYLOAD_VEC: item.vec(0, 8),
  PAYLOAD_OFF: { type: abi.ITEM.PAYLOAD_OFF, payload: encodeStruct("vec", { size: 8, offset: 64 }) },
  PAYLOAD_MEMFD: item.memfd(0, 0, 8),
  FDS: item.fds([]),
  CANCEL_FD: item.cancelFd(0),
  BLOOM_PARAMETER: item.bloomParameter(64, 1),
  BLOOM_FILTER: item.bloomFilter(0, new Uint8Array(64)),
  BLOOM_MASK: item.bloomMask(new Uint8Array(64)),
  DST_NAME: item.dstName("sample.name"),
  MAKE_NAME: item.makeName("0-sample"),
  ATTACH_FLAGS_SEND: item.attachFlagsSend(abi.ATTACH_ALL),
  ATTACH_FLAGS_RECV: item.attachFlagsRecv(abi.ATTACH_ALL),
  ID: item.id(1),
  NAME: item.name("sample.name"),
  DST_ID: item.dstId(1),
  TIMESTAMP: { type: abi.ITEM.TIMESTAMP, payload: encodeStruct("timestamp", {}) },
  CREDS: item.creds({}),
  PIDS: item.pids({}),
  AUXGROUPS: item.raw(abi.ITEM.AUXGROUPS, new Uint8Array(8)),
  OWNED_NAME: { type: abi.ITEM.OWNED_NAME, payload: concat([encodeStruct("name", {}), string("sample.name")]) },
  TID_COMM: { type: abi.ITEM.TID_COMM, payload: string("sample") },
  PID_COMM: { type: abi.ITEM.PID_COMM, payload: string("sample") },
  EXE: { type: abi.ITEM.EXE, payload: string("/sample") },
  CMDLINE: { type: abi.ITEM.CMDLINE, payload: string("sample") },
  CGROUP: { type: abi.ITEM.CGROUP, payload: string("/") },
  CAPS: { type: abi.ITEM.CAPS, payload: plain(new Uint8Array(36)) },
  SECLABEL: item.seclabel("sample"),
  AUDIT: { type: abi.ITEM.AUDIT, payload: encodeStruct("audit", {}) },
  CONN_DESCRIPTION: item.description("sample"),
  POLICY_ACCESS: item.policyAccess(abi.POLICY_TYPE.WORLD, abi.POLICY.SEE),
  NAME_ADD: item.nameChange(abi.ITEM.NAME_ADD, abi.MATCH_ID_ANY, abi.MATCH_ID_ANY),
  NAME_REMOVE: item.nameChange(abi.ITEM.NAME_REMOVE, abi.MATCH_ID_ANY, abi.MATCH_ID_ANY),
  NAME_CHANGE: item.nameChange(abi.ITEM.NAME_CHANGE, abi.MATCH_ID_ANY, abi.MATCH_ID_ANY),
  ID_ADD: item.idChange(abi.ITEM.ID_ADD, abi.MATCH_ID_ANY),
  ID_REMOVE: item.idChange(abi.ITEM.ID_REMOVE, abi.MATCH_ID_ANY),
  REPLY_TIMEOUT: item.raw(abi.ITEM.REPLY_TIMEOUT),
  REPLY_DEAD: item.raw(abi.ITEM.REPLY_DEAD),
};

/** A table `{ key: value }` with the same value for all keys: what most tests of the common rules expect. */
export function all<T>(keys: readonly string[], value: T): Record<string, T> {
  return Object.fromEntries(keys.map((key) => [key, value]));
}
