import { resolve } from "node:path";
import { Command } from "commander";
import { writeJson } from "../../base/json-file.ts";
import { plan as makePlan } from "../../plan/index.ts";
import { print, printJson } from "../output.ts";
import { wantedOf, withSelection, type SelectionOptions } from "../stages/selection.ts";

/** The plan stage alone. */
export const plan = withSelection(new Command("plan"))
  .description("what a run would have to answer for")
  .option("--out <file>", "where plan.json is written", "plan.json")
  .option("--json", "the plan itself on stdout, no file")
  .action(async (patterns: string[], options: SelectionOptions & { out: string; json?: boolean }) => {
    const wanted = wantedOf(patterns, options);
    const document = await makePlan({ targets: wanted.targets.map((target) => target.id), selection: wanted.selection, generation: wanted.generation, seed: wanted.seed });
    if (options.json === true) {
      printJson(document);
      return;
    }
    await writeJson(resolve(options.out), document);
    print(`${document.targets.length} targets, ${document.tests.length} tests, ${document.expected.triples} expectations; written to ${resolve(options.out)}`);
  });
