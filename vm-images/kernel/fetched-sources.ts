import { access, mkdir, mkdtemp, rename, rm, utimes } from "node:fs/promises";
import { basename, join } from "node:path";
import { digestFile, short } from "../../orchestration/base/digest.ts";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { exec } from "../../orchestration/base/exec.ts";
import { cacheDir } from "../../orchestration/base/paths.ts";
import type { BuildContext } from "../cache.ts";
import { lockFile } from "../lock.ts";
import { requireProgram } from "../tools.ts";
import { sourceVersion } from "./source-version.ts";
import type { KernelSource } from "./sources.ts";
import type { SourceSpec } from "./spec.ts";

/** The tree of a tarball, unpacked once into the cache. @throws KERNEL_SPEC_INVALID when there is no kernel in it */
export async function archiveSource(spec: SourceSpec & { kind: "archive" }, ctx: BuildContext): Promise<KernelSource> {
  const digest = await digestFile(spec.path);
  const shown = `source:${spec.path}`;
  const fill = async (dir: string): Promise<void> => {
    await exec(["tar", "-xf", spec.path, "-C", dir, "--strip-components=1", "--no-same-owner"], { ...passSignal(ctx), timeoutMs: 900_000 }).catch((error: unknown) => {
      if (error instanceof SuiteError && error.code === "HOST_DISK_FULL") throw error;
      throw new SuiteError("KERNEL_SPEC_INVALID", `--kernel ${shown} cannot be unpacked; expected a tarball of a Linux source tree in one folder`, { cause: error, ...(error instanceof SuiteError ? { details: error.details ?? "" } : {}) });
    });
  };
  const folder = await once(`archive-${short(digest)}`, `source ${basename(spec.path)}`, shown, fill, ctx);
  return { dir: join(folder, "src"), inputs: { "kernel source": digest }, workDir: folder };
}

/**
 * The tree of one commit of a git repository, fetched alone and once. A branch is asked for its commit at each run; without a
 * network the run stops rather than take yesterday's for today's, unless the reference is a full commit already here.
 * @throws KERNEL_SPEC_INVALID for a reference that the repository does not have; HOST_NETWORK
 */
export async function gitSource(spec: SourceSpec & { kind: "git" }, ctx: BuildContext): Promise<KernelSource> {
  const git = await requireProgram("git", "git");
  const shown = `source:${spec.url}#${spec.ref}`;
  const quiet = { env: { GIT_TERMINAL_PROMPT: "0", LC_ALL: "C" }, ...passSignal(ctx) };
  const commit = /^[0-9a-f]{40}$/.test(spec.ref) ? spec.ref : await askCommit(git, spec, shown, quiet);
  const fill = async (dir: string): Promise<void> => {
    await exec([git, "-C", dir, "init", "-q"], quiet);
    await exec([git, "-C", dir, "fetch", "-q", "--depth=1", spec.url, commit], { ...quiet, timeoutMs: 3_600_000 }).catch((error: unknown) => {
      throw new SuiteError("HOST_NETWORK", `commit ${commit.slice(0, 12)} of ${spec.url} could not be fetched`, { cause: error, ...(error instanceof SuiteError ? { details: error.details ?? "" } : {}) });
    });
    await exec([git, "-C", dir, "checkout", "-q", "--detach", "FETCH_HEAD"], { ...quiet, timeoutMs: 900_000 });
    await rm(join(dir, ".git"), { recursive: true, force: true }); // the objects are as large as the tree
  };
  const folder = await once(`git-${commit.slice(0, 16)}`, `source ${spec.url} ${spec.ref}`, shown, fill, ctx);
  return { dir: join(folder, "src"), inputs: { "kernel source": `${spec.url} ${commit}` }, workDir: folder };
}

async function askCommit(git: string, spec: SourceSpec & { kind: "git" }, shown: string, quiet: object): Promise<string> {
  const answer = await exec([git, "ls-remote", spec.url, spec.ref, `${spec.ref}^{}`], { ...quiet, okCodes: [0, 128], timeoutMs: 120_000 });
  if (answer.exitCode !== 0) throw new SuiteError("HOST_NETWORK", `--kernel ${shown}: the repository does not answer: ${answer.stderr.trim().split("\n").at(-1) ?? ""}`);
  // An annotated tag has two lines, the one with ^{} is its commit.
  const lines = answer.stdout.split("\n").filter((line) => line !== "");
  const commit = (lines.find((line) => line.endsWith("^{}")) ?? lines[0])?.split("\t")[0];
  if (commit === undefined) throw new SuiteError("KERNEL_SPEC_INVALID", `--kernel ${shown}: the repository has no branch, tag or commit ${spec.ref}; \`git ls-remote ${spec.url}\` lists what it has`);
  return commit;
}

/** A folder on the shelf of sources whose `src` is whole; filled under a lock beside it and renamed. */
async function once(name: string, title: string, shown: string, fill: (dir: string) => Promise<void>, ctx: BuildContext): Promise<string> {
  const shelf = join(cacheDir(), "sources");
  const final = join(shelf, name);
  await mkdir(shelf, { recursive: true });
  const there = (): Promise<boolean> => access(join(final, "src")).then(() => true, () => false);
  if (await there()) {
    await utimes(final, new Date(), new Date()).catch(() => undefined);
    return final;
  }
  const step = ctx.progress.step(title);
  try {
    await using _lock = await lockFile(`${final}.lock`, () => step.update("another process fetches it, waiting"), ctx.signal);
    if (!(await there())) {
      const temporary = await mkdtemp(join(shelf, `.${name}_`));
      try {
        step.update("unpack");
        await mkdir(join(temporary, "src"));
        await fill(join(temporary, "src"));
        sourceVersion(join(temporary, "src"), shown);
        await rename(temporary, final);
      } finally {
        await rm(temporary, { recursive: true, force: true });
      }
    }
    step.done("unpacked");
    return final;
  } catch (error) {
    step.fail(error instanceof Error ? error.message : String(error));
    throw error;
  }
}

function passSignal(ctx: BuildContext): { signal?: AbortSignal } {
  return ctx.signal === undefined ? {} : { signal: ctx.signal };
}
