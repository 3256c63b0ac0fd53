import { statfs } from "node:fs/promises";
import { existsSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { dirname } from "node:path";
import { Command } from "commander";
import { DEFAULT_TARGET, TARGET_SPACE } from "../../../buslab.config.ts";
import { engineTrouble } from "../../../vm-images/containers/engine.ts";
import { installPackages, missingPackages } from "../../../vm-images/host-packages.ts";
import { EXIT } from "../../base/exit-codes.ts";
import { cacheDir, homeDir } from "../../base/paths.ts";
import { selectTargets } from "../../target/target-id.ts";
import { findAccel } from "../../vm/accel.ts";
import { print, printJson } from "../output.ts";
import { ConsoleProgress } from "../progress.ts";

interface Missing {
  readonly name: string;
  readonly fix: string;
}

/** Cold caches need about this much: kernel source and build tree, image, templates. */
const WANTED_DISK_BYTES = 8 * 1024 ** 3;
const WANTED_MEMORY_BYTES = 2 * 1024 ** 3;

/** What this host has and lacks; the accelerator is tried, not looked at. */
export const doctor = new Command("doctor")
  .description("what this host has and lacks, real accelerator probe included")
  .option("--fix", "install what is missing")
  .option("--json", "one JSON document")
  .action(async (options: { fix?: boolean; json?: boolean }) => {
    const progress = new ConsoleProgress();
    if (options.fix === true) {
      const packages = await missingPackages();
      if (packages.length > 0) await installPackages(packages, progress);
    }
    const missing: Missing[] = (await missingPackages()).map((name) => ({ name, fix: `apt-get install ${name}` }));
    for (const [what, path] of [["BUSLAB_CACHE", cacheDir()], ["BUSLAB_HOME", homeDir()]] as const) {
      const free = await freeBytes(path);
      if (free < WANTED_DISK_BYTES) {
        missing.push({ name: `disk space: ${gib(free)} GiB free at ${path}`, fix: `free ${gib(WANTED_DISK_BYTES)} GiB there, or point ${what} at another file system` });
      }
    }
    if (totalmem() < WANTED_MEMORY_BYTES) missing.push({ name: `memory: ${gib(totalmem())} GiB`, fix: `use a host with at least ${gib(WANTED_MEMORY_BYTES)} GiB` });

    const arch = selectTargets(DEFAULT_TARGET, TARGET_SPACE)[0]?.arch;
    const qemuThere = !missing.some((row) => row.name === arch?.qemu.package);
    const accel = arch !== undefined && qemuThere ? await findAccel(arch, { progress }) : undefined;
    const noEngine = await engineTrouble();
    progress.close();
    const document = {
      schema: "buslab.doctor/1",
      accel: accel === undefined ? { kind: "none", why: "QEMU is not installed, so no guest could be tried", probeMs: 0 } : { kind: accel.kind, why: accel.why, probeMs: accel.probeMs, slowdown: accel.slowdown },
      host: { cores: availableParallelism(), memoryGib: Number(gib(totalmem())), node: process.version, qemu: accel?.qemuVersion ?? null },
      containers: { usable: noEngine === undefined, why: noEngine ?? "a Docker engine answers" },
      missing,
    };
    if (options.json === true) printJson(document);
    else {
      print(`accelerator: ${document.accel.kind}, because ${document.accel.why}`);
      if (accel !== undefined) print(`             time limits are multiplied by ${accel.slowdown}; probe ${accel.probeMs === 0 ? "answered from the cache" : `took ${accel.probeMs} ms`}`);
      print(`host: ${document.host.cores} cores, ${document.host.memoryGib} GiB memory, Node ${document.host.node}, ${document.host.qemu ?? "no QEMU"}`);
      print(`containers: ${document.containers.why}${noEngine === undefined ? "" : "; only --builder container needs one"}`);
      if (missing.length === 0) print("nothing is missing");
      for (const row of missing) print(`missing: ${row.name}\n   next: ${row.fix}`);
    }
    process.exitCode = missing.length === 0 ? EXIT.conformant : EXIT.undecided;
  });

async function freeBytes(path: string): Promise<number> {
  let folder = path;
  while (!existsSync(folder)) folder = dirname(folder);
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

function gib(bytes: number): string {
  return (bytes / 1024 ** 3).toFixed(1);
}
