import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec } from "../../orchestration/base/exec.ts";
import { silent } from "../../orchestration/base/progress.ts";
import { ARCHES, isNative } from "../../orchestration/target/arches.ts";
import { compareAbi, type AbiTable } from "../../fixtures/abi/layout.ts";
import { buildAgent } from "../../vm-images/agent/build.ts";
import type { Check } from "./check.ts";

/** What a C compiler makes of kdbus.h (printed by the agent) against the tables of the tests, which were written without it. */
export const abiDrift: Check = {
  name: "abi drift",
  run: async () => {
    const arch = Object.values(ARCHES).find(isNative);
    if (arch === undefined) return { examined: 0, problems: [`no architecture of the matrix runs on a ${process.arch} host`] };
    const logDir = await mkdtemp(join(tmpdir(), "buslab-abi-"));
    try {
      const { binary } = await buildAgent(arch, { progress: silent, logDir });
      const { stdout } = await exec([binary, "--abi"]);
      const table = JSON.parse(stdout) as AbiTable;
      return { examined: Object.keys(table.constants).length + Object.keys(table.structs).length, problems: compareAbi(table) };
    } finally {
      await rm(logDir, { recursive: true, force: true });
    }
  },
};
