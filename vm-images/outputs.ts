import { lstatSync, readdirSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { digestFile, digestJson, digestTree } from "../orchestration/base/digest.ts";
import type { Output } from "./manifest.ts";

/** Up to this size a reused file is read and its digest compared; above, size and modification time must do. */
const READ_AGAIN_BYTES = 1024 * 1024;

/** Describes what a build left behind at `path` below `root`. */
export async function describeOutput(root: string, path: string): Promise<Output> {
  const full = join(root, path);
  const info = await stat(full);
  if (!info.isDirectory()) {
    return { path, type: "file", digest: await digestFile(full), sizeBytes: info.size, files: 1, mtimeMs: Math.floor(info.mtimeMs) };
  }
  const { files, sizeBytes } = measureTree(full);
  return { path, type: "tree", digest: digestJson(await digestTree(full)), sizeBytes, files, mtimeMs: 0 };
}

/** Says what is wrong with an output on disk, or undefined when it looks as it did after the build. Reads little. */
export async function fault(root: string, output: Output): Promise<string | undefined> {
  const full = join(root, output.path);
  try {
    if (output.type === "tree") {
      const now = measureTree(full);
      if (now.files !== output.files) return `${output.path} has ${now.files} files instead of ${output.files}`;
      return now.sizeBytes === output.sizeBytes ? undefined : `${output.path} has ${now.sizeBytes} bytes instead of ${output.sizeBytes}`;
    }
    const info = await stat(full);
    if (info.size !== output.sizeBytes) return `${output.path} has ${info.size} bytes instead of ${output.sizeBytes}`;
    if (info.size <= READ_AGAIN_BYTES) return (await digestFile(full)) === output.digest ? undefined : `the content of ${output.path} is not what was built`;
    return Math.floor(info.mtimeMs) === output.mtimeMs ? undefined : `${output.path} was written to after the build`;
  } catch (error) {
    return `${output.path} cannot be read (${(error as NodeJS.ErrnoException).code ?? "unknown"})`;
  }
}

/** Regular files and symbolic links below a folder, and the bytes of the regular ones. */
function measureTree(root: string): { files: number; sizeBytes: number } {
  let files = 0;
  let sizeBytes = 0;
  const walk = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) walk(path);
      else {
        files += 1;
        if (entry.isFile()) sizeBytes += lstatSync(path).size;
      }
    }
  };
  walk(root);
  return { files, sizeBytes };
}
