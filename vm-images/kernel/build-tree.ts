import { chmod, copyFile, cp, mkdir, readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Left out of the copy: what the build leaves that no module build reads, and device-tree headers. */
const NOT_NEEDED = /(\.o|\.cmd|\.a|\.order|\.d|\.tmp)$|^include\/dt-bindings$|^scripts\/(dtc|gdb|coccinelle|clang-tools|package)$/;

/**
 * Copies what `make -C TREE M=DIR` needs of a built kernel into one self-contained folder (source and build output laid
 * over each other, as distributions do for their header packages), so that it may be moved and outlives the build.
 * @param srcArch name of the folder below `arch/`
 */
export async function copyBuildTree(source: string, output: string, srcArch: string, destination: string): Promise<void> {
  const arch = `arch/${srcArch}`;
  await copyFiles(source, destination, ["Makefile", "Kbuild", "Kconfig"]);
  for (const folder of ["scripts", "include", `${arch}/include`]) await copyFolder(source, destination, folder);
  await copyFiles(source, destination, (await readdir(join(source, arch))).filter((name) => /^Makefile/.test(name)).map((name) => `${arch}/${name}`));
  await copyFiles(source, destination, ["tools/include/linux/types.h"]);

  for (const folder of ["scripts", "include/generated", "include/config", `${arch}/include/generated`]) await copyFolder(output, destination, folder);
  await copyFiles(output, destination, [".config", "Module.symvers", "tools/objtool/objtool"]);
}

async function copyFolder(from: string, to: string, folder: string): Promise<void> {
  await cp(join(from, folder), join(to, folder), {
    recursive: true,
    verbatimSymlinks: true,
    preserveTimestamps: true,
    filter: (path) => !NOT_NEEDED.test(path.slice(from.length + 1)),
  });
}

async function copyFiles(from: string, to: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const info = await stat(join(from, name)).catch(() => undefined);
    if (info === undefined) continue; // objtool is built for some architectures only
    await mkdir(dirname(join(to, name)), { recursive: true });
    await copyFile(join(from, name), join(to, name));
    await chmod(join(to, name), info.mode);
  }
}
