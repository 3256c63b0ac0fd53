import { execFileSync } from "node:child_process";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newRunId } from "../../base/ids.ts";
import { ROOT } from "../../base/paths.ts";
import { driverContract } from "../driver.contract.ts";
import { fakeDriver } from "./machine.ts";
import { connectWireAgent } from "./wire-agent.ts";

const runId = newRunId();

driverContract("fake", {
  runId,
  connectAgent: connectWireAgent,
  answerLimitMs: 5_000,
  driver: async () => {
    const out = join(await mkdtemp(join(tmpdir(), "buslab-fake-agent-")), "agent");
    execFileSync("make", ["-s", "-C", join(ROOT, "vm-images/agent"), `OUT=${out}`], { stdio: "pipe" });
    return fakeDriver({ runId, agent: out });
  },
});
