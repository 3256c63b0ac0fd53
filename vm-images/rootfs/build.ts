import { copyFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import ssh2 from "ssh2";
import { digestFile, digestTree } from "../../orchestration/base/digest.ts";
import { exec } from "../../orchestration/base/exec.ts";
import { ROOT } from "../../orchestration/base/paths.ts";
import type { Step } from "../../orchestration/base/progress.ts";
import type { Target } from "../../orchestration/target/target-id.ts";
import { type AgentArtifact, buildNarrowAgent } from "../agent/build.ts";
import { type Artifact, type Build, type BuildContext, obtain } from "../cache.ts";
import { findProgram } from "../host-packages.ts";
import type { Facts } from "../manifest.ts";
import { requireProgram } from "../tools.ts";
import { buildRootfs, type RootfsArtifact } from "./bootstrap.ts";
import { asNamespaceRoot, requireNamespaces } from "./namespace.ts";

export interface ImageArtifact extends Artifact {
  /** Raw ext4 root file system, shared by all machines and never written to. */
  readonly disk: string;
  /** Line of the guest's ed25519 host key, to be pinned. */
  readonly hostKeyPub: string;
}

const RECIPE = 2;
const FOLDER = "vm-images/rootfs";
/** Types of the tests of SELinux; part of the image's policy. */
const SELINUX_MODULE = "fixtures/lsm/buslab.cil";
const PARTS = [`${FOLDER}/masked-units.txt`, `${FOLDER}/enabled-units.txt`, `${FOLDER}/make-image.sh`, SELINUX_MODULE];
/** Time stamp of the file system's own tables: the same for equal inputs. */
const STAMP = "1700000000";

/**
 * Makes the image of a target's architecture: Debian's archive, our overlay and the agent; one image serves all kernels and
 * security modules. A changed agent costs seconds, since the archive is a cache entry of its own.
 * @throws IMAGE_BUILD_FAILED, and what {@link buildRootfs} throws
 */
export async function buildImage(target: Target, agent: AgentArtifact, ctx: BuildContext): Promise<ImageArtifact> {
  const rootfs = await buildRootfs(target.arch, ctx);
  const narrow = await buildNarrowAgent(target.arch, ctx);
  const [setfiles, semodule] = [await findProgram("setfiles"), await findProgram("semodule")];
  const inputs: Record<string, string> = { "root file system": rootfs.manifest.key, agent: agent.manifest.outputs[0]?.digest ?? agent.manifest.key };
  if (narrow !== undefined) inputs["32-bit agent"] = narrow.manifest.outputs[0]?.digest ?? narrow.manifest.key;
  for (const path of PARTS) inputs[path] = await digestFile(join(ROOT, path));
  for (const [path, digest] of await digestTree(join(ROOT, FOLDER, "overlay"))) inputs[`${FOLDER}/overlay/${path}`] = digest;
  const tools = { mke2fs: await mke2fsVersion(), setfiles: setfiles === undefined ? "none: no SELinux labels" : "policycoreutils" };
  const options = { title: `image ${target.arch.id}`, needsBytes: 1024 * 1024 * 1024, keep: 3 };
  const artifact = await obtain(
    "image",
    { subject: target.arch.id, recipe: RECIPE, inputs, tools },
    (dir, step) => assemble({ rootfs, agent, narrow, selinux: { SETFILES: setfiles ?? "", SEMODULE: semodule ?? "" } }, dir, step, ctx),
    options,
    ctx,
  );
  const hostKeyPub = artifact.manifest.facts["hostKey"];
  return { ...artifact, disk: join(artifact.dir, "root.ext4"), hostKeyPub: String(hostKeyPub) };
}

interface Parts {
  readonly rootfs: RootfsArtifact;
  readonly agent: AgentArtifact;
  readonly narrow: AgentArtifact | undefined;
  readonly selinux: { readonly SETFILES: string; readonly SEMODULE: string };
}

async function assemble({ rootfs, agent, narrow, selinux }: Parts, dir: string, step: Step, ctx: BuildContext): Promise<Build> {
  if (process.getuid?.() !== 0) await requireNamespaces();
  const hostKey = join(dir, "host-key");
  const pair = ssh2.utils.generateKeyPairSync("ed25519", { comment: "buslab guest" });
  await writeFile(hostKey, pair.private, { mode: 0o600 });
  await writeFile(`${hostKey}.pub`, `${pair.public.trim()}\n`);
  await copyFile(agent.binary, join(dir, "agent")); // a folder the namespace's root can read whatever the cache's modes are
  if (narrow !== undefined) await copyFile(narrow.binary, join(dir, "agent-32"));
  const facts: Facts = { hostKey: pair.public.trim() };
  const env = {
    ROOTFS: rootfs.tar,
    OVERLAY: join(ROOT, FOLDER, "overlay"),
    MASKED: join(ROOT, FOLDER, "masked-units.txt"),
    ENABLED: join(ROOT, FOLDER, "enabled-units.txt"),
    AGENT: join(dir, "agent"),
    NARROW_AGENT: narrow === undefined ? "" : join(dir, "agent-32"),
    HOST_KEY: hostKey,
    ...selinux,
    POLICY: join(ROOT, SELINUX_MODULE),
    MKE2FS: await requireProgram("mke2fs", "e2fsprogs"),
    IMAGE: join(dir, "root.ext4"),
    STAMP,
    LC_ALL: "C",
  };
  let steps = 0;
  await exec([...asNamespaceRoot(), "sh", join(ROOT, FOLDER, "make-image.sh")], {
    env,
    code: "IMAGE_BUILD_FAILED",
    timeoutMs: 900_000,
    logFile: join(ctx.logDir, "image.log"),
    onLine: (line) => {
      const [word, name, ...rest] = line.split(" ");
      if (word === "step") step.update(name ?? "", ++steps / 6);
      else if (word === "fact" && name !== undefined) facts[name] = rest.join(" ");
    },
    ...(ctx.signal === undefined ? {} : { signal: ctx.signal }),
  });
  await rm(hostKey);
  await rm(join(dir, "agent"));
  await rm(join(dir, "agent-32"), { force: true });
  return { outputs: ["root.ext4", "host-key.pub"], facts };
}

/** mke2fs prints its version on stderr and knows only -V. */
async function mke2fsVersion(): Promise<string> {
  const answer = await exec([await requireProgram("mke2fs", "e2fsprogs"), "-V"], { okCodes: [0, 1] });
  return answer.stderr.split("\n")[0]?.trim() ?? "";
}
