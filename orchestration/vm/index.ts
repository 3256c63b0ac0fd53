/** Door of the machine layer. */
export { findAccel, type Accel, type AccelContext } from "./accel.ts";
export type { Clone } from "./clone.ts";
export { scanConsole } from "./console/scan.ts";
export type { ConnectAgent, GuestAgent, GuestExit } from "./guest-agent.ts";
export { describeKept, keptMachineOf, openKept, readKeptTarget } from "./kept.ts";
export { leftoversOf, sweepLeftovers } from "./leftovers.ts";
export type { Machine, MachineDriver } from "./machine.ts";
export { startPool, type LeaseFields, type Pool, type PooledTemplate, type PoolOptions } from "./pool.ts";
export { prepareTemplate, type Template, type TemplateContext, type TemplateSpec } from "./template.ts";
