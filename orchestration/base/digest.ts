import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readlink } from "node:fs/promises";
import { join, relative } from "node:path";

export type Digest = `sha256:${string}`;

export function digestOf(data: string | Uint8Array): Digest {
  return `sha256:${createHash("sha256").update(data).digest("hex")}`;
}

export async function digestFile(path: string): Promise<Digest> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return `sha256:${hash.digest("hex")}`;
}

/** Digest of a JSON value with sorted keys, so that key order does not matter. */
export function digestJson(value: unknown): Digest {
  return digestOf(canonicalJson(value));
}

export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : inner,
  );
}

/** Files below a folder (or the file itself) as [relative path, digest], sorted by path. `skip` sees the relative path. */
export async function digestTree(root: string, skip: (path: string) => boolean = () => false): Promise<[string, Digest][]> {
  const found: [string, Digest][] = [];
  const walk = async (folder: string): Promise<void> => {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      const name = relative(root, path);
      if (skip(name)) continue;
      if (entry.isDirectory()) await walk(path);
      else if (entry.isSymbolicLink()) found.push([name, digestOf(`link:${await readlink(path)}`)]);
      else if (entry.isFile()) found.push([name, await digestFile(path)]);
    }
  };
  await walk(root);
  return found.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** First 16 hexadecimal digits, for folder names and print. */
export function short(digest: Digest): string {
  return digest.slice("sha256:".length, "sha256:".length + 16);
}
