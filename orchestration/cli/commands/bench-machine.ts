import { Command, InvalidArgumentError } from "commander";
import { buildDebianInitrd, buildKernel, parseKernelSpec, requireDebianInitrd } from "../../../vm-images/index.ts";
import { Limits } from "../../base/deadline.ts";
import { bootFigures, cloneFigures, renderFigures, type BenchDocument } from "../../bench/index.ts";
import { makeTarget } from "../../target/target-id.ts";
import type { TemplateSpec } from "../../vm/template.ts";
import { print, printJson } from "../output.ts";
import { connectAgent } from "../stages/agent.ts";
import { REFERENCE_MODULE } from "../stages/build.ts";
import { onOneTarget } from "../stages/one-target.ts";

/** Speed and size of the machines alone: clones, and cold boots beside those of the distribution's own kernel. */
export const benchMachine = new Command("machine")
  .description("clones (start, seed and clock, memory) and cold boots, with --stock beside Debian's own kernel and initrd on the same image")
  .argument("[target]", "a target id or pattern that names one target")
  .option("--boots <count>", "cold boots of each kernel; 0 leaves them out", count, 1)
  .option("--stock", "boot Debian's stock kernel with its initrd as well, alternating with ours")
  .option("--json", "one JSON document")
  .action(async (pattern: string | undefined, _options: object, command: Command) => {
    // The parent has a --json as well and takes it first.
    const options = command.optsWithGlobals<{ boots: number; stock?: boolean; json?: boolean }>();
    await onOneTarget(pattern, { module: REFERENCE_MODULE }, async ({ built, template, accel, runId, dir, progress, signal }) => {
      const limits = new Limits(accel.slowdown);
      if (options.stock === true) requireDebianInitrd(built.target.arch);
      const figures = await cloneFigures(template, { runId, dir, signal });
      if (options.boots > 0) {
        const spec: TemplateSpec = { target: built.target, kernel: built.kernel, image: built.image, module: null, accel, limits };
        let other: Parameters<typeof bootFigures>[1] = null;
        if (options.stock === true) {
          const stock = parseKernelSpec(`deb:linux-image-${built.target.arch.debianArch}`);
          const target = makeTarget(built.target.arch.id, stock.name, built.target.lsm, built.target.build);
          const ctx = { progress, logDir: dir, signal };
          const bootable = await buildKernel(target, stock.spec, ctx);
          const { initrd } = await buildDebianInitrd(built.target.arch, bootable.release, ctx);
          // an emulated host unpacks this disk and loads the drivers in it slowly: a boot may take four times our limit
          const limits = new Limits(accel.slowdown * 4);
          other = { name: `Debian's ${bootable.release} and the initial RAM disk of its own scripts`, spec: { ...spec, target, kernel: { ...bootable, initrd }, limits } };
        }
        figures.push(...(await bootFigures(spec, other, options.boots, { runId, dir, limits, connectAgent, progress, signal })));
      }
      progress.close();
      const document: BenchDocument = { schema: "buslab.bench/1", target: built.target.id, accel: { kind: accel.kind, why: accel.why }, figures };
      if (options.json === true) printJson(document);
      else print(renderFigures(figures));
    });
  });

function count(text: string): number {
  if (!/^\d{1,3}$/.test(text)) throw new InvalidArgumentError("Give a whole number below a thousand.");
  return Number(text);
}
