import * as abi from "../../fixtures/abi/constants.ts";
import { decodeFds, decodeItems, decodeMessage, decodeNotification, decodeStruct, decodeString, decodeWords, type Message, type RawItem } from "../../fixtures/abi/decode.ts";
import type { Encoded, Patch } from "../../fixtures/abi/encode.ts";
import { COMMAND_STRUCT, ITEM_HEADER_SIZE, STRUCTS } from "../../fixtures/abi/layout.ts";
import type { Source } from "./memory.ts";

/** Flags of each command, for print. */
const FLAGS: Readonly<Partial<Record<abi.CommandName, Readonly<Record<string, bigint>>>>> = {
  BUS_MAKE: abi.MAKE,
  ENDPOINT_MAKE: abi.MAKE,
  HELLO: abi.HELLO,
  LIST: abi.LIST,
  SEND: abi.SEND,
  RECV: abi.RECV,
  NAME_ACQUIRE: abi.NAME,
  MATCH_ADD: abi.MATCH,
};

/** A command in words, from the bytes that are passed; malformed ones as far as they can be read. */
export function describeCommand(name: abi.CommandName, bytes: Uint8Array): string {
  const struct = COMMAND_STRUCT[name];
  if (bytes.length < STRUCTS[struct].size) return `${name} with ${bytes.length} bytes: ${hex(bytes)}`;
  const { size, flags, return_flags: _returned, ...fields } = decodeStruct(struct, bytes) as Record<string, unknown> & { size: bigint; flags: bigint };
  const parts = [
    ...(flags === 0n ? [] : [`flags ${abi.flagNames(flags, FLAGS[name] ?? {})}`]),
    ...Object.entries(fields).filter(([, value]) => typeof value === "bigint" && value !== 0n).map(([field, value]) => `${field} ${field.startsWith("attach_flags") ? attachNames(value as bigint) : number(value as bigint)}`),
    ...(size === BigInt(bytes.length) ? [] : [`size ${size} (of ${bytes.length} bytes)`]),
    ...describeItems(bytes, STRUCTS[struct].size),
  ];
  return parts.length === 0 ? name : `${name} ${parts.join(", ")}`;
}

/** The message that a SEND points at, with the payload that it points at itself. */
export function describeSent(message: Encoded): string {
  const { bytes } = message;
  if (bytes.length < STRUCTS.msg.size) return `message of ${bytes.length} bytes: ${hex(bytes)}`;
  const header = decodeStruct("msg", bytes);
  return [describeHeader(header), ...(header.size === BigInt(bytes.length) ? [] : [`size ${header.size} (of ${bytes.length} bytes)`]), ...describeItems(bytes, STRUCTS.msg.size, message.patches)].join(", ");
}

/** A received message. */
export function describeMessage(message: Message): string {
  const { header, notification, payload, fds, dstName, metadata } = message;
  const parts = [`from ${number(header.src_id)}`, describeHeader(header)];
  if (notification !== undefined) parts.push(inspect(notification));
  if (dstName !== undefined) parts.push(`name ${dstName}`);
  for (const chunk of payload) {
    if (chunk.kind === "bytes") parts.push(`payload ${preview(chunk.bytes)}`);
    else if (chunk.kind === "memfd") parts.push(`memfd ${chunk.fd} [${chunk.start}+${chunk.size}]`);
    else parts.push(`${chunk.kind} [${chunk.size}]`);
  }
  if (fds !== undefined) parts.push(`fds [${fds.join(", ")}]`);
  const kinds = Object.entries(metadata).filter(([, value]) => !(Array.isArray(value) && value.length === 0)).map(([kind]) => kind);
  if (kinds.length > 0) parts.push(`metadata ${kinds.join(" ")}`);
  return parts.join(", ");
}

/** A slice of the pool that should hold a message; what it holds if it does not. */
export function describeSlice(slice: Uint8Array): string {
  try {
    return describeMessage(decodeMessage(slice));
  } catch (error) {
    return `no message: ${(error as Error).message}: ${hex(slice)}`;
  }
}

function describeHeader(header: ReturnType<typeof decodeStruct<"msg">>): string {
  const parts = [`to ${number(header.dst_id)}`, `cookie ${header.cookie}`];
  if (header.flags !== 0n) parts.push(`flags ${abi.flagNames(header.flags, abi.MSG)}`);
  if (header.priority !== 0n) parts.push(`priority ${header.priority}`);
  if (header.cookie_reply !== 0n) parts.push(`${(header.flags & abi.MSG.EXPECT_REPLY) !== 0n ? "deadline" : "cookie_reply"} ${header.cookie_reply}`);
  if (header.payload_type !== abi.PAYLOAD.DBUS) parts.push(`payload_type 0x${header.payload_type.toString(16)}`);
  return parts.join(", ");
}

