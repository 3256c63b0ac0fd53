import { Command } from "commander";
import { DEFAULT_TARGET, TARGET_SPACE } from "../../../buslab.config.ts";
import { allTargets } from "../../target/target-id.ts";
import { print, printJson } from "../output.ts";

export const targets = new Command("targets")
  .description("every target that can be built here")
  .option("--json", "one JSON document")
  .action((options: { json?: boolean }) => {
    const ids = allTargets(TARGET_SPACE).map((target) => target.id);
    if (options.json === true) printJson({ schema: "buslab.targets/1", default: DEFAULT_TARGET, targets: ids });
    else for (const id of ids) print(id === DEFAULT_TARGET ? `${id}  (default)` : id);
  });
