import { readFile, stat } from "node:fs/promises";
import { basename, join, relative, resolve } from "node:path";
import { digestFile, digestTree } from "../../orchestration/base/digest.ts";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { ROOT } from "../../orchestration/base/paths.ts";
import type { ModuleSpec } from "./spec.ts";

/** The only header a module takes from here; every other file is its own. */
export const HEADER = "fixtures/abi/kdbus.h";
/** What an earlier build in the caller's folder may have left, and the words on lines that are not run; never an input. */
export const LEFTOVER = /(^|\/)(\.[^/]*|coverage-reasons\.json|[^/]*\.(ko|o|a|mod|mod\.c|cmd|symvers|order|gcno|gcda))$/;

/** A module's folder, read and found to be one. */
export interface ModuleSources {
  readonly dir: string;
  /** The folder as it is called in titles, messages and debug information. */
  readonly label: string;
  /** Its Kbuild file, or Makefile. */
  readonly kbuild: string;
  /** Name to digest or value of all that decides what comes out, but for the kernel. */
  readonly inputs: Readonly<Record<string, string>>;
}

/** @throws MODULE_DIR_INVALID for a folder that builds no module */
export async function readSources(spec: ModuleSpec): Promise<ModuleSources> {
  const dir = resolve(spec.dir);
  const kbuild = await requireKbuild(dir, spec.dir);
  const label = relative(ROOT, dir).startsWith("..") ? basename(dir) : relative(ROOT, dir);
  const inputs: Record<string, string> = { [HEADER]: await digestFile(join(ROOT, HEADER)) };
  for (const [path, digest] of await digestTree(dir, (path) => LEFTOVER.test(path))) inputs[`${label}/${path}`] = digest;
  for (const [name, value] of Object.entries(spec.variables)) inputs[`make variable ${name}`] = value;
  return { dir, label, kbuild, inputs };
}

async function requireKbuild(dir: string, shown: string): Promise<string> {
  const info = await stat(dir).catch(() => undefined);
  if (info?.isDirectory() !== true) throw new SuiteError("MODULE_DIR_INVALID", `--module ${shown} is not a folder that exists`);
  const texts = await Promise.all(["Kbuild", "Makefile"].map((name) => readFile(join(dir, name), "utf8").catch(() => "")));
  const found = texts.find((text) => /^\s*obj-/m.test(text));
  if (found !== undefined) return found;
  throw new SuiteError("MODULE_DIR_INVALID", `--module ${shown} has no Kbuild file with an obj-m line, so it builds no module`);
}
