import { join } from "node:path";
import { Command } from "commander";
import { SuiteError } from "../../base/errors.ts";
import { exitCodeOf } from "../../base/exit-codes.ts";
import { homeDir } from "../../base/paths.ts";
import { print, printError, printJson } from "../output.ts";
import { ConsoleProgress } from "../progress.ts";
import { artifactsOf, buildAll, REFERENCE_MODULE, withBuilder, type Builder } from "../stages/build.ts";
import { targetsOf, withTargets } from "../stages/selection.ts";
import { onInterrupt } from "../interrupt.ts";

/** The build stage alone. */
export const build = withBuilder(withTargets(new Command("build")))
  .description("build kernel, module, agent and image of the targets")
  .option("--module <dir>", "folder of the bus module", REFERENCE_MODULE)
  .option("--json", "one JSON document")
  .action(async (patterns: string[], options: { kernel?: string; config?: string[]; module: string; builder: Builder; json?: boolean }) => {
    const progress = new ConsoleProgress();
    const { signal } = onInterrupt();
    const results = await buildAll({ ...targetsOf(patterns, options.kernel, options.config), moduleDir: options.module, builder: options.builder, dir: join(homeDir(), "builds"), progress, signal }).finally(() => progress.close());
    const rows = [...results].map(([id, built]) =>
      built instanceof SuiteError
        ? { id, error: { code: built.code, blame: built.blame, message: built.message } }
        : { id, artifacts: artifactsOf(built).map(({ kind, key, dir, state, because, manifest }) => ({ kind, key, dir, state, because, outputs: manifest.outputs.map(({ path, digest }) => ({ path, digest })) })) },
    );
    if (options.json === true) printJson({ schema: "buslab.build/1", targets: rows });
    for (const [id, built] of results) {
      if (built instanceof SuiteError) {
        printError(built, false);
        process.exitCode = exitCodeOf(built);
      } else if (options.json !== true) {
        print(id);
        for (const artifact of artifactsOf(built)) print(`  ${artifact.kind.padEnd(7)} ${artifact.state}, because ${artifact.because} (${artifact.dir})`);
      }
    }
  });
