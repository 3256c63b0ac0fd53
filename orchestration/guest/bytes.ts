/** Little-endian fields behind one another, growing. */
export class ByteWriter {
  private bytes = new Uint8Array(256);
  private view = new DataView(this.bytes.buffer);
  length = 0;

  u16(value: number): this {
    this.room(2);
    this.view.setUint16(this.length - 2, value, true);
    return this;
  }

  u32(value: number): this {
    this.room(4);
    this.view.setUint32(this.length - 4, value >>> 0, true);
    return this;
  }

  u64(value: bigint | number): this {
    this.room(8);
    this.view.setBigUint64(this.length - 8, BigInt.asUintN(64, BigInt(value)), true);
    return this;
  }

  raw(bytes: Uint8Array): this {
    this.room(bytes.length);
    this.bytes.set(bytes, this.length - bytes.length);
    return this;
  }

  /** Length with NUL, text, NUL. @throws RangeError on a NUL inside */
  text(text: string): this {
    if (text.includes("\0")) throw new RangeError(`a string for the agent holds a NUL: ${JSON.stringify(text)}`);
    const bytes = new TextEncoder().encode(text);
    return this.u32(bytes.length + 1)
      .raw(bytes)
      .raw(new Uint8Array(1));
  }

  align(to: number): this {
    const missing = (to - (this.length % to)) % to;
    return this.raw(new Uint8Array(missing));
  }

  done(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }

  private room(more: number): void {
    const length = this.length + more;
    if (length > this.bytes.length) {
      const bytes = new Uint8Array(Math.max(length, this.bytes.length * 2));
      bytes.set(this.bytes.subarray(0, this.length));
      this.bytes = bytes;
      this.view = new DataView(bytes.buffer);
    }
    this.length = length;
  }
}

/** Reads what {@link ByteWriter} wrote. @throws RangeError past the end */
export class ByteReader {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  u16(): number {
    return this.view.getUint16(this.step(2), true);
  }

  u32(): number {
    return this.view.getUint32(this.step(4), true);
  }

  s32(): number {
    return this.view.getInt32(this.step(4), true);
  }

  u64(): bigint {
    return this.view.getBigUint64(this.step(8), true);
  }

  s64(): bigint {
    return this.view.getBigInt64(this.step(8), true);
  }

  raw(length: number): Uint8Array {
    const at = this.step(length);
    return new Uint8Array(this.bytes.subarray(at, at + length)); // a copy: slice of a Buffer would be a view
  }

  text(): string {
    const bytes = this.raw(this.u32());
    return new TextDecoder().decode(bytes.subarray(0, -1));
  }

  private step(length: number): number {
    if (length > this.left) throw new RangeError(`${length} bytes wanted, ${this.left} left in an answer of the agent`);
    this.at += length;
    return this.at - length;
  }
}
