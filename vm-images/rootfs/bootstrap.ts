import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { digestFile } from "../../orchestration/base/digest.ts";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { ROOT } from "../../orchestration/base/paths.ts";
import type { Step } from "../../orchestration/base/progress.ts";
import { ARCHES, type ArchRow, nativeArch } from "../../orchestration/target/arches.ts";
import { type Artifact, type Build, type BuildContext, obtain } from "../cache.ts";
import { versionOf } from "../tools.ts";
import { type AptSource, readAptSources, sourcesFor } from "./apt-sources.ts";
import { graft } from "./graft.ts";
import { CODENAME, runMmdebstrap } from "./mmdebstrap.ts";

/** What both ways to a root file system start from. */
export interface Wish {
  readonly sources: readonly AptSource[];
  readonly packages: readonly string[];
}

/** An archive of a configured Debian root file system, before anything of ours is in it. */
export interface RootfsArtifact extends Artifact {
  readonly tar: string;
}

const RECIPE = 1;
const GRAFT_SCRIPT = "vm-images/rootfs/graft.sh";
const PACKAGE_LIST = "vm-images/rootfs/packages/base.txt";
/** Documentation and translations: a third of the image, read by nobody in it. */
const LEFT_OUT = ["doc", "man", "locale", "info", "lintian", "bug"].map((folder) => `/usr/share/${folder}/*`);
/** Lines of package work mmdebstrap prints with our list: fetch, unpack, set up, about 145 packages each. */
const EXPECTED_LINES = 440;

/**
 * Makes the root file system archive, or finds it in the cache: with mmdebstrap where this host runs the architecture, by a
 * graft onto the native one elsewhere. The key holds what is asked for, not the day's archive: a run does not change because a
 * mirror did. What was installed stands in the manifest.
 * @throws HOST_NETWORK when the mirror does not answer; IMAGE_BUILD_FAILED; HOST_TOOL_MISSING
 */
export async function buildRootfs(arch: ArchRow, ctx: BuildContext): Promise<RootfsArtifact> {
  const wish: Wish = {
    sources: sourcesFor(CODENAME, await readAptSources(), process.env["BUSLAB_DEBIAN_MIRROR"]),
    packages: parseList(await readFile(join(ROOT, PACKAGE_LIST), "utf8")),
  };
  const inputs: Record<string, string> = {
    [PACKAGE_LIST]: await digestFile(join(ROOT, PACKAGE_LIST)),
    "Debian suites": wish.sources.map((source) => source.suite).join(" "),
    "files left out": LEFT_OUT.map((path) => `path-exclude=${path}`).join(" "),
  };
  const native = nativeArch();
  if (native === undefined) throw new SuiteError("HOST_TOOL_MISSING", `no image can be made on a ${process.arch} host: it runs none of ${Object.keys(ARCHES).join(", ")}`);
  const grafted = native.id === arch.id ? undefined : { base: await buildRootfs(native, ctx), native };
  if (grafted !== undefined) {
    inputs["native root file system"] = grafted.base.manifest.key;
    inputs[GRAFT_SCRIPT] = await digestFile(join(ROOT, GRAFT_SCRIPT));
  }
  const options = { title: `root file system ${arch.debianArch}`, needsBytes: 1500 * 1024 * 1024, keep: 2 };
  const subject = `${arch.id}/debian-12`;
  const build = (dir: string, step: Step): Promise<Build> =>
    grafted === undefined ? bootstrap(arch, wish, dir, step, ctx) : graft({ arch, ...grafted, wish, leftOut: LEFT_OUT }, dir, step, ctx);
  const artifact = await obtain("rootfs", { subject, recipe: RECIPE, inputs, tools: {} }, build, options, ctx);
  return { ...artifact, tar: join(artifact.dir, "rootfs.tar") };
}

/** Words of a list file, one a line, without comments. */
export function parseList(text: string): string[] {
  return text.split("\n").map((line) => line.replace(/#.*/, "").trim()).filter((line) => line !== "");
}

async function bootstrap(arch: ArchRow, wish: Wish, dir: string, step: Step, ctx: BuildContext): Promise<Build> {
  const { cpuSeconds, packages } = await runMmdebstrap(arch, wish, join(dir, "rootfs.tar"), ctx, watcher(step), [
    "--variant=essential",
    ...LEFT_OUT.map((path) => `--dpkgopt=path-exclude=${path}`),
  ]);
  if (packages.length === 0) throw new SuiteError("IMAGE_BUILD_FAILED", `mmdebstrap listed no packages; read ${join(ctx.logDir, `rootfs-${arch.id}.log`)}`);
  return {
    outputs: ["rootfs.tar"],
    facts: { suites: wish.sources.map((source) => source.suite), packages, cpuSeconds, mmdebstrap: await versionOf("mmdebstrap", "mmdebstrap") },
  };
}

/** Turns mmdebstrap's and dpkg's lines into a percentage: each package is fetched, unpacked and set up. */
function watcher(step: Step): (line: string) => void {
  let seen = 0;
  return (line) => {
    const phase = /^I: (running|downloading|extracting|installing|cleaning|creating)(.*)/.exec(line);
    const work = /^(Get:\d+|Unpacking|Setting up) (?:\S+:\/\/\S+ )?(\S+)/.exec(line);
    if (work !== null) seen += 1;
    if (phase !== null) step.update(`${phase[1] ?? ""}${phase[2] ?? ""}`, Math.min(0.97, seen / EXPECTED_LINES));
    else if (work !== null) step.update(`${(work[1] ?? "").replace(/:\d+$/, "")} ${work[2] ?? ""}`, Math.min(0.97, seen / EXPECTED_LINES));
  };
}
