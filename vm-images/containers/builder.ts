import { once } from "node:events";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { StartedTestContainer } from "testcontainers";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { exec, killGroup, spawnTied, type ExecOptions, type ExecResult } from "../../orchestration/base/exec.ts";
import { cacheDir, ROOT } from "../../orchestration/base/paths.ts";
import { type ArchRow, nativeArch } from "../../orchestration/target/arches.ts";
import { type BuildContext, obtain } from "../cache.ts";
import { allPackages } from "../host-packages.ts";
import { readAptSources, sourcesFor } from "../rootfs/apt-sources.ts";
import { CODENAME, runMmdebstrap } from "../rootfs/mmdebstrap.ts";
import type { Toolchain } from "../toolchain.ts";
import { importImage, removeForgotten, requireEngine } from "./engine.ts";

const RECIPE = 1;
/** On the container: pid of the process that it serves. */
const LABEL = "buslab.builder";

/** A container in which kernels, modules and agents are compiled; ends with {@link Symbol.asyncDispose}. */
export interface ContainerToolchain extends Toolchain, AsyncDisposable {}

/**
 * Starts the container of `--builder container`: Debian's compilers from an image made here of Debian packages, no network, the
 * repository and what the caller names to be read, the cache to be written. Its ccache is its own, so nothing in its results
 * was compiled elsewhere; the image's digest is part of every key.
 * @param readable folders of the caller that builds read, beside the repository and the cache
 * @throws HOST_TOOL_MISSING without an engine | HOST_NETWORK | IMAGE_BUILD_FAILED
 */
export async function openBuilder(arches: readonly ArchRow[], readable: readonly string[], ctx: BuildContext): Promise<ContainerToolchain> {
  await requireEngine("--builder container");
  await removeForgotten(LABEL);
  const image = await builderImage(arches, ctx);
  const step = ctx.progress.step("container of the compilers");
  const life = await holdLock();
  try {
    const container = await start(image.name, life.file, readable);
    step.done(`${image.name}, no network`);
    return toolchain(container, image.digest, life);
  } catch (error) {
    await life.end();
    const why = error instanceof Error ? error.message : String(error);
    step.fail(why);
    throw new SuiteError("HOST_TOOL_MISSING", `the container of --builder container does not start: ${why}; \`docker run ${image.name} true\` tells more`, { cause: error });
  }
}

async function builderImage(arches: readonly ArchRow[], ctx: BuildContext): Promise<{ readonly name: string; readonly digest: string }> {
  const native = nativeArch();
  if (native === undefined) throw new SuiteError("HOST_TOOL_MISSING", `no container image can be made on a ${process.arch} host`);
  const packages = allPackages("build", arches);
  const sources = sourcesFor(CODENAME, await readAptSources(), process.env["BUSLAB_DEBIAN_MIRROR"]);
  const inputs = { packages: packages.join(" "), "Debian suites": sources.map((source) => source.suite).join(" ") };
  const artifact = await obtain(
    "rootfs",
    { subject: `${native.id}/container-builder`, recipe: RECIPE, inputs, tools: {} },
    async (dir, step) => {
      const say = (line: string): void => {
        if (/^(I: |Unpacking|Setting up)/.test(line)) step.update(line.slice(0, 80));
      };
      const facts = await runMmdebstrap(native, { sources, packages }, join(dir, "rootfs.tar"), ctx, say, ["--variant=minbase"]);
      return { outputs: ["rootfs.tar"], facts: { ...facts } };
    },
    { title: "container image of the compilers", needsBytes: 2 * 1024 * 1024 * 1024, keep: 2 },
    ctx,
  );
  const name = `buslab/builder:${artifact.key}`;
  await importImage(name, join(artifact.dir, "rootfs.tar"));
  return { name, digest: artifact.manifest.outputs[0]?.digest ?? artifact.manifest.key };
}

interface Life {
  readonly file: string;
  end(): Promise<void>;
}

/** Locks a file for as long as this process lives. The container waits for the lock and ends when it gets it: however this process ends, nothing compiles on. */
async function holdLock(): Promise<Life> {
  const file = join(cacheDir(), `builder-${process.pid}-${Date.now()}.alive`);
  const holder = spawnTied(["flock", "--close", file, "sh", "-c", "echo held; cat"], { stdio: ["pipe", "pipe", "inherit"] });
  const end = async (): Promise<void> => {
    killGroup(holder);
    await rm(file, { force: true });
  };
  await Promise.race([once(holder.stdout ?? holder, "data"), once(holder, "close")]);
  if (holder.exitCode === null) return { file, end };
  await end();
  throw new SuiteError("COMMAND_FAILED", `flock ${file} ended with exit code ${holder.exitCode}; is the cache writable?`);
}

async function start(image: string, lock: string, readable: readonly string[]): Promise<StartedTestContainer> {
  // The helper container that tidies up comes from a registry, which a lab may not reach; ours are found by their label instead.
  process.env["TESTCONTAINERS_RYUK_DISABLED"] = "true";
  const { GenericContainer } = await import("testcontainers");
  const mounts = [...new Set([ROOT, ...readable])].filter((path) => !isBelow(path, cacheDir())).map((path) => ({ source: path, target: path, mode: "ro" as const }));
  return new GenericContainer(image)
    .withCommand(["flock", lock, "true"])
    .withUser(`${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`)
    .withNetworkMode("none")
    .withBindMounts([...mounts, { source: cacheDir(), target: cacheDir(), mode: "rw" }])
    .withLabels({ [LABEL]: String(process.pid) })
    .start();
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

function toolchain(container: StartedTestContainer, digest: string, life: Life): ContainerToolchain {
  const id = container.getId();
  const run = async (argv: readonly [string, ...string[]], options: ExecOptions = {}): Promise<ExecResult> => {
    const { cwd, env = {}, ...rest } = options;
    const words = Object.entries({ HOME: "/tmp", ...env }).flatMap(([name, value]) => (value === undefined ? [] : ["--env", `${name}=${value}`]));
    try {
      return await exec(["docker", "exec", ...words, ...(cwd === undefined ? [] : ["--workdir", cwd]), id, ...argv], rest);
    } catch (error) {
      // The engine's client is gone, what it had started is not: it would write into folders that its caller removes now.
      await exec(["docker", "exec", id, "sh", "-c", "kill -KILL -1"], { okCodes: [0, 1, 137] }).catch(() => undefined);
      throw error;
    }
  };
  return {
    inputs: { builder: `container ${digest}` },
    ccacheDir: join(cacheDir(), `ccache-${digest.replace(/^sha256:/, "").slice(0, 16)}`),
    run,
    versionOf: async (program) => {
      const answer = await run([program, "--version"], { okCodes: [0, 1] });
      return (answer.stdout === "" ? answer.stderr : answer.stdout).split("\n")[0]?.trim() ?? "";
    },
    [Symbol.asyncDispose]: async () => {
      await container.stop({ timeout: 0 });
      await life.end();
    },
  };
}
