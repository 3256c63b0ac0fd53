import type { AgentClient } from "../../orchestration/guest/agent-client.ts";
import type { LeaseGrant } from "../../orchestration/vm/lease.ts";

/** Where generation 2015-03 has its mask of exported metadata (10-abi, section 9). */
export const MODULE_MASK = "/sys/module/kdbus/parameters/attach_flags_mask";

/** The mask as the module had it when it was loaded; every test finds it opened to all kinds. Undefined if the module has no such parameter. */
export function initialModuleMask(machine: Pick<LeaseGrant, "facts">): string | undefined {
  const parameters = machine.facts["moduleParameters"] as Readonly<Record<string, { readonly was: string }>> | undefined;
  return parameters?.["attach_flags_mask"]?.was;
}

/** Sets the mask, as an administrator does. @returns the exit code of the writing, 0 if it was taken */
export async function setModuleMask(agent: AgentClient, value: bigint | string): Promise<number> {
  return (await agent.exec(["sh", "-c", `echo ${value} > ${MODULE_MASK}`])).exitCode;
}
