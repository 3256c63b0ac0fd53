import type { Command } from "commander";
import { doctor } from "./doctor.ts";
import { requirements } from "./requirements.ts";
import { targets } from "./targets.ts";
import { test } from "./test.ts";

/** Every command of the program, in the order of its help. */
export const COMMANDS: readonly Command[] = [test, doctor, targets, requirements];
