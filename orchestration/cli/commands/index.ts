import type { Command } from "commander";
import { bench } from "./bench.ts";
import { build } from "./build.ts";
import { compare } from "./compare.ts";
import { coverage } from "./coverage.ts";
import { doctor } from "./doctor.ts";
import { exportCommand } from "./export.ts";
import { fuzz } from "./fuzz.ts";
import { judge } from "./judge.ts";
import { mutants } from "./mutants.ts";
import { plan } from "./plan.ts";
import { prune } from "./prune.ts";
import { push } from "./push.ts";
import { record } from "./record.ts";
import { reopen } from "./reopen.ts";
import { report } from "./report.ts";
import { requirements } from "./requirements.ts";
import { run } from "./run.ts";
import { runs } from "./runs.ts";
import { serve } from "./serve.ts";
import { shell } from "./shell.ts";
import { targets } from "./targets.ts";
import { test } from "./test.ts";
import { token } from "./token.ts";

/** Every command of the program, in the order of its help. */
export const COMMANDS: readonly Command[] = [run, test, doctor, plan, build, record, judge, report, runs, compare, exportCommand, prune, targets, requirements, coverage, mutants, fuzz, bench, shell, reopen, serve, push, token];
