import { readFileSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { KERNELS } from "../../buslab.config.ts";
import { digestOf, short } from "../../orchestration/base/digest.ts";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { ARCHES, type ArchRow } from "../../orchestration/target/arches.ts";
import { sourceVersion } from "./source-version.ts";

/** A kernel that is compiled here, with further configuration fragments of the caller's behind ours. */
export type SourceSpec = (
  | { readonly kind: "debian"; readonly version: string }
  | { readonly kind: "source"; readonly dir: string }
  | { readonly kind: "archive"; readonly path: string }
  | { readonly kind: "git"; readonly url: string; readonly ref: string }
) & { readonly config?: readonly string[] };

/** A kernel that somebody else compiled. */
export type PrebuiltSpec =
  | { readonly kind: "deb"; readonly package: string }
  | { readonly kind: "image"; readonly vmlinuz: string; readonly modules: string; readonly build: string };

export type KernelSpec = SourceSpec | PrebuiltSpec;

export interface NamedKernel {
  /** Second part of a target id. */
  readonly name: string;
  readonly spec: KernelSpec;
  /** The one architecture it is for, where the name tells. */
  readonly arch?: ArchRow["id"];
}

const ARCHIVE = /\.tar\.(xz|gz|zst|bz2)$|\.t[gx]z$/;
const FORMS = "deb:PACKAGE, image:VMLINUZ,modules=DIR,build=DIR or source: with a folder, a tarball or a git address";

/**
 * Understands the argument of `--kernel`: a key of `buslab.config.ts`, the folder of a Linux source tree, or one of the forms
 * `deb:`, `image:`, `source:`; and of `--config`, fragments laid behind ours.
 * @throws KERNEL_SPEC_INVALID saying what was found there instead
 */
export function parseKernelSpec(text: string, config: readonly string[] = []): NamedKernel {
  const kernel = kernelOf(text);
  if (config.length === 0) return kernel;
  if (kernel.spec.kind === "deb" || kernel.spec.kind === "image") {
    throw new SuiteError("KERNEL_SPEC_INVALID", `--config ${config[0] ?? ""} with --kernel ${text}: a prebuilt kernel takes no configuration; leave --config out or give the kernel's source`);
  }
  const paths = config.map((path) => resolve(path));
  const digests = paths.map((path, index) => fragmentDigest(path, config[index] ?? path));
  return { ...kernel, name: `${kernel.name}-with-${tag(digests.join(" "))}`, spec: { ...kernel.spec, config: paths } };
}

/** The spec of a kernel named in a target id. @throws KERNEL_SPEC_INVALID for a name that buslab.config.ts does not have */
export function kernelSpecOf(name: string): KernelSpec {
  if (Object.hasOwn(KERNELS, name)) return KERNELS[name as keyof typeof KERNELS];
  throw new SuiteError("KERNEL_SPEC_INVALID", `"${name}" is no kernel of buslab.config.ts; known: ${Object.keys(KERNELS).join(", ")}`);
}

function kernelOf(text: string): NamedKernel {
  if (Object.hasOwn(KERNELS, text)) return { name: text, spec: KERNELS[text as keyof typeof KERNELS] };
  const form = /^(deb|image|source):(.*)$/s.exec(text);
  if (form === null) return source(text, text);
  const [, kind, rest = ""] = form;
  if (kind === "deb") return deb(text, rest);
  return kind === "image" ? image(text, rest) : source(text, rest);
}

function deb(text: string, name: string): NamedKernel {
  const match = /^linux-image-([a-z0-9][a-z0-9.+-]*)$/.exec(name);
  if (match?.[1] === undefined) {
    throw new SuiteError("KERNEL_SPEC_INVALID", `--kernel ${text}: "${name}" is no name of a kernel package; expected one like linux-image-amd64 or linux-image-6.1.0-25-rt-amd64 (apt-cache search linux-image lists them)`);
  }
  const flavour = match[1].replace(/-unsigned$/, "");
  const word = flavour.split("-").at(-1) ?? "";
  // Debian calls its 32-bit ARM flavours by the instruction set.
  const arch = Object.values(ARCHES).find((row) => row.debianArch === word || (row.id === "arm" && /(^|-)armmp/.test(flavour)));
  if (arch === undefined) {
    throw new SuiteError("KERNEL_SPEC_INVALID", `--kernel ${text}: the package's name ends in "${word}", which is no architecture of this bench; known: ${Object.values(ARCHES).map((row) => row.debianArch).join(", ")}`);
  }
  return { name: `deb-${match[1]}`, spec: { kind: "deb", package: name }, arch: arch.id };
}

function image(text: string, rest: string): NamedKernel {
  const [vmlinuz = "", ...pairs] = rest.split(",");
  const words = new Map(pairs.map((pair) => pair.split(/=(.*)/s, 2) as [string, string]));
  const unknown = [...words.keys()].find((key) => key !== "modules" && key !== "build");
  const [modules, build] = [words.get("modules") ?? "", words.get("build") ?? ""];
  if (vmlinuz === "" || modules === "" || build === "" || unknown !== undefined) {
    const found = unknown === undefined ? "a part is missing" : `"${unknown}" is no part of it`;
    throw new SuiteError("KERNEL_SPEC_INVALID", `--kernel ${text}: ${found}; write image:VMLINUZ,modules=/lib/modules/RELEASE,build=FOLDER-FOR-MODULE-BUILDS`);
  }
  needs(text, vmlinuz, "file", "the kernel's image");
  needs(text, modules, "folder", "the folder of its modules");
  needs(text, build, "folder", "its folder for module builds");
  if (statSync(join(build, "Makefile"), { throwIfNoEntry: false }) === undefined) {
    throw new SuiteError("KERNEL_SPEC_INVALID", `--kernel ${text}: ${build} has no Makefile; expected the folder that \`make -C FOLDER M=...\` builds modules with`);
  }
  const [a, b, c] = [resolve(vmlinuz), resolve(modules), resolve(build)];
  return { name: `image-${cleaned(basename(a))}-${tag([a, b, c].join(" "))}`, spec: { kind: "image", vmlinuz: a, modules: b, build: c } };
}

function source(text: string, where: string): NamedKernel {
  const git = /^((?:https?|git|ssh|file):\/\/\S+?|\S+@\S+:\S+?|.*\.git)(?:#(\S+))?$/.exec(where);
  if (git?.[1] !== undefined && !ARCHIVE.test(where)) {
    const [, url, ref = "HEAD"] = git;
    return { name: `git-${cleaned(basename(url, ".git"))}-${cleaned(ref)}-${tag(url)}`, spec: { kind: "git", url, ref } };
  }
  const path = resolve(where);
  const info = statSync(path, { throwIfNoEntry: false });
  if (info === undefined) {
    throw new SuiteError("KERNEL_SPEC_INVALID", `--kernel ${text}: neither a known kernel (${Object.keys(KERNELS).join(", ")}) nor a folder that exists, nor one of the forms ${FORMS}`);
  }
  if (info.isDirectory()) {
    const version = sourceVersion(path, text);
    return { name: `${cleaned(basename(path))}-${version}-${tag(path)}`, spec: { kind: "source", dir: path } };
  }
  if (!ARCHIVE.test(path)) throw new SuiteError("KERNEL_SPEC_INVALID", `--kernel ${text} is a file, and no source tarball; expected a folder or a name that ends in .tar.xz, .tar.gz or .tar.zst`);
  return { name: `${cleaned(basename(path).replace(ARCHIVE, ""))}-${tag(path)}`, spec: { kind: "archive", path } };
}

function needs(text: string, path: string, kind: "file" | "folder", what: string): void {
  const info = statSync(path, { throwIfNoEntry: false });
  if (info !== undefined && info.isDirectory() === (kind === "folder")) return;
  throw new SuiteError("KERNEL_SPEC_INVALID", `--kernel ${text}: ${path} ${info === undefined ? "does not exist" : `is no ${kind}`}; expected ${what}`);
}

function fragmentDigest(path: string, shown: string): string {
  const info = statSync(path, { throwIfNoEntry: false });
  if (info?.isFile() !== true) throw new SuiteError("KERNEL_SPEC_INVALID", `--config ${shown} is no file; expected a fragment of lines like CONFIG_X=y or # CONFIG_X is not set`);
  const text = readFileSync(path, "utf8");
  const wrong = text.split("\n").findIndex((line) => !/^\s*(#.*|CONFIG_\w+=.*)?$/.test(line));
  if (wrong >= 0) throw new SuiteError("KERNEL_SPEC_INVALID", `--config ${shown}, line ${wrong + 1}: "${(text.split("\n")[wrong] ?? "").slice(0, 80)}" sets nothing; expected a line like CONFIG_X=y or # CONFIG_X is not set`);
  return digestOf(text);
}

function cleaned(name: string): string {
  const word = name.toLowerCase().replaceAll(/[^a-z0-9.]+/g, "-").replaceAll(/^-+|-+$/g, "");
  return word === "" ? "source" : word.slice(0, 24);
}

function tag(text: string): string {
  return short(digestOf(text)).slice(0, 4);
}
