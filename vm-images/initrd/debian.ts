import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { SuiteError } from "../../orchestration/base/errors.ts";
import type { Step } from "../../orchestration/base/progress.ts";
import { type ArchRow, isNative, nativeArch } from "../../orchestration/target/arches.ts";
import { type Artifact, type Build, type BuildContext, obtain } from "../cache.ts";
import { Apt } from "../kernel/apt.ts";
import { readAptSources, sourcesFor } from "../rootfs/apt-sources.ts";
import { CODENAME, runMmdebstrap } from "../rootfs/mmdebstrap.ts";

const RECIPE = 1;
const MIB = 1024 * 1024;
/** Beside the kernel: what writes the disk, and what it takes in where Debian's installer made the system. */
const MAKERS = ["initramfs-tools", "busybox", "zstd", "e2fsprogs"];
/** Added to what the scripts choose, by the folder they read for it: our image has no udev that would load the agent's channel later. */
const ADDED = "virtio_console";
const ADDED_FOLDER = "usr/share/initramfs-tools/modules.d";

export interface DebianInitrd extends Artifact {
  readonly initrd: string;
}

/** @throws CONFIG_INVALID where this host does not run the architecture, for the scripts that write the disk are programs of it */
export function requireDebianInitrd(arch: ArchRow): void {
  if (isNative(arch)) return;
  throw new SuiteError("CONFIG_INVALID", `Debian's initial RAM disk for ${arch.id} is written by programs of ${arch.id}, and this host is ${nativeArch()?.id ?? process.arch}; leave out --stock here`);
}

/**
 * The initial RAM disk that a Debian system has for one of Debian's kernels: the package is installed in a throw-away system
 * and its own scripts write it, with Debian's settings (`MODULES=most`) and the one driver more that our agent answers through.
 * Needs no root.
 * @param release `uname -r` of the kernel; its package is `linux-image-RELEASE`
 * @throws what {@link requireDebianInitrd} throws; HOST_NETWORK; IMAGE_BUILD_FAILED
 */
export async function buildDebianInitrd(arch: ArchRow, release: string, ctx: BuildContext): Promise<DebianInitrd> {
  requireDebianInitrd(arch);
  const apt = await Apt.of(arch, ctx);
  const inputs: Record<string, string> = { "modules added": ADDED };
  const packages = [`linux-image-${release}`, ...MAKERS];
  for (const name of packages) {
    const found = await apt.show(name);
    if (found === undefined) throw new SuiteError("HOST_NETWORK", `the apt sources of this host have no package ${name}; \`apt-get update\` reads them anew`);
    inputs[name] = found.version;
  }
  const sources = sourcesFor(CODENAME, await readAptSources(), process.env["BUSLAB_DEBIAN_MIRROR"]);
  const build = async (dir: string, step: Step): Promise<Build> => {
    const out = join(dir, "system");
    await mkdir(out);
    const said = (line: string): void => step.update(line.slice(0, 80));
    const facts = await runMmdebstrap(arch, { sources, packages }, join(out, "system.tar"), ctx, said, [
      "--variant=minbase",
      `--essential-hook=mkdir -p "$1/${ADDED_FOLDER}" && echo ${ADDED} >"$1/${ADDED_FOLDER}/buslab"`,
      `--customize-hook=download /boot/initrd.img-${release} ${join(dir, "initrd")}`,
    ]);
    await rm(out, { recursive: true });
    return { outputs: ["initrd"], facts: { release, ...facts } };
  };
  const options = { title: `Debian's initial RAM disk for ${release}`, needsBytes: 2000 * MIB };
  const artifact = await obtain("initrd", { subject: `${arch.id}/${release}`, recipe: RECIPE, inputs, tools: {} }, build, options, ctx);
  return { ...artifact, initrd: join(artifact.dir, "initrd") };
}
