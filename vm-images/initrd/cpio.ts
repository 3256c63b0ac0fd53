/** A file or folder of an initial RAM disk. */
export interface CpioEntry {
  readonly path: string;
  readonly mode: number;
  readonly data?: Uint8Array;
}

const FOLDER = 0o040000;
const FILE = 0o100000;

/**
 * An archive of the kind that the kernel unpacks at boot ("newc"): every entry is a header of 110 hexadecimal characters, the
 * name with its zero, and the content, both filled up to four bytes. All is owned by root and has no time: equal files, equal bytes.
 * @see the kernel's Documentation/driver-api/early-userspace/buffer-format.rst
 */
export function cpio(entries: readonly CpioEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  [...entries, { path: "TRAILER!!!", mode: 0 }].forEach(({ path, mode, data }: CpioEntry, index) => {
    const type = mode === 0 ? 0 : data === undefined ? FOLDER : FILE;
    const name = new TextEncoder().encode(`${path}\0`);
    const size = data?.length ?? 0;
    // inode, mode, uid, gid, links, mtime, size, device (2), device number (2), length of the name, check sum (none)
    const fields = [index + 1, type | mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name.length, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`;
    parts.push(filled(new Uint8Array([...new TextEncoder().encode(header), ...name])));
    if (data !== undefined) parts.push(filled(data));
  });
  return Buffer.concat(parts);
}

function filled(bytes: Uint8Array): Uint8Array {
  const rest = -bytes.length & 3;
  return rest === 0 ? bytes : Buffer.concat([bytes, new Uint8Array(rest)]);
}
