import type { Command } from "commander";
import { bench } from "./bench.ts";
import { build } from "./build.ts";
import { coverage } from "./coverage.ts";
import { doctor } from "./doctor.ts";
import { fuzz } from "./fuzz.ts";
import { judge } from "./judge.ts";
import { mutants } from "./mutants.ts";
import { plan } from "./plan.ts";
import { record } from "./record.ts";
import { report } from "./report.ts";
import { requirements } from "./requirements.ts";
import { run } from "./run.ts";
import { shell } from "./shell.ts";
import { targets } from "./targets.ts";
import { test } from "./test.ts";

/** Every command of the program, in the order of its help. */
export const COMMANDS: readonly Command[] = [run, test, doctor, plan, build, record, judge, report, targets, requirements, coverage, mutants, fuzz, bench, shell];
