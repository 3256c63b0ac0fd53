import { copyFile, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { exec } from "../../orchestration/base/exec.ts";
import { ROOT } from "../../orchestration/base/paths.ts";
import { HEADER, LEFTOVER, readSources, type ModuleSources } from "./sources.ts";
import { variantOf, type ModuleSpec } from "./spec.ts";
import { syncFolder } from "./sync.ts";

/** Where the module lies in the tree. */
const PLACE = "ipc/kdbus";

/** A module that is to be part of the kernel. */
export interface BuiltIn {
  readonly sources: ModuleSources;
  readonly spec: ModuleSpec;
  /** Its name in `/sys/module`. */
  readonly name: string;
  /** Its symbol in the configuration, e.g. `CONFIG_KDBUS`. */
  readonly symbol: string;
  /** For titles: `built-in fixtures/module,KDBUS_GENERATION=201503`. */
  readonly title: string;
}

/** @throws MODULE_DIR_INVALID for a folder that a kernel tree cannot take in */
export async function readBuiltIn(spec: ModuleSpec): Promise<BuiltIn> {
  const sources = await readSources(spec);
  const [, symbol, name] = /^\s*obj-\$\((CONFIG_\w+)\)\s*[+:]?=\s*([\w-]+)\.o\s*$/m.exec(sources.kbuild) ?? [];
  const kconfig = await readFile(join(sources.dir, "Kconfig"), "utf8").catch(() => "");
  if (symbol === undefined || name === undefined || !new RegExp(`^config ${symbol.slice("CONFIG_".length)}$`, "m").test(kconfig)) {
    throw new SuiteError("MODULE_DIR_INVALID", `--module built-in:${spec.dir} cannot be linked into a kernel: its Kbuild file needs a line obj-$(CONFIG_X) += NAME.o, and its Kconfig file a config X`);
  }
  return { sources, spec, name: name.replaceAll("-", "_"), symbol, title: `built-in ${sources.label}${variantOf(spec)}` };
}

/**
 * Makes `tree` the kernel source `source` with the module in it. The copy is one of names only: files are hard links, and the
 * two that change are written anew, so the source stays as it is. Across file systems the content is copied.
 */
export async function plantBuiltIn(source: string, tree: string, module: BuiltIn, signal?: AbortSignal): Promise<void> {
  const options = signal === undefined ? {} : { signal };
  const linked = await exec(["cp", "-al", source, tree], { ...options, okCodes: [0, 1], timeoutMs: 600_000 });
  if (linked.exitCode !== 0) {
    await rm(tree, { recursive: true, force: true });
    await exec(["cp", "-a", source, tree], { ...options, timeoutMs: 1_800_000 });
  }
  await syncFolder(module.sources.dir, join(tree, PLACE), LEFTOVER);
  await copyFile(join(ROOT, HEADER), join(tree, PLACE, "kdbus.h"));
  await append(join(tree, "ipc/Makefile"), `obj-$(${module.symbol}) += ${PLACE.slice("ipc/".length)}/\n`);
  await append(join(tree, "init/Kconfig"), `source "${PLACE}/Kconfig"\n`);
}

/** Another file in the place of the old one, which other names may stand for as well. */
async function append(path: string, lines: string): Promise<void> {
  const text = await readFile(path, "utf8");
  await rm(path);
  await writeFile(path, `${text}\n${lines}`);
}
