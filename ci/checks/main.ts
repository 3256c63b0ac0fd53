import { nowMs } from "../../orchestration/base/deadline.ts";
import { abiDrift } from "./abi-drift.ts";
import type { Check } from "./check.ts";
import { coverage } from "./coverage.ts";
import { cStyle } from "./c-style.ts";
import { errorsDoc } from "./errors-doc.ts";
import { layers } from "./layers.ts";
import { mutants } from "./mutants.ts";
import { lint, types } from "./tools.ts";
import { titles } from "./titles.ts";
import { tree } from "./tree.ts";

/** `npm run check`: all that can be known without a machine. Prints a line a check and a closing count. */
const CHECKS: readonly Check[] = [types, lint, layers, titles, coverage, errorsDoc, cStyle, tree, abiDrift, mutants];

const results = await Promise.all(
  CHECKS.map(async (check) => {
    const start = nowMs();
    const result = await check.run().catch((error: unknown) => ({ examined: 1, problems: [`could not run: ${String(error)}`] }));
    const problems = result.examined === 0 ? [...result.problems, "examined nothing, so nothing is proven"] : result.problems;
    const took = ((nowMs() - start) / 1000).toFixed(1);
    process.stdout.write(`${problems.length === 0 ? "ok  " : "FAIL"} ${check.name}: ${result.examined} examined, ${problems.length} problems, ${took} s\n`);
    for (const problem of problems) process.stdout.write(`       ${problem}\n`);
    return problems.length === 0;
  }),
);
const failed = results.filter((good) => !good).length;
process.stdout.write(`checks: ${results.length - failed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
