import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { SuiteError } from "../orchestration/base/errors.ts";
import { exec } from "../orchestration/base/exec.ts";
import { type Progress, silent } from "../orchestration/base/progress.ts";
import { type ArchRow, ARCHES, isNative } from "../orchestration/target/arches.ts";

/**
 * `build`: kernel, module, agent; `image`: the guest's root file system; `vm`: machines; `store`: a database server and the
 * independent readers that tests of exports and archives need; `browser`: tests of the dashboard; `sshd`: tests of the ssh client; `bench`: the program that compares transports.
 */
export type Feature = "build" | "image" | "vm" | "store" | "browser" | "sshd" | "bench";

interface HostPackage {
  readonly name: string;
  /** A file that proves the package; a name without slash is looked up in PATH and the sbin folders. */
  readonly proof: string;
}

const PACKAGES: Readonly<Record<Feature, readonly HostPackage[]>> = {
  build: [
    { name: "gcc", proof: "gcc" },
    { name: "make", proof: "make" },
    { name: "libc6-dev", proof: "/usr/include/stdio.h" },
    { name: "binutils", proof: "ld" },
    { name: "flex", proof: "flex" },
    { name: "bison", proof: "bison" },
    { name: "bc", proof: "bc" },
    { name: "libelf-dev", proof: "/usr/include/gelf.h" },
    { name: "libssl-dev", proof: "/usr/include/openssl/opensslv.h" },
    { name: "ccache", proof: "ccache" },
    { name: "kmod", proof: "depmod" },
    { name: "lz4", proof: "lz4" },
    { name: "perl", proof: "perl" },
    { name: "xz-utils", proof: "xz" },
    { name: "util-linux", proof: "setpriv" },
  ],
  image: [
    { name: "mmdebstrap", proof: "mmdebstrap" },
    { name: "debian-archive-keyring", proof: "/usr/share/keyrings/debian-archive-keyring.gpg" },
    { name: "uidmap", proof: "newuidmap" },
    { name: "policycoreutils", proof: "setfiles" },
    { name: "e2fsprogs", proof: "mke2fs" },
  ],
  vm: [{ name: "qemu-utils", proof: "qemu-img" }],
  browser: [{ name: "chromium", proof: "/usr/bin/chromium" }],
  sshd: [{ name: "openssh-server", proof: "/usr/sbin/sshd" }],
  store: [
    // the folder, because the programs lie in one named after the version
    { name: "postgresql", proof: "/usr/lib/postgresql" },
    { name: "util-linux", proof: "setpriv" },
    { name: "openssl", proof: "openssl" },
    { name: "python3", proof: "python3" },
    { name: "cpio", proof: "cpio" },
  ],
  bench: [{ name: "libsystemd-dev", proof: "/usr/include/systemd/sd-bus.h" }],
};

/** What a feature needs beside that for one architecture. */
function packagesOf(feature: Feature, arch: ArchRow): readonly HostPackage[] {
  if (feature === "vm") return [{ name: arch.qemu.package, proof: arch.qemu.binary }];
  if (feature !== "build") return [];
  const foreign = [...(isNative(arch) ? [] : [arch]), ...(arch.narrow === undefined ? [] : [arch.narrow])];
  return foreign.flatMap(({ crossPackages: [compiler = "", library = ""], crossPrefix, multiarch }) => [
    { name: compiler, proof: `${crossPrefix}gcc` },
    { name: library, proof: `/usr/${multiarch}/lib/libc.a` },
  ]);
}

const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** Names of all Debian packages that a feature needs on these architectures, whatever this host has. */
export function allPackages(feature: Feature, arches: readonly ArchRow[]): string[] {
  return [...new Set([...PACKAGES[feature], ...arches.flatMap((arch) => packagesOf(feature, arch))].map(({ name }) => name))];
}