function describeItems(bytes: Uint8Array, start: number, patches: readonly Patch[] = []): string[] {
  if (bytes.length <= start) return [];
  try {
    return decodeItems(bytes, start, bytes.length).map((raw) => describeItem(raw, patches));
  } catch {
    return [`malformed items ${hex(bytes.subarray(start))}`];
  }
}

function describeItem(raw: RawItem, patches: readonly Patch[]): string {
  const name = abi.itemName(raw.type);
  const { ITEM } = abi;
  try {
    switch (raw.type) {
      case ITEM.NAME:
      case ITEM.DST_NAME:
      case ITEM.MAKE_NAME:
      case ITEM.CONN_DESCRIPTION:
      case ITEM.SECLABEL:
        return `${name} "${decodeString(raw.payload)}"`;
      case ITEM.NEGOTIATE:
      case ITEM.ID:
      case ITEM.DST_ID:
        return `${name} ${decodeWords(raw.payload).map(number).join(" ")}`;
      case ITEM.ATTACH_FLAGS_SEND:
      case ITEM.ATTACH_FLAGS_RECV:
        return `${name} ${decodeWords(raw.payload).map(attachNames).join(" ")}`;
      case ITEM.BLOOM_PARAMETER: {
        const { size, n_hash } = decodeStruct("bloom_parameter", raw.payload);
        return `${name} size ${size} hashes ${n_hash}`;
      }
      case ITEM.PAYLOAD_MEMFD: {
        const { start, size, fd } = decodeStruct("memfd", raw.payload);
        return `${name} fd ${fd} [${start}+${size}]`;
      }
      case ITEM.FDS:
        return `${name} ${decodeFds(raw.payload).join(" ")}`;
      case ITEM.PAYLOAD_VEC: {
        const { size, address } = decodeStruct("vec", raw.payload);
        const hole = patches.find((patch) => patch.at === raw.at + VEC_ADDRESS_AT)?.source as Source | undefined;
        if (hole?.kind === "address") return `${name} ${preview(hole.memory.encoded.bytes.subarray(hole.plus))}${size === BigInt(hole.memory.size - hole.plus) ? "" : ` but size ${size}`}`;
        return `${name} ${size} bytes${address === 0n ? " of zeros" : ` at 0x${address.toString(16)}`}`;
      }
      case ITEM.POLICY_ACCESS: {
        const { type, access, id } = decodeStruct("policy_access", raw.payload);
        return `${name} type ${type} id ${id} access ${access}`;
      }
      case ITEM.NAME_ADD:
      case ITEM.NAME_REMOVE:
      case ITEM.NAME_CHANGE:
      case ITEM.ID_ADD:
      case ITEM.ID_REMOVE:
        return raw.payload.length === 32 ? `${name} of any name` : inspect(decodeNotification([raw]));
      default:
        return `${name} ${hex(raw.payload)}`;
    }
  } catch {
    return `${name} ${hex(raw.payload)}`;
  }
}

const VEC_ADDRESS_AT = ITEM_HEADER_SIZE + STRUCTS.vec.fields.address.offset;

function attachNames(mask: bigint): string {
  if (mask === abi.ATTACH_ALL) return "all";
  return mask === abi.ATTACH_ANY ? "all ones" : abi.flagNames(mask, abi.ATTACH);
}

function number(value: bigint): string {
  if (value === abi.DST_ID_BROADCAST) return "all ones";
  return value > 0xffff_ffffn ? `0x${value.toString(16)}` : value.toString();
}

/** Text if it is text, else hexadecimal; long data shortened. */
export function preview(bytes: Uint8Array): string {
  const printable = bytes.length > 0 && bytes.subarray(0, 40).every((byte) => byte >= 0x20 && byte < 0x7f);
  return `${printable ? JSON.stringify(new TextDecoder().decode(bytes.subarray(0, 40))) : hex(bytes)} [${bytes.length}]`;
}

export function hex(bytes: Uint8Array): string {
  const shown = Buffer.from(bytes.subarray(0, 48)).toString("hex");
  return bytes.length > 48 ? `${shown}… (${bytes.length} bytes)` : shown === "" ? "(empty)" : shown;
}

function inspect(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => (typeof inner === "bigint" ? number(inner) : inner)).replaceAll('"', "");
}
