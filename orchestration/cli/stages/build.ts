import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Option, type Command } from "commander";
import {
  buildAgent,
  buildImage,
  buildKernel,
  buildModule,
  openBuilder,
  parseModuleSpec,
  readBuiltIn,
  type AgentArtifact,
  type Artifact,
  type BuildContext,
  type ImageArtifact,
  type KernelArtifact,
  type KernelSpec,
  type ModuleArtifact,
} from "../../../vm-images/index.ts";
import { installPackages, missingPackages } from "../../../vm-images/host-packages.ts";
import { asSuiteError, type SuiteError } from "../../base/errors.ts";
import { ROOT } from "../../base/paths.ts";
import type { Progress } from "../../base/progress.ts";
import type { ArchRow } from "../../target/arches.ts";
import { kernelTarget, type Target, type TargetId } from "../../target/target-id.ts";

const BUILDERS = ["host", "container"] as const;
export type Builder = (typeof BUILDERS)[number];

/** The option that says where compilers run. */
export function withBuilder(command: Command): Command {
  return command.addOption(new Option("--builder <where>", "where compilers run: this host, or a container of Debian packages without network; results are the same").choices(BUILDERS).default("host"));
}

/** All that one target is made of. */
export interface Built {
  readonly target: Target;
  readonly kernel: KernelArtifact;
  readonly module: ModuleArtifact;
  readonly trouble: ModuleArtifact;
  readonly agent: AgentArtifact;
  readonly image: ImageArtifact;
  readonly durationMs: number;
}

export interface BuildOptions {
  readonly targets: readonly Target[];
  readonly kernels: ReadonlyMap<TargetId, KernelSpec>;
  /** What `--module` names. */
  readonly moduleDir: string;
  /** Where compilers run; default: this host. */
  readonly builder?: Builder;
  /** Logs and copies of the manifests go here. */
  readonly dir: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
}

export const REFERENCE_MODULE = join(ROOT, "fixtures/module");
const TROUBLE_MODULE = join(ROOT, "fixtures/trouble");

/** Builds, or finds in the cache, what each target needs. A target that does not build does not keep the others from it. */
export async function buildAll(options: BuildOptions): Promise<Map<TargetId, Built | SuiteError>> {
  const arches = [...new Set(options.targets.map((target) => target.arch))];
  await bringPackages(arches, options.progress);
  const logDir = join(options.dir, "build");
  await mkdir(logDir, { recursive: true });
  const host = { progress: options.progress, logDir, ...(options.signal === undefined ? {} : { signal: options.signal }) };
  await using toolchain = options.builder === "container" ? await openBuilder(arches, [...options.kernels.values()].flatMap(foldersOf), host) : null;
  const ctx = { ...host, ...(toolchain === null ? {} : { toolchain }) };
  const results = new Map<TargetId, Built | SuiteError>();
  for (const target of options.targets) {
    results.set(target.id, await buildTarget(target, options, ctx).catch((error: unknown) => asSuiteError(error)));
  }
  return results;
}

/** What of a kernel of the caller's is read where it lies. */
function foldersOf(spec: KernelSpec): string[] {
  if (spec.kind === "source") return [spec.dir];
  return spec.kind === "image" ? [spec.build, spec.modules] : [];
}

async function bringPackages(arches: readonly ArchRow[], progress: Progress): Promise<void> {
  const missing = await missingPackages(["build", "image", "vm"], arches);
  if (missing.length === 0) return;
  const step = progress.step(`Debian packages ${missing.join(" ")}`);
  try {
    await installPackages(missing, step);
  } catch (error) {
    step.fail(asSuiteError(error).message);
    throw error;
  }
  step.done("installed");
}

async function buildTarget(target: Target, options: BuildOptions, ctx: BuildContext): Promise<Built> {
  const started = performance.now();
  const spec = options.kernels.get(target.id);
  if (spec === undefined) throw new Error(`no kernel is known for ${target.id}`);
  const wanted = parseModuleSpec(options.moduleDir);
  const builtIn = wanted.builtIn ? await readBuiltIn(wanted) : undefined;
  // The image needs one core and the network, the kernel every core: side by side they cost little more than the kernel.
  const [kernel, agentAndImage] = await settleBoth(
    buildKernel(target, spec, ctx, builtIn),
    buildAgent(target.arch, ctx).then(async (agent) => ({ agent, image: await buildImage(target, agent, ctx) })),
  );
  const module = await buildModule(target, kernel, options.moduleDir, ctx);
  const trouble = await buildModule(kernelTarget(target), kernel, TROUBLE_MODULE, ctx);
  const built = { target, kernel, module, trouble, ...agentAndImage, durationMs: performance.now() - started };
  await copyManifests(built, options.dir);
  return built;
}

/** Both to their end, so that no build goes on behind a command that has given up; then the first failure. */
async function settleBoth<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  const [a, b] = await Promise.allSettled([first, second]);
  if (a.status === "rejected") throw a.reason;
  if (b.status === "rejected") throw b.reason;
  return [a.value, b.value];
}

/** The run keeps its own copy of every manifest: the cache may be emptied, the proof may not. */
async function copyManifests(built: Built, dir: string): Promise<void> {
  const folder = join(dir, "manifests", built.target.id.replaceAll("/", "_"));
  await mkdir(folder, { recursive: true });
  for (const artifact of artifactsOf(built)) await writeFile(join(folder, `${artifact.kind}-${artifact.key}.json`), `${JSON.stringify(artifact.manifest, null, 2)}\n`);
}

export function artifactsOf(built: Built): Artifact[] {
  return [built.kernel, built.module, built.trouble, built.agent, built.image];
}
