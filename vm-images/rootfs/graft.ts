import { rm } from "node:fs/promises";
import { join } from "node:path";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { exec } from "../../orchestration/base/exec.ts";
import { ROOT } from "../../orchestration/base/paths.ts";
import type { Step } from "../../orchestration/base/progress.ts";
import type { ArchRow } from "../../orchestration/target/arches.ts";
import type { Build, BuildContext } from "../cache.ts";
import type { Facts } from "../manifest.ts";
import { cpuSecondsOf, metered, versionOf } from "../tools.ts";
import type { RootfsArtifact, Wish } from "./bootstrap.ts";
import { runMmdebstrap } from "./mmdebstrap.ts";
import { asNamespaceRoot, requireNamespaces } from "./namespace.ts";

export interface Graft {
  readonly arch: ArchRow;
  readonly native: ArchRow;
  /** Configured, of the native architecture, from the same list of packages. */
  readonly base: RootfsArtifact;
  readonly wish: Wish;
  /** Patterns of paths that no image has. */
  readonly leftOut: readonly string[];
}

/** Lines of package work mmdebstrap prints for our list: fetched and unpacked, about 145 packages each. */
const EXPECTED_LINES = 160;

/**
 * A root file system for an architecture this host cannot run: its packages are only unpacked, and put under what the native
 * build's maintainer scripts made. No emulation, no binfmt, no root. The manifest tells the CPU time and each package whose
 * version differs from the native one's, for then scripts and programs are of two versions.
 * @throws HOST_NETWORK, IMAGE_BUILD_FAILED, HOST_TOOL_MISSING
 */
export async function graft(job: Graft, dir: string, step: Step, ctx: BuildContext): Promise<Build> {
  const unpacked = join(dir, "unpacked.tar");
  const versions: string[] = [];
  const unpack = (sources: Wish["sources"]): ReturnType<typeof runMmdebstrap> => {
    versions.length = 0;
    const onLine = (line: string): void => {
      const fetched = /^Get:\d+ \S+ \S+ \S+ (\S+) \S+ (\S+) \[/.exec(line);
      if (fetched === null) return;
      versions.push(`${fetched[1] ?? ""} ${fetched[2] ?? ""}`);
      step.update(`unpack ${fetched[1] ?? ""}`, Math.min(0.8, versions.length / EXPECTED_LINES));
    };
    // The very packages of the native system, by name: to unpack is not to install, and brings no essential packages of its own.
    return runMmdebstrap(job.arch, { packages: namesOf(job.base), sources }, unpacked, ctx, onLine, ["--variant=extract"]);
  };
  const broken: string[] = [];
  const unpacking = await unpack(job.wish.sources).catch((error: unknown) => {
    broken.push(...tornSuites(error));
    const rest = job.wish.sources.filter((source) => !broken.includes(source.suite));
    if (broken.length === 0 || rest.length === 0) throw error;
    step.update(`again without ${broken.join(", ")}: its list is torn on the mirror`);
    return unpack(rest);
  });

  if (process.getuid?.() !== 0) await requireNamespaces();
  const facts: Facts = {};
  const grafted = await exec(metered([...asNamespaceRoot(), "sh", join(ROOT, "vm-images/rootfs/graft.sh")]), {
    env: {
      NATIVE: job.base.tar,
      FOREIGN: unpacked,
      NATIVE_LIBS: job.native.multiarch,
      FOREIGN_LIBS: job.arch.multiarch,
      NATIVE_DEBIAN: job.native.debianArch,
      FOREIGN_DEBIAN: job.arch.debianArch,
      NATIVE_ELF: String(job.native.elfMachine),
      LEFT_OUT: job.leftOut.join(" "),
      OUT: join(dir, "rootfs.tar"),
      LC_ALL: "C.UTF-8",
    },
    code: "IMAGE_BUILD_FAILED",
    timeoutMs: 900_000,
    logFile: join(ctx.logDir, `rootfs-${job.arch.id}.log`),
    onLine: (line) => {
      const [word, name, ...rest] = line.split(" ");
      if (word === "step") step.update(name ?? "", 0.9);
      else if (word === "fact" && name !== undefined) facts[name] = Number(rest.join(" "));
    },
    ...(ctx.signal === undefined ? {} : { signal: ctx.signal }),
  });
  await rm(unpacked);
  return {
    outputs: ["rootfs.tar"],
    facts: {
      ...facts,
      suites: job.wish.sources.map((source) => source.suite).filter((suite) => !broken.includes(suite)),
      suitesLeftOut: broken,
      packages: versions.sort(),
      versionsUnlikeNative: unlike(versions, job.base.manifest.facts["packages"]),
      graftedOn: job.base.manifest.key,
      cpuSeconds: Math.round((unpacking.cpuSeconds + cpuSecondsOf(grafted)) * 10) / 10,
      mmdebstrap: await versionOf("mmdebstrap", "mmdebstrap"),
    },
  };
}

function namesOf(base: RootfsArtifact): string[] {
  const lines = base.manifest.facts["packages"];
  return Array.isArray(lines) ? lines.map((line) => line.split(" ")[0] ?? "") : [];
}

/**
 * Suites whose list on the mirror is not the one its signed index speaks of. That lasts for days on the rarer architectures; the
 * other suites have every package too, in a version that `versionsUnlikeNative` then tells.
 */
export function tornSuites(error: unknown): string[] {
  if (!(error instanceof SuiteError) || error.code !== "HOST_NETWORK") return [];
  const torn = (error.details ?? "").matchAll(/^Err:\d+ \S+ (\S+)\/\S+ \S+ Packages\n\s+File has unexpected size/gm);
  return [...torn].map(([, suite = ""]) => suite);
}

/** Packages whose version differs from the native one's. A rebuild alone (`+b1`) changes no maintainer script. */
export function unlike(foreign: readonly string[], native: unknown): string[] {
  const version = (text: string): string => text.replace(/\+b\d+$/, "");
  const known = new Map((Array.isArray(native) ? native : []).map((line) => String(line).split(" ") as [string, string]));
  return foreign.flatMap((line) => {
    const [name = "", now = ""] = line.split(" ");
    const other = known.get(name);
    return other === undefined || version(other) === version(now) ? [] : [`${name} ${other} -> ${now}`];
  });
}
