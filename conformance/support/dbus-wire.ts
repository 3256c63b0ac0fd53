/** Messages of the D-Bus protocol as bytes, as far as a twin of the bus needs them (D-Bus specification 0.42, "Message Format"). Little endian. */
export interface DbusMessage {
  readonly type: "call" | "return" | "error" | "signal";
  readonly noReply?: boolean;
  readonly serial: number;
  readonly path?: string;
  readonly interface?: string;
  readonly member?: string;
  readonly errorName?: string;
  readonly replySerial?: number;
  readonly destination?: string;
  readonly sender?: string;
  /** Arguments: texts, numbers of 32 bits, bytes, or places in the list of descriptors. */
  readonly args: readonly DbusArg[];
  /** How many descriptors travel with it. */
  readonly fds?: number;
}
export type DbusArg = string | number | Uint8Array | { readonly fd: number };

const TYPES = ["call", "return", "error", "signal"] as const;
const NO_REPLY = 1;
const FIELDS = { path: [1, "o"], interface: [2, "s"], member: [3, "s"], errorName: [4, "s"], replySerial: [5, "u"], destination: [6, "s"], sender: [7, "s"], signature: [8, "g"], fds: [9, "u"] } as const;
type FieldName = keyof typeof FIELDS;
/** Up to the length of the header fields: enough for {@link dbusSize}. */
export const DBUS_HEAD = 16;

export function encodeDbus(message: DbusMessage): Uint8Array {
  const body = new Writer();
  for (const arg of message.args) body.arg(arg);
  const out = new Writer();
  out.byte("l".charCodeAt(0)).byte(TYPES.indexOf(message.type) + 1).byte(message.noReply === true ? NO_REPLY : 0).byte(1); // prettier-ignore
  out.u32(body.length).u32(message.serial);
  const fields = new Writer();
  const signature = message.args.map(signatureOf).join("");
  for (const [name, [code, type]] of Object.entries(FIELDS)) {
    const value = name === "signature" ? signature || undefined : message[name as Exclude<FieldName, "signature">];
    if (value !== undefined) fields.align(8).byte(code).signature(type).value(type, value);
  }
  return out.u32(fields.length).bytes(fields.taken()).align(8).bytes(body.taken()).taken();
}

/** Bytes of the message whose first {@link DBUS_HEAD} bytes these are. */
export function dbusSize(head: Uint8Array): number {
  const view = viewOf(head);
  return align(DBUS_HEAD + view.getUint32(12, true), 8) + view.getUint32(4, true);
}

/** @throws RangeError for what is no message of the types above */
export function decodeDbus(bytes: Uint8Array): DbusMessage {
  const view = viewOf(bytes);
  const type = TYPES[(bytes[1] ?? 0) - 1];
  if (bytes[0] !== "l".charCodeAt(0) || type === undefined) throw new RangeError(`no D-Bus message: it begins with ${bytes.subarray(0, 4).join(" ")}`);
  const end = DBUS_HEAD + view.getUint32(12, true);
  const found: Partial<Record<FieldName, string | number>> = {};
  const fields = new Reader(bytes, DBUS_HEAD);
  while (fields.at < end) {
    const code = fields.align(8).byte();
    const value = fields.value(fields.signature());
    const name = (Object.keys(FIELDS) as FieldName[]).find((each) => FIELDS[each][0] === code);
    if (name !== undefined && !(value instanceof Uint8Array)) found[name] = value;
  }
  const { signature = "", ...rest } = found;
  const body = new Reader(bytes.subarray(align(end, 8)), 0);
  const args = (String(signature).match(/ay|[suh]/g) ?? []).map((each) => (each === "h" ? { fd: Number(body.value("u")) } : body.value(each)));
  return { type, serial: view.getUint32(8, true), noReply: ((bytes[2] ?? 0) & NO_REPLY) !== 0, ...(rest as Partial<DbusMessage>), args };
}

function signatureOf(arg: DbusArg): string {
  if (typeof arg === "string") return "s";
  if (typeof arg === "number") return "u";
  return arg instanceof Uint8Array ? "ay" : "h";
}

const align = (at: number, to: number): number => Math.ceil(at / to) * to;
const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

class Writer {
  private parts: Uint8Array[] = [];
  length = 0;

  bytes(bytes: Uint8Array): this {
    this.parts.push(bytes);
    this.length += bytes.length;
    return this;
  }

  align(to: number): this {
    return this.bytes(new Uint8Array(align(this.length, to) - this.length));
  }

  byte(value: number): this {
    return this.bytes(Uint8Array.of(value));
  }

  u32(value: number): this {
    const bytes = new Uint8Array(4);
    viewOf(bytes).setUint32(0, value, true);
    return this.align(4).bytes(bytes);
  }

  signature(text: string): this {
    return this.byte(text.length).bytes(new TextEncoder().encode(`${text}\0`));
  }

  value(type: "o" | "s" | "u" | "g", value: string | number): this {
    if (type === "u") return this.u32(Number(value));
    if (type === "g") return this.signature(String(value));
    const text = new TextEncoder().encode(String(value));
    return this.u32(text.length).bytes(text).byte(0);
  }

  arg(arg: DbusArg): this {
    if (typeof arg === "string") return this.value("s", arg);
    if (typeof arg === "number") return this.u32(arg);
    return arg instanceof Uint8Array ? this.u32(arg.length).bytes(arg) : this.u32(arg.fd);
  }

  taken(): Uint8Array {
    const all = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}

class Reader {
  private readonly from: Uint8Array;
  at: number;

  constructor(from: Uint8Array, at: number) {
    this.from = from;
    this.at = at;
  }

  align(to: number): this {
    this.at = align(this.at, to);
    return this;
  }

  byte(): number {
    return this.from[this.at++] ?? 0;
  }

  u32(): number {
    const value = viewOf(this.from).getUint32(this.align(4).at, true);
    this.at += 4;
    return value;
  }

  take(size: number): Uint8Array {
    this.at += size;
    return this.from.slice(this.at - size, this.at);
  }

  text(size: number): string {
    const text = new TextDecoder().decode(this.take(size));
    this.at += 1; // NUL
    return text;
  }

  signature(): string {
    return this.text(this.byte());
  }

  /** @throws RangeError for a type that no twin uses */
  value(type: string): string | number | Uint8Array {
    if (type === "u") return this.u32();
    if (type === "g") return this.signature();
    if (type === "s" || type === "o") return this.text(this.u32());
    if (type === "ay") return this.take(this.u32());
    throw new RangeError(`D-Bus type "${type}" is not read here`);
  }
}
