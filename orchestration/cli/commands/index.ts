import type { Command } from "commander";
import { build } from "./build.ts";
import { judge } from "./judge.ts";
import { plan } from "./plan.ts";
import { doctor } from "./doctor.ts";
import { requirements } from "./requirements.ts";
import { targets } from "./targets.ts";
import { test } from "./test.ts";

/** Every command of the program, in the order of its help. */
export const COMMANDS: readonly Command[] = [plan, build, judge, test, doctor, targets, requirements];
