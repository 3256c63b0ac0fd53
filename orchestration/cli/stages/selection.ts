import { Option, type Command } from "commander";
import { DEFAULT_TARGET, EXPERIMENTAL_ARCHES, TARGET_SPACE } from "../../../buslab.config.ts";
import { GENERATIONS, type Generation } from "../../../conformance/catalogue/index.ts";
import { parseKernelSpec, kernelSpecOf, type KernelSpec } from "../../../vm-images/index.ts";
import { SuiteError } from "../../base/errors.ts";
import { parseShard, type Selection } from "../../plan/select.ts";
import { selectTargets, type Target, type TargetId, type TargetSpace } from "../../target/target-id.ts";

/** What the options of `plan`, `build` and `run` say. */
export interface Wanted {
  readonly targets: readonly Target[];
  readonly kernels: ReadonlyMap<TargetId, KernelSpec>;
  readonly selection: Selection;
  readonly generation: "auto" | Generation;
  readonly seed: number;
}

export interface SelectionOptions {
  readonly grep?: string;
  readonly area?: string[];
  readonly requirement?: string[];
  readonly shard?: string;
  readonly generation: string;
  readonly seed: string;
  readonly kernel?: string;
  readonly config?: string[];
}

/** Options by which targets and tests are chosen, the same for every command that takes them. */
export function withSelection(command: Command): Command {
  const list = (value: string, previous: string[] = []): string[] => [...previous, ...value.split(",")];
  return withTargets(command)
    .option("--grep <regexp>", "only tests whose file, title or requirement ids match")
    .option("--area <area>", "only tests of these areas, e.g. msg or msg,pool", list)
    .option("--requirement <id>", "only tests that cover these requirements", list)
    .option("--shard <i/n>", "one of n parts of the tests")
    .addOption(new Option("--generation <generation>", "generation of the subject; auto: found out by two signs").choices(["auto", ...GENERATIONS]).default("auto"))
    .option("--seed <number>", "order in which tests are shuffled", "1");
}

export function withTargets(command: Command): Command {
  return withKernel(command.argument("[targets...]", "target ids or patterns, e.g. x86_64 or '*/*/selinux'; default: the default target"));
}

/** Options that choose the kernel. */
export function withKernel(command: Command): Command {
  return command
    .option("--kernel <spec>", "a kernel of buslab.config.ts, the folder of a Linux source tree, deb:PACKAGE, image:VMLINUZ,modules=DIR,build=DIR, or source: with a folder, tarball or git address")
    .option("--config <fragment>", "kernel configuration laid behind ours; may be given again", (value: string, previous: string[] = []) => [...previous, value]);
}

/** @throws TARGET_UNKNOWN, KERNEL_SPEC_INVALID, USAGE */
export function wantedOf(patterns: readonly string[], options: SelectionOptions): Wanted {
  const seed = Number(options.seed);
  if (!Number.isInteger(seed) || seed < 0) throw new SuiteError("USAGE", `--seed "${options.seed}" is no whole number from 0`);
  return {
    ...targetsOf(patterns, options.kernel, options.config),
    selection: { grep: options.grep ?? null, areas: options.area ?? [], requirements: options.requirement ?? [], shard: options.shard === undefined ? null : parseShard(options.shard) },
    generation: options.generation as "auto" | Generation,
    seed,
  };
}

/** Targets of the patterns; a kernel given by --kernel takes the place of the configured ones. */
export function targetsOf(patterns: readonly string[], kernel: string | undefined, config: readonly string[] = []): Pick<Wanted, "targets" | "kernels"> {
  const standard = DEFAULT_TARGET.split("/")[1] ?? "";
  const own = kernel === undefined && config.length === 0 ? undefined : parseKernelSpec(kernel ?? standard, config);
  const prebuilt = own?.spec.kind === "deb" || own?.spec.kind === "image";
  const space =
    own === undefined
      ? TARGET_SPACE
      : { ...TARGET_SPACE, kernels: [own.name], ...(own.arch === undefined ? {} : { arches: [own.arch] }), ...(prebuilt ? { builds: ["plain" as const] } : {}) };
  const defaultPattern = own === undefined ? DEFAULT_TARGET : DEFAULT_TARGET.replace(/^([^/]+)\/[^/]+/, `${own.arch ?? "$1"}/${own.name}`);
  const named = patterns.length > 0 ? patterns : [defaultPattern];
  const found = new Map(named.flatMap((pattern) => selectTargets(pattern, own?.arch === undefined ? withExperimental(pattern, space) : space)).map((target) => [target.id, target]));
  const targets = [...found.values()];
  return { targets, kernels: new Map(targets.map((target) => [target.id, own?.spec ?? kernelSpecOf(target.kernel)])) };
}

/** An architecture that no wildcard takes is found by its own name. */
function withExperimental(pattern: string, space: TargetSpace): TargetSpace {
  const arch = EXPERIMENTAL_ARCHES.find((id) => id === pattern.split("/")[0]);
  return arch === undefined ? space : { ...space, arches: [arch] };
}
