import { connectWireAgent } from "../fake/wire-agent.ts";
import { driverContract } from "../driver.contract.ts";
import { newRunId } from "../../base/ids.ts";
import { runPrefix } from "../run-name.ts";
import { prepareTemplate } from "../template.ts";
import { qemuBench, SKIP_QEMU } from "./test-support.ts";

const runId = newRunId();

driverContract("qemu", {
  runId,
  skip: SKIP_QEMU,
  connectAgent: connectWireAgent,
  answerLimitMs: 30_000,
  driver: async () => {
    const { spec, ctx } = await qemuBench();
    const template = await prepareTemplate(spec, { ...ctx, runId });
    return { kind: "qemu", start: async ({ label, dir }) => (await template.clone({ name: `${runPrefix(runId)}${label}`, dir })).machine };
  },
});
