import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { digestJson, short } from "../../orchestration/base/digest.ts";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { exec } from "../../orchestration/base/exec.ts";
import { readJson, writeJson } from "../../orchestration/base/json-file.ts";
import { cacheDir } from "../../orchestration/base/paths.ts";
import { type ArchRow, isNative } from "../../orchestration/target/arches.ts";
import type { BuildContext } from "../cache.ts";
import { refreshPackageLists } from "../host-packages.ts";
import { lockFile } from "../lock.ts";
import { aptLineOf, readAptSources, sourcesFor } from "../rootfs/apt-sources.ts";
import { CODENAME } from "../rootfs/mmdebstrap.ts";

const packageSchema = z.strictObject({ name: z.string(), version: z.string(), depends: z.string() });

/** A list of packages, plain or packed as apt was told to keep it. */
const LIST = /_Packages(\.\w+)?$/;

/** One version of a package, as the archive describes it. */
export type AptPackage = Readonly<z.infer<typeof packageSchema>>;

/**
 * Asks Debian's archive about packages of one architecture and fetches them, without root: through the host's own lists for its
 * own architecture, through lists of ours in the cache for another.
 */
export class Apt {
  readonly #options: readonly string[];
  readonly #lists: string;
  readonly #refresh: (say: (line: string) => void) => Promise<void>;
  #fresh = false;

  private constructor(options: readonly string[], lists: string, refresh: (say: (line: string) => void) => Promise<void>) {
    this.#options = options;
    this.#lists = lists;
    this.#refresh = refresh;
  }

  static async of(arch: ArchRow, ctx: BuildContext): Promise<Apt> {
    if (isNative(arch)) return new Apt([], "/var/lib/apt/lists", (say) => refreshPackageLists(say));
    const state = join(cacheDir(), "apt", arch.debianArch);
    for (const folder of ["lists/partial", "archives/partial", "etc"]) await mkdir(join(state, folder), { recursive: true });
    const sources = sourcesFor(CODENAME, await readAptSources(), process.env["BUSLAB_DEBIAN_MIRROR"]);
    await writeFile(join(state, "etc/sources.list"), `${sources.map(aptLineOf).join("\n")}\n`);
    await writeFile(join(state, "status"), "");
    const words = {
      "APT::Architecture": arch.debianArch,
      "APT::Architectures": arch.debianArch,
      "Dir::Etc::SourceList": join(state, "etc/sources.list"),
      "Dir::Etc::SourceParts": join(state, "etc/none"),
      "Dir::State": state,
      "Dir::State::Lists": join(state, "lists"),
      "Dir::State::status": join(state, "status"),
      "Dir::Cache": state,
      "Dir::Cache::Archives": join(state, "archives"),
      "APT::Sandbox::User": "root",
      "Acquire::Languages": "none",
    };
    const options = Object.entries(words).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
    const hasLists = async (): Promise<boolean> => (await readdir(join(state, "lists"))).some((name) => LIST.test(name));
    const refresh = async (say: (line: string) => void): Promise<void> => {
      await using _lock = await lockFile(join(state, "update.lock"), () => say("another process reads the package lists"), ctx.signal);
      // A suite whose list is torn on the mirror must not keep us from the others: apt then ends with 100 and keeps those.
      const answer = await exec(["apt-get", ...options, "-q", "update"], { onLine: say, timeoutMs: 600_000, okCodes: [0, 100], ...passSignal(ctx) });
      if (await hasLists()) return;
      throw new SuiteError("HOST_NETWORK", `the Debian mirror of this host's apt configuration gave no package list of ${arch.debianArch}`, { details: answer.stderr });
    };
    const apt = new Apt(options, join(state, "lists"), refresh);
    if (!(await hasLists())) {
      apt.#fresh = true;
      await refresh(() => undefined);
    }
    return apt;
  }

  /** The newest version of a package that the archive has; undefined when it has none, even after its lists were read anew. */
  async show(name: string, say: (line: string) => void = () => undefined): Promise<AptPackage | undefined> {
    // Each question costs apt a second of reading its lists: an answer serves until they change.
    const memory = join(cacheDir(), "apt", "answers", `${name}-${short(digestJson([this.#options, await this.#listsState()]))}.json`);
    const known = await readJson(memory, packageSchema).catch(() => undefined);
    if (known !== undefined) return known;
    const found = await this.#ask(name, say);
    if (found !== undefined) await writeJson(memory, found).catch(() => undefined);
    return found;
  }

  async #listsState(): Promise<string[]> {
    const names = (await readdir(this.#lists).catch((): string[] => [])).filter((name) => name.endsWith("_InRelease") || LIST.test(name));
    return Promise.all(names.sort().map(async (name) => `${name} ${Math.floor((await stat(join(this.#lists, name))).mtimeMs)}`));
  }

  async #ask(name: string, say: (line: string) => void): Promise<AptPackage | undefined> {
    const answer = await exec(["apt-cache", ...this.#options, "show", "--no-all-versions", name], { okCodes: [0, 100] });
    const field = (key: string): string | undefined => new RegExp(`^${key}: (.*)$`, "m").exec(answer.stdout)?.[1];
    const version = field("Version");
    if (version !== undefined) return { name: field("Package") ?? name, version, depends: field("Depends") ?? "" };
    if (this.#fresh) return undefined;
    this.#fresh = true;
    await this.#refresh(say).catch(() => undefined); // offline: what the lists do not have is not there
    return this.#ask(name, say);
  }

  /** Fetches packages into a folder. @throws HOST_NETWORK */
  async download(packages: readonly AptPackage[], dir: string, say: (line: string) => void, ctx: BuildContext): Promise<void> {
    const names = packages.map((entry) => `${entry.name}=${entry.version}`);
    // `apt-get download` needs no rights, but as root apt drops to a user that cannot write here: told not to.
    const argv = ["apt-get", ...this.#options, "-q", "-o", "APT::Sandbox::User=root", "download", ...names] as [string, ...string[]];
    const options = { cwd: dir, timeoutMs: 1_800_000, onLine: (line: string) => say(line.replace(/ \S+:\/\/\S+/, "").slice(0, 60)), ...passSignal(ctx) };
    await exec(argv, options).catch((error: unknown) => {
      if (error instanceof SuiteError && error.code === "HOST_DISK_FULL") throw error;
      throw new SuiteError("HOST_NETWORK", `${names.join(", ")} could not be fetched from the Debian mirror of this host's apt configuration`, {
        cause: error,
        ...(error instanceof SuiteError ? { details: error.details ?? error.message } : {}),
      });
    });
  }
}

function passSignal(ctx: BuildContext): { signal?: AbortSignal } {
  return ctx.signal === undefined ? {} : { signal: ctx.signal };
}