/** Debian packages this host lacks for the features on these architectures, by name; empty when nothing is missing. */
export async function missingPackages(features: readonly Feature[] = ["build", "image", "vm"], arches: readonly ArchRow[] = [ARCHES.x86_64]): Promise<string[]> {
  const wanted = features.flatMap((feature) => [...PACKAGES[feature], ...arches.flatMap((arch) => packagesOf(feature, arch))]);
  const checked = await Promise.all(wanted.map(async (entry) => ((await isPresent(entry.proof)) ? undefined : entry.name)));
  return [...new Set(checked.filter((name) => name !== undefined))];
}

/**
 * Installs Debian packages: as root, or by sudo when that needs no password.
 * @throws HOST_TOOL_MISSING with the exact line to type where neither is possible; HOST_NETWORK when the mirror does not answer
 */
export async function installPackages(names: readonly string[], progress: Progress = silent): Promise<void> {
  if (names.length === 0) return;
  const prefix = await rootPrefix();
  if (prefix === undefined) {
    throw new SuiteError("HOST_TOOL_MISSING", `Debian packages are missing and this user may not install them; type: ${aptLine(names)}`);
  }
  const step = progress.step(`install ${names.length} Debian packages`);
  try {
    await aptGet(prefix, ["update"], (line) => step.update(line.slice(0, 60)));
    await aptGet(prefix, ["install", "-y", "--no-install-recommends", ...names], (line) => step.update(line.slice(0, 60)));
    step.done(names.join(" "));
  } catch (error) {
    step.fail("apt-get failed");
    throw error;
  }
}

/** Runs `apt-get update` where this user may; elsewhere does nothing, and the caller's next step says what is missing. */
export async function refreshPackageLists(onLine: (line: string) => void = () => undefined): Promise<void> {
  const prefix = await rootPrefix();
  if (prefix !== undefined) await aptGet(prefix, ["update"], onLine);
}

/** The line a person with the right to install packages types. */
export function aptLine(names: readonly string[]): string {
  return `sudo apt-get update && sudo apt-get install -y --no-install-recommends ${names.join(" ")}`;
}

/** Full path of a program in PATH or the system folders that PATH of ordinary users leaves out. */
export async function findProgram(name: string): Promise<string | undefined> {
  for (const folder of [...(process.env["PATH"] ?? "").split(delimiter), ...SYSTEM_FOLDERS]) {
    if (folder === "") continue;
    const path = join(folder, name);
    if (await canRead(path, constants.X_OK)) return path;
  }
  return undefined;
}

async function rootPrefix(): Promise<string[] | undefined> {
  if (process.getuid?.() === 0) return [];
  if ((await findProgram("sudo")) === undefined) return undefined;
  const answer = await exec(["sudo", "-n", "true"], { okCodes: [0, 1] });
  return answer.exitCode === 0 ? ["sudo", "-n"] : undefined;
}

async function aptGet(prefix: readonly string[], words: readonly string[], onLine: (line: string) => void): Promise<void> {
  const argv = [...prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", ...words];
  try {
    await exec(argv as [string, ...string[]], { onLine, timeoutMs: 1_200_000 });
  } catch (error) {
    const text = error instanceof SuiteError ? `${error.message}\n${error.details ?? ""}` : String(error);
    if (/Unable to fetch|Failed to fetch|Temporary failure|Could not resolve|Could not connect/.test(text)) {
      throw new SuiteError("HOST_NETWORK", `apt-get ${words[0] ?? ""} could not reach its mirror`, { cause: error, details: text });
    }
    if (/Unable to locate package|has no installation candidate/.test(text)) {
      throw new SuiteError("HOST_TOOL_MISSING", `this host's apt sources do not have one of: ${words.slice(3).join(" ")}`, { cause: error, details: text });
    }
    throw error;
  }
}

async function isPresent(proof: string): Promise<boolean> {
  return proof.includes("/") ? canRead(proof, constants.R_OK) : (await findProgram(proof)) !== undefined;
}

async function canRead(path: string, mode: number): Promise<boolean> {
  try {
    await access(path, mode);
    return true;
  } catch {
    return false;
  }
}
