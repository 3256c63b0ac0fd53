import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { digestFile } from "../../orchestration/base/digest.ts";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { exec } from "../../orchestration/base/exec.ts";
import { ROOT } from "../../orchestration/base/paths.ts";
import type { Step } from "../../orchestration/base/progress.ts";
import type { ArchRow } from "../../orchestration/target/arches.ts";
import { type Artifact, type Build, type BuildContext, obtain } from "../cache.ts";
import { requireProgram, versionOf } from "../tools.ts";
import { aptLineOf, type AptSource, readAptSources, sourcesFor } from "./apt-sources.ts";
import { requireNamespaces } from "./namespace.ts";

/** An archive of a configured Debian root file system, before anything of ours is in it. */
export interface RootfsArtifact extends Artifact {
  readonly tar: string;
}

const RECIPE = 1;
const CODENAME = "bookworm";
const PACKAGE_LIST = "vm-images/rootfs/packages/base.txt";
/** Documentation and translations: a third of the image, read by nobody in it. */
const LEFT_OUT = ["doc", "man", "locale", "info", "lintian", "bug"].map((folder) => `path-exclude=/usr/share/${folder}/*`);
/** Lines of package work mmdebstrap prints with our list: fetch, unpack, set up, about 145 packages each. */
const EXPECTED_LINES = 440;

/**
 * Makes the root file system archive with mmdebstrap, or finds it in the cache. The key holds what is asked for, not the day's
 * archive: a run does not change because a mirror did. What was installed stands in the manifest.
 * @throws HOST_NETWORK when the mirror does not answer; IMAGE_BUILD_FAILED; HOST_TOOL_MISSING
 */
export async function buildRootfs(arch: ArchRow, ctx: BuildContext): Promise<RootfsArtifact> {
  const sources = sourcesFor(CODENAME, await readAptSources(), process.env["BUSLAB_DEBIAN_MIRROR"]);
  const packages = parseList(await readFile(join(ROOT, PACKAGE_LIST), "utf8"));
  const inputs: Record<string, string> = {
    [PACKAGE_LIST]: await digestFile(join(ROOT, PACKAGE_LIST)),
    "Debian suites": sources.map((source) => source.suite).join(" "),
    "files left out": LEFT_OUT.join(" "),
  };
  const options = { title: `root file system ${arch.debianArch}`, needsBytes: 1500 * 1024 * 1024, keep: 2 };
  const subject = `${arch.id}/debian-12`;
  const artifact = await obtain("rootfs", { subject, recipe: RECIPE, inputs, tools: {} }, (dir, step) => bootstrap(arch, sources, packages, dir, step, ctx), options, ctx);
  return { ...artifact, tar: join(artifact.dir, "rootfs.tar") };
}

/** Words of a list file, one a line, without comments. */
export function parseList(text: string): string[] {
  return text.split("\n").map((line) => line.replace(/#.*/, "").trim()).filter((line) => line !== "");
}

async function bootstrap(arch: ArchRow, sources: readonly AptSource[], packages: readonly string[], dir: string, step: Step, ctx: BuildContext): Promise<Build> {
  const mmdebstrap = await requireProgram("mmdebstrap", "mmdebstrap");
  const root = process.getuid?.() === 0;
  if (!root) await requireNamespaces();
  const tar = join(dir, "rootfs.tar");
  const argv: [string, ...string[]] = [
    mmdebstrap,
    "--verbose",
    `--mode=${root ? "root" : "unshare"}`,
    "--variant=essential",
    `--architectures=${arch.debianArch}`,
    `--include=${packages.join(",")}`,
    '--aptopt=Acquire::Languages "none"',
    "--aptopt=Acquire::Retries 3",
    ...(await proxyOptions()),
    ...LEFT_OUT.map((line) => `--dpkgopt=${line}`),
    // What was really installed, for the manifest: read off the output like everything else mmdebstrap says.
    `--customize-hook=chroot "$1" dpkg-query -W -f 'buslab-package \${Package} \${Version}\\n'`,
    CODENAME,
    tar,
    ...sources.map(aptLineOf),
  ];
  const versions: string[] = [];
  const watch = watcher(step, versions);
  try {
    await exec(argv, {
      logFile: join(ctx.logDir, "rootfs.log"),
      code: "IMAGE_BUILD_FAILED",
      timeoutMs: 3_600_000,
      onLine: watch,
      env: { LC_ALL: "C.UTF-8", DEBIAN_FRONTEND: "noninteractive" },
      ...(ctx.signal === undefined ? {} : { signal: ctx.signal }),
    });
  } catch (error) {
    throw blameNetwork(error);
  }
  if (versions.length === 0) throw new SuiteError("IMAGE_BUILD_FAILED", `mmdebstrap listed no packages; read ${join(ctx.logDir, "rootfs.log")}`);
  return {
    outputs: ["rootfs.tar"],
    facts: { suites: sources.map((source) => source.suite), packages: versions.sort(), mmdebstrap: await versionOf("mmdebstrap", "mmdebstrap") },
  };
}

/** Turns mmdebstrap's and dpkg's lines into a percentage: each package is fetched, unpacked and set up. */
function watcher(step: Step, versions: string[]): (line: string) => void {
  let seen = 0;
  return (line) => {
    const version = /^buslab-package (.+)$/.exec(line)?.[1];
    if (version !== undefined) versions.push(version);
    const phase = /^I: (running|downloading|extracting|installing|cleaning|creating)(.*)/.exec(line);
    const work = /^(Get:\d+|Unpacking|Setting up) (?:\S+:\/\/\S+ )?(\S+)/.exec(line);
    if (work !== null) seen += 1;
    if (phase !== null) step.update(`${phase[1] ?? ""}${phase[2] ?? ""}`, Math.min(0.97, seen / EXPECTED_LINES));
    else if (work !== null) step.update(`${(work[1] ?? "").replace(/:\d+$/, "")} ${work[2] ?? ""}`, Math.min(0.97, seen / EXPECTED_LINES));
  };
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
  return new SuiteError("HOST_NETWORK", "the Debian mirror of this host's apt configuration does not answer", { cause: error, details: lines.join("\n") });
}
