import { join } from "node:path";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { exec } from "../../orchestration/base/exec.ts";
import type { ArchRow } from "../../orchestration/target/arches.ts";
import type { BuildContext } from "../cache.ts";
import { cpuSecondsOf, metered, requireProgram } from "../tools.ts";
import { aptLineOf } from "./apt-sources.ts";
import type { Wish } from "./bootstrap.ts";
import { requireNamespaces } from "./namespace.ts";

/** Release of every image. */
export const CODENAME = "bookworm";

/** What mmdebstrap did. */
export interface Installed {
  readonly cpuSeconds: number;
  /** `NAME VERSION` of each package that was set up, sorted; none where packages are only unpacked. */
  readonly packages: string[];
}

const UNPACK_ONLY = "--variant=extract";
/** What was really installed, read off the output like everything else mmdebstrap says. */
const LIST_PACKAGES = `--customize-hook=chroot "$1" dpkg-query -W -f 'buslab-package \${Package} \${Version}\\n'`;

/**
 * Runs mmdebstrap for the wish, as root or in a user namespace, into the archive `tar`.
 * @throws HOST_NETWORK when the mirror does not answer; IMAGE_BUILD_FAILED; HOST_TOOL_MISSING
 */
export async function runMmdebstrap(arch: ArchRow, wish: Wish, tar: string, ctx: BuildContext, onLine: (line: string) => void, options: readonly string[]): Promise<Installed> {
  const mmdebstrap = await requireProgram("mmdebstrap", "mmdebstrap");
  const root = process.getuid?.() === 0;
  if (!root) await requireNamespaces();
  const argv: [string, ...string[]] = [
    mmdebstrap,
    "--verbose",
    `--mode=${root ? "root" : "unshare"}`,
    `--architectures=${arch.debianArch}`,
    `--include=${wish.packages.join(",")}`,
    '--aptopt=Acquire::Languages "none"',
    "--aptopt=Acquire::Retries 3",
    ...(await proxyOptions()),
    ...options,
    ...(options.includes(UNPACK_ONLY) ? [] : [LIST_PACKAGES]),
    CODENAME,
    tar,
    ...wish.sources.map(aptLineOf),
  ];
  const packages: string[] = [];
  try {
    const result = await exec(metered(argv), {
      logFile: join(ctx.logDir, `rootfs-${arch.id}.log`),
      code: "IMAGE_BUILD_FAILED",
      timeoutMs: 3_600_000,
      onLine: (line) => {
        const listed = /^buslab-package (.+)$/.exec(line)?.[1];
        if (listed === undefined) onLine(line);
        else packages.push(listed);
      },
      env: { LC_ALL: "C.UTF-8", DEBIAN_FRONTEND: "noninteractive" },
      ...(ctx.signal === undefined ? {} : { signal: ctx.signal }),
    });
    return { cpuSeconds: cpuSecondsOf(result), packages: packages.sort() };
  } catch (error) {
    throw blameNetwork(error);
  }
}

/** mmdebstrap has an apt configuration of its own; the host's proxy is the one thing of the host's it needs too. */
async function proxyOptions(): Promise<string[]> {
  const dump = await exec(["apt-config", "dump", "Acquire"], { okCodes: [0, 1, 100] });
  return dump.stdout.split("\n").flatMap((line) => (/^Acquire::https?::Proxy "[^"]+";$/.test(line) ? [`--aptopt=${line.slice(0, -1)}`] : []));
}

function blameNetwork(error: unknown): unknown {
  if (!(error instanceof SuiteError) || error.code !== "IMAGE_BUILD_FAILED") return error;
  const lines = (error.details ?? "").split("\n").filter((line) => /^(Err:|E: |W: Failed)|Could not (resolve|connect)|Temporary failure|Failed to fetch/.test(line));
  if (!/Could not (resolve|connect)|Temporary failure|Failed to fetch|Unable to connect|unexpected size/.test(error.details ?? "")) return error;
  return new SuiteError("HOST_NETWORK", "the Debian mirror of this host's apt configuration does not answer", { cause: error, details: [...lines, error.details ?? ""].join("\n") });
}
