import { mkdir, readFile, realpath } from "node:fs/promises";
import { basename, join } from "node:path";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { exec } from "../../orchestration/base/exec.ts";
import type { ArchRow } from "../../orchestration/target/arches.ts";
import { cpio, type CpioEntry } from "../initrd/cpio.ts";
import { crossPrefix } from "../tools.ts";

/** Where the program lies in the archive; `rdinit=` of the machine that boots it. */
export const BENCH_PATH = "/bench";
/** The brokers of the comparison. */
const BROKERS = ["usr/bin/dbus-daemon", "usr/bin/dbus-broker"];
/** dbus-daemon asks who user 0 is. */
const USERS = "root:x:0:0:root:/:/bin/sh\n";

/**
 * The root of a machine that has no disk: the program, the two brokers, and the guest's own libraries that these are linked with,
 * as an archive for the kernel to unpack at boot.
 * @param work a folder for what is taken out of the root file system
 * @throws IMAGE_BUILD_FAILED naming a library that the root file system lacks; COMMAND_FAILED
 */
export async function guestRoot(arch: ArchRow, rootfsTar: string, program: string, work: string): Promise<Uint8Array> {
  const libraries = `usr/lib/${arch.multiarch}`;
  await mkdir(work);
  await exec(["tar", "-C", work, "-xf", rootfsTar, "--no-wildcards-match-slash", "--wildcards", `./${libraries}/*.so*`, ...BROKERS.map((path) => `./${path}`)]);

  const entries = new Map<string, CpioEntry>();
  const folder = (path: string): void => {
    path.split("/").forEach((_, index, parts) => {
      const above = parts.slice(0, index + 1).join("/");
      if (!entries.has(above)) entries.set(above, { path: above, mode: 0o755 });
    });
  };
  const file = (path: string, data: Uint8Array): void => {
    folder(path.split("/").slice(0, -1).join("/"));
    entries.set(path, { path, mode: 0o755, data });
  };
  entries.set("bench", { path: BENCH_PATH.slice(1), mode: 0o755, data: await readFile(program) });
  file("etc/passwd", new TextEncoder().encode(USERS));

  const waiting = [program, ...BROKERS.map((path) => join(work, path))];
  for (const path of BROKERS) file(path, await readFile(join(work, path)));
  for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) {
    const { interpreter, needed } = await linkedWith(arch, one);
    for (const name of [...needed, ...(interpreter === undefined ? [] : [basename(interpreter)])]) {
      const path = `${libraries}/${name}`;
      if (entries.has(path)) continue;
      const found = await realpath(join(work, path)).catch(() => undefined);
      if (found === undefined) throw new SuiteError("IMAGE_BUILD_FAILED", `${basename(one)} needs ${name}, which the root file system ${rootfsTar} does not have in /${libraries}`);
      file(path, await readFile(found));
      waiting.push(found);
    }
    if (interpreter !== undefined) file(interpreter.slice(1), await readFile(await realpath(join(work, libraries, basename(interpreter)))));
  }
  return cpio([...entries.values()]);
}

/** What a program or library asks the dynamic linker for. */
async function linkedWith(arch: ArchRow, path: string): Promise<{ readonly interpreter: string | undefined; readonly needed: readonly string[] }> {
  const { stdout } = await exec([`${crossPrefix(arch)}readelf`, "--wide", "--program-headers", "--dynamic", path], { env: { LC_ALL: "C" } });
  return {
    interpreter: /\[Requesting program interpreter: (\S+)\]/.exec(stdout)?.[1],
    needed: [...stdout.matchAll(/\(NEEDED\)\s+Shared library: \[([^\]]+)\]/g)].map(([, name]) => name ?? ""),
  };
}
