import * as abi from "../../fixtures/abi/constants.ts";
import { decodeStruct } from "../../fixtures/abi/decode.ts";
import { encodeCommand, item, type Item } from "../../fixtures/abi/encode.ts";
import type { Connection } from "./connection.ts";
import type { RawResult } from "./handle.ts";
import { memory } from "./memory.ts";
import { Script } from "./script.ts";

/** A record of LIST in short: who, and the name it is about with its flags. */
export interface ListEntry {
  readonly id: bigint;
  readonly name?: string;
  readonly flags?: bigint;
}

/** A notification in short; ids and flags of a NAME_* record are `[id, flags]`. */
export type Note =
  | { readonly kind: "NAME_ADD" | "NAME_REMOVE" | "NAME_CHANGE"; readonly name: string; readonly old: readonly [bigint, bigint]; readonly new: readonly [bigint, bigint] }
  | { readonly kind: "ID_ADD" | "ID_REMOVE"; readonly id: bigint; readonly flags: bigint }
  | { readonly kind: "REPLY_TIMEOUT" | "REPLY_DEAD" | "no notification" };

/** LIST in short, sorted by id and name: the order of records means nothing. */
export async function entries(of: Pick<Connection, "list">, flags: bigint): Promise<ListEntry[]> {
  const all = (await of.list(flags)).map(({ id, metadata }): ListEntry => {
    const [owned] = metadata.names;
    return owned === undefined ? { id } : { id, name: owned.name, flags: owned.flags };
  });
  return all.sort((a, b) => (a.id === b.id ? (a.name ?? "").localeCompare(b.name ?? "") : a.id < b.id ? -1 : 1));
}

/** The owner of a name as LIST with NAMES tells it; undefined if no ordinary connection owns it. */
export async function ownerOf(asked: Pick<Connection, "list">, name: string): Promise<bigint | undefined> {
  return (await entries(asked, abi.LIST.NAMES)).find((entry) => entry.name === name)?.id;
}

/** NAME_ACQUIRE that may fail; `returned` is what the kernel wrote to return_flags. */
export async function tryAcquire(connection: Connection, name: string, flags: bigint = 0n): Promise<RawResult & { readonly returned: bigint }> {
  const result = await connection.ioctl("NAME_ACQUIRE", encodeCommand("NAME_ACQUIRE", { flags }, [item.name(name)]));
  return { ...result, returned: decodeStruct("cmd", result.bytes).return_flags };
}

/** NAME_RELEASE that may fail. */
export function tryRelease(connection: Connection, name: string): Promise<RawResult> {
  return connection.ioctl("NAME_RELEASE", encodeCommand("NAME_RELEASE", {}, [item.name(name)]));
}

/** Acquires many names with few round trips. @returns one errno (null: success) per name */
export async function acquireMany(connection: Connection, names: readonly string[], flags: bigint = 0n): Promise<(string | null)[]> {
  const outcomes: (string | null)[] = [];
  for (let at = 0; at < names.length; at += 64) {
    const script = new Script();
    const calls = names.slice(at, at + 64).map((name) => script.ioctl(connection.fd, abi.COMMANDS.NAME_ACQUIRE, memory(encodeCommand("NAME_ACQUIRE", { flags }, [item.name(name)]))));
    const result = await connection.process.run(script);
    outcomes.push(...calls.map((call) => result.of(call).errno));
  }
  connection.process.note(`NAME_ACQUIRE of ${names.length} names from "${names[0] ?? ""}" on`, `${outcomes.filter((errno) => errno === null).length} acquired`);
  return outcomes;
}

/** Rules that together fit every NAME_* notification, of one name if given. */
export function nameRules(name?: string): Item[] {
  return [abi.ITEM.NAME_ADD, abi.ITEM.NAME_REMOVE, abi.ITEM.NAME_CHANGE].map((type) => item.nameChange(type, abi.MATCH_ID_ANY, abi.MATCH_ID_ANY, name));
}

/** Rules that together fit every ID_* notification. */
export function idRules(): Item[] {
  return [abi.ITEM.ID_ADD, abi.ITEM.ID_REMOVE].map((type) => item.idChange(type, abi.MATCH_ID_ANY));
}

/** One match for each rule, so that any of them fits. */
export async function watch(connection: Connection, rules: readonly Item[]): Promise<void> {
  for (const rule of rules) await connection.addMatch([rule]);
}

/** Takes everything that is queued and tells the notifications in short, oldest first. */
export async function heard(connection: Connection): Promise<Note[]> {
  return (await connection.recvAll()).map(({ notification }): Note => {
    if (notification === undefined) return { kind: "no notification" };
    if ("oldId" in notification) {
      const { kind, name, oldId, newId } = notification;
      return { kind, name, old: [oldId.id, oldId.flags], new: [newId.id, newId.flags] };
    }
    return "id" in notification ? { kind: notification.kind, id: notification.id, flags: notification.flags } : { kind: notification.kind };
  });
}

/** Cookies of everything that is queued, oldest first. */
export async function cookies(connection: Connection): Promise<bigint[]> {
  return (await connection.recvAll()).map((message) => message.header.cookie);
}
