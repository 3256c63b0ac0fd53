import { DST_ID_BROADCAST, MSG, PAYLOAD } from "../../fixtures/abi/constants.ts";
import { encodeMessage, item, type Encoded, type FieldValues, type Item, type Value } from "../../fixtures/abi/encode.ts";
import { address, memory } from "./memory.ts";

/** A piece of payload: text and bytes become one PAYLOAD_VEC each, items stand as they are, zeros are a VEC without data. */
export type PayloadPart = string | Uint8Array | Item | { readonly zeros: number };

/** What a message carries; everything has a valid default, so a test sets only what it is about. */
export interface MessageOptions {
  /** Default: a number not yet used on the connection. */
  readonly cookie?: Value;
  readonly payload?: PayloadPart | readonly PayloadPart[];
  readonly flags?: bigint;
  readonly priority?: Value;
  /** Default: PAYLOAD.DBUS. */
  readonly payloadType?: Value;
  readonly srcId?: Value;
  /** Overrides the destination's id. */
  readonly dstId?: Value;
  /** Adds a DST_NAME item besides the id. */
  readonly dstName?: string;
  /** Makes a request: EXPECT_REPLY with a deadline that many milliseconds from now, unless `timeoutNs` is given as well. */
  readonly expectReplyMs?: number;
  /** The absolute deadline itself, CLOCK_MONOTONIC of the guest. */
  readonly timeoutNs?: Value;
  /** Makes a reply to the message with that cookie. */
  readonly cookieReply?: Value;
  /** Descriptors of the sending process. */
  readonly fds?: readonly Value[];
  /** Makes a signal: its bloom filter. */
  readonly bloom?: { readonly generation?: Value; readonly filter: Uint8Array };
  /** Further items, after all others. */
  readonly items?: readonly Item[];
  /** Flags of the SEND command. */
  readonly sendFlags?: bigint;
  /** Items of the SEND command. */
  readonly sendItems?: readonly Item[];
}

/** Where a message goes: a connection (or anything with an id), an id, a well-known name, or everybody. */
export type Destination = { readonly id: bigint } | bigint | string | "broadcast";

export function encodeOptions(to: Destination, options: MessageOptions & { readonly cookie: Value }): Encoded {
  const name = typeof to === "string" && to !== "broadcast" ? to : undefined;
  const id = to === "broadcast" ? DST_ID_BROADCAST : typeof to === "string" ? 0n : typeof to === "bigint" ? to : to.id;
  const expects = options.expectReplyMs !== undefined;
  const flags = (options.flags ?? 0n) | (expects ? MSG.EXPECT_REPLY : 0n) | (options.bloom === undefined ? 0n : MSG.SIGNAL);
  const header: FieldValues<"msg"> = {
    flags,
    priority: options.priority ?? 0,
    dst_id: options.dstId ?? id,
    src_id: options.srcId ?? 0,
    payload_type: options.payloadType ?? PAYLOAD.DBUS,
    cookie: options.cookie,
    timeout_ns: options.timeoutNs ?? options.cookieReply ?? 0n,
  };
  return encodeMessage(header, [
    ...(name === undefined ? [] : [item.dstName(name)]),
    ...(options.dstName === undefined ? [] : [item.dstName(options.dstName)]),
    ...(options.bloom === undefined ? [] : [item.bloomFilter(options.bloom.generation ?? 0, options.bloom.filter)]),
    ...payloadItems(options.payload),
    ...(options.fds === undefined ? [] : [item.fds(options.fds)]),
    ...(options.items ?? []),
  ]);
}

function payloadItems(payload: MessageOptions["payload"]): Item[] {
  if (payload === undefined) return [];
  const parts = Array.isArray(payload) ? (payload as readonly PayloadPart[]) : [payload as PayloadPart];
  return parts.map((part) => {
    if (typeof part === "string" || part instanceof Uint8Array) {
      const data = memory(part, "payload");
      return item.vec(address(data), data.size);
    }
    return "zeros" in part ? item.vec(0, part.zeros) : part;
  });
}
