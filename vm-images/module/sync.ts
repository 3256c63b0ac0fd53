import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { digestTree } from "../../orchestration/base/digest.ts";

/**
 * Makes `to` hold the files of `from`, writing only those whose content differs, so that make sees what changed; removes
 * sources that vanished. Files that match `except` are neither copied nor removed.
 */
export async function syncFolder(from: string, to: string, except: RegExp): Promise<void> {
  await mkdir(to, { recursive: true });
  const skip = (path: string): boolean => except.test(path);
  const wanted = new Map(await digestTree(from, skip));
  const present = new Map(await digestTree(to, skip));
  for (const path of present.keys()) if (!wanted.has(path)) await rm(join(to, path));
  for (const [path, digest] of wanted) {
    if (present.get(path) === digest) continue;
    await mkdir(dirname(join(to, path)), { recursive: true });
    await writeFile(join(to, path), await readFile(join(from, path)));
    await chmod(join(to, path), (await stat(join(from, path))).mode);
  }
  await removeObjectsOfVanished(to, wanted);
}

/** Kbuild would link an object whose source is gone as long as a list names it; that must fail as it does in a clean folder. */
async function removeObjectsOfVanished(folder: string, wanted: ReadonlyMap<string, string>): Promise<void> {
  for (const name of await readdir(folder)) {
    const stem = /^(.*)\.o$/.exec(name)?.[1];
    if (stem !== undefined && !wanted.has(`${stem}.c`) && !wanted.has(`${stem}.S`)) await rm(join(folder, name));
  }
}
