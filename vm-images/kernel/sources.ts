import { lstat, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { digestFile, digestOf } from "../../orchestration/base/digest.ts";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { exec } from "../../orchestration/base/exec.ts";
import { readJson, writeJson } from "../../orchestration/base/json-file.ts";
import { cacheDir } from "../../orchestration/base/paths.ts";
import { z } from "zod";
import type { BuildContext } from "../cache.ts";
import { refreshPackageLists } from "../host-packages.ts";
import { lockFile } from "../lock.ts";
import { archiveSource, gitSource } from "./fetched-sources.ts";
import { sourceVersion } from "./source-version.ts";
import type { SourceSpec } from "./spec.ts";

/** A kernel source tree ready to build from. */
export interface KernelSource {
  readonly dir: string;
  /** What the cache key takes: name to digest or version. */
  readonly inputs: Readonly<Record<string, string>>;
  /** Folder for the build, beside the source where we own it: ccache finds a hit only at the same relative place. */
  readonly workDir: string;
}

const MARK = "source.json";
const markSchema = z.object({ package: z.string(), version: z.string(), archive: z.string() });

/**
 * Finds the source tree of a kernel: the caller's folder, or an archive, a commit or Debian's source package unpacked once into the cache.
 * @throws HOST_NETWORK when the package cannot be fetched, HOST_DISK_FULL, KERNEL_SPEC_INVALID
 */
export async function findSource(spec: SourceSpec, ctx: BuildContext): Promise<KernelSource> {
  switch (spec.kind) {
    case "source":
      return callersSource(spec.dir);
    case "archive":
      return archiveSource(spec, ctx);
    case "git":
      return gitSource(spec, ctx);
    case "debian":
      return debianSource(`linux-source-${spec.version}`, ctx);
  }
}

/**
 * Names the content of the caller's tree by path, size and time of every file: reading 80,000 files at each run would
 * take longer than all other stages of a warm run.
 */
async function callersSource(dir: string): Promise<KernelSource> {
  const version = sourceVersion(dir);
  const seen: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    const entries = await readdir(folder, { withFileTypes: true });
    await Promise.all(
      entries.map(async (entry) => {
        if (entry.name === ".git") return;
        const path = join(folder, entry.name);
        if (entry.isDirectory()) return walk(path);
        const info = await lstat(path);
        seen.push(`${path.slice(dir.length)} ${info.size} ${Math.floor(info.mtimeMs)}`);
        return undefined;
      }),
    );
  };
  await walk(dir);
  const inputs = { "kernel source": `${version} ${digestOf(seen.sort().join("\n"))}`, "kernel source folder": dir };
  return { dir, inputs, workDir: join(cacheDir(), "work", "kernel") };
}

