import { expect } from "@playwright/test";
import { ITEM, itemName } from "../../fixtures/abi/constants.ts";
import { payloadBytes, type Message, type RawItem } from "../../fixtures/abi/decode.ts";
import { BusError, type ErrnoName } from "./errno.ts";

/**
 * The operation must fail with this error; where the specification allows several, with one of them.
 *
 *     await expectErrno(sender.send(gone, {}), "ENXIO");
 */
export async function expectErrno(operation: Promise<unknown>, ...allowed: readonly [ErrnoName, ...ErrnoName[]]): Promise<void> {
  let seen = "success";
  let what = "the operation";
  try {
    await operation;
  } catch (error) {
    if (!(error instanceof BusError)) throw error;
    seen = error.errno;
    what = error.message;
  }
  expectOneOf(seen, allowed, what);
}

/** The same for a result that carries its error: `expectResult(await conn.ioctl("LIST", bytes), "EINVAL")`; null is success. */
export function expectResult(result: { readonly errno: string | null; readonly operation?: string }, ...allowed: readonly [ErrnoName | null, ...(ErrnoName | null)[]]): void {
  expectOneOf(result.errno ?? "success", allowed.map((errno) => errno ?? "success"), result.operation ?? "the system call");
}

/** The whole stored payload as text; a failed comparison then reads well. */
export function payloadText(message: Pick<Message, "payload"> & Message): string {
  return new TextDecoder().decode(payloadBytes(message));
}

/** The only item of that type. Fails if there is none or more than one. */
export function itemOf(items: readonly RawItem[], type: keyof typeof ITEM): RawItem {
  const found = items.filter((entry) => entry.type === ITEM[type]);
  expect(found, `one ${type} item among ${items.map((entry) => itemName(entry.type)).join(", ") || "no items"}`).toHaveLength(1);
  return found[0] as RawItem;
}

function expectOneOf(seen: string, allowed: readonly string[], what: string): void {
  if (!allowed.includes(seen)) expect(seen, what).toBe(allowed.join(" or "));
}
