import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { exec } from "../../orchestration/base/exec.ts";
import { cacheDir } from "../../orchestration/base/paths.ts";
import { type ArchRow, isNative } from "../../orchestration/target/arches.ts";
import type { BuildContext } from "../cache.ts";
import { refreshPackageLists } from "../host-packages.ts";
import { lockFile } from "../lock.ts";
import { aptLineOf, readAptSources, sourcesFor } from "../rootfs/apt-sources.ts";
import { CODENAME } from "../rootfs/mmdebstrap.ts";

/** One version of a package, as the archive describes it. */
export interface AptPackage {
  readonly name: string;
  readonly version: string;
  readonly depends: string;
}

/**
 * Asks Debian's archive about packages of one architecture and fetches them, without root: through the host's own lists for its
 * own architecture, through lists of ours in the cache for another.
 */
export class Apt {
  readonly #options: readonly string[];
  readonly #refresh: (say: (line: string) => void) => Promise<void>;
  #fresh = false;

  private constructor(options: readonly string[], refresh: (say: (line: string) => void) => Promise<void>) {
    this.#options = options;
    this.#refresh = refresh;
  }

  static async of(arch: ArchRow, ctx: BuildContext): Promise<Apt> {
    if (isNative(arch)) return new Apt([], (say) => refreshPackageLists(say));
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
    const refresh = async (say: (line: string) => void): Promise<void> => {
      await using _lock = await lockFile(join(state, "update.lock"), () => say("another process reads the package lists"), ctx.signal);
      await exec(["apt-get", ...options, "-q", "update"], { onLine: say, timeoutMs: 600_000, ...passSignal(ctx) });
    };
    const apt = new Apt(options, refresh);
    if ((await readdir(join(state, "lists"))).every((name) => !name.endsWith("_Packages"))) {
      apt.#fresh = true;
      await refresh(() => undefined);
    }
    return apt;
  }

  /** The newest version of a package that the archive has; undefined when it has none, even after its lists were read anew. */
  async show(name: string, say: (line: string) => void = () => undefined): Promise<AptPackage | undefined> {
    const answer = await exec(["apt-cache", ...this.#options, "show", "--no-all-versions", name], { okCodes: [0, 100] });
    const field = (key: string): string | undefined => new RegExp(`^${key}: (.*)$`, "m").exec(answer.stdout)?.[1];
    const version = field("Version");
    if (version !== undefined) return { name: field("Package") ?? name, version, depends: field("Depends") ?? "" };
    if (this.#fresh) return undefined;
    this.#fresh = true;
    await this.#refresh(say).catch(() => undefined); // offline: what the lists do not have is not there
    return this.show(name, say);
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