async function debianSource(name: string, ctx: BuildContext): Promise<KernelSource> {
  const shelf = join(cacheDir(), "sources");
  await mkdir(shelf, { recursive: true });
  const installed = await installedVersion(name);
  const kept = installed === undefined ? await newestKept(shelf, name) : await keptOf(shelf, name, installed);
  if (kept !== undefined) return kept;

  const step = ctx.progress.step(`source package ${name}`);
  try {
    await using _lock = await lockFile(join(shelf, `${name}.lock`), () => step.update("another process unpacks it, waiting"), ctx.signal);
    const again = installed === undefined ? await newestKept(shelf, name) : await keptOf(shelf, name, installed);
    if (again !== undefined) {
      step.done("unpacked by another process");
      return again;
    }
    for (const rest of await readdir(shelf)) if (rest.startsWith(`.${name}_`)) await rm(join(shelf, rest), { recursive: true, force: true });
    const temporary = await mkdtemp(join(shelf, `.${name}_`));
    try {
      const { archive, version } = installed === undefined ? await fetchPackage(name, temporary, (text) => step.update(text), ctx) : { archive: await archiveBelow("/usr/src", name), version: installed };
      step.update(`unpack version ${version} (1.5 GB)`);
      await mkdir(join(temporary, "src"));
      await exec(["tar", "-xf", archive, "-C", join(temporary, "src"), "--strip-components=1", "--no-same-owner"], { ...passSignal(ctx), timeoutMs: 900_000 });
      await writeJson(join(temporary, MARK), { package: name, version, archive: await digestFile(archive) });
      await rm(join(temporary, "deb"), { recursive: true, force: true });
      const final = join(shelf, folderName(name, version));
      await rm(final, { recursive: true, force: true });
      await rename(temporary, final);
      step.done(`version ${version}`);
      return await ready(final);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  } catch (error) {
    step.fail(error instanceof Error ? error.message : String(error));
    throw error;
  }
}

async function fetchPackage(name: string, dir: string, say: (text: string) => void, ctx: BuildContext): Promise<{ archive: string; version: string }> {
  const deb = join(dir, "deb");
  await mkdir(deb);
  say("fetch from the Debian mirror (140 MB)");
  const options = { cwd: deb, ...passSignal(ctx), timeoutMs: 1_800_000, onLine: (line: string) => say(line.slice(0, 60)) };
  // `apt-get download` needs no rights, but as root apt drops to a user that cannot write here: told not to.
  const download = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", name] as const;
  await exec(download, options).catch(async (first: unknown) => {
    if (first instanceof SuiteError && first.code === "HOST_DISK_FULL") throw first;
    await refreshPackageLists(say); // lists that are empty or older than the mirror are the usual reason
    await exec(download, options).catch((error: unknown) => {
      throw new SuiteError("HOST_NETWORK", `${name} could not be fetched from the Debian mirror of this host's apt configuration`, {
        cause: error,
        ...(error instanceof SuiteError ? { details: error.details ?? error.message } : {}),
      });
    });
  });
  const file = (await readdir(deb)).find((entry) => entry.endsWith(".deb"));
  if (file === undefined) throw new SuiteError("HOST_NETWORK", `apt-get download ${name} left no package file`);
  const version = (await exec(["dpkg-deb", "-f", join(deb, file), "Version"])).stdout.trim();
  await exec(["dpkg-deb", "-x", join(deb, file), join(deb, "root")], passSignal(ctx));
  return { archive: await archiveBelow(join(deb, "root/usr/src"), name), version };
}

async function archiveBelow(dir: string, name: string): Promise<string> {
  const found = (await readdir(dir)).find((entry) => entry.startsWith(`${name}.tar`));
  if (found === undefined) throw new SuiteError("KERNEL_SPEC_INVALID", `the package ${name} has no ${name}.tar.* in ${dir}; install it anew`);
  return join(dir, found);
}

async function installedVersion(name: string): Promise<string | undefined> {
  const answer = await exec(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", name], { okCodes: [0, 1] });
  const match = /^installed (\S+)/.exec(answer.stdout);
  return match?.[1];
}

async function keptOf(shelf: string, name: string, version: string): Promise<KernelSource | undefined> {
  return ready(join(shelf, folderName(name, version))).catch(() => undefined);
}

/** Of several unpacked versions the one unpacked last; keeps a host without the package on one kernel until it is told otherwise. */
async function newestKept(shelf: string, name: string): Promise<KernelSource | undefined> {
  const folders = (await readdir(shelf)).filter((entry) => entry.startsWith(`${name}_`));
  const timed = await Promise.all(folders.map(async (entry) => ({ entry, at: (await lstat(join(shelf, entry, MARK)).catch(() => undefined))?.mtimeMs ?? 0 })));
  const newest = timed.sort((a, b) => b.at - a.at)[0];
  return newest === undefined || newest.at === 0 ? undefined : ready(join(shelf, newest.entry)).catch(() => undefined);
}

async function ready(folder: string): Promise<KernelSource> {
  const mark = await readJson(join(folder, MARK), markSchema);
  const dir = join(folder, "src");
  sourceVersion(dir);
  return { dir, inputs: { [mark.package]: mark.version, [`${mark.package} archive`]: mark.archive }, workDir: folder };
}

function folderName(name: string, version: string): string {
  return `${name}_${version.replaceAll(/[^\w.+~-]/g, "-")}`;
}

function passSignal(ctx: BuildContext): { signal?: AbortSignal } {
  return ctx.signal === undefined ? {} : { signal: ctx.signal };
}
