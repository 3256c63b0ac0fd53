import { z } from "zod";
import { kernelEventSchema, machineDeathSchema } from "../record/v1.ts";

/**
 * Protocol between the machine pool (in the process of `run`) and the test runner's workers: JSON lines on a unix socket,
 * one request, one answer, numbered by `id`. A worker that vanishes gives back everything it had leased.
 * The socket's path is in the environment variable BUSLAB_POOL.
 */
export const leaseRequestSchema = z.discriminatedUnion("op", [
  /** A fresh clone of the target's template for this test; of the one with several processors where the target has one and the test asks for it. */
  z.object({ id: z.int(), op: z.literal("lease"), target: z.string(), test: z.string(), parallel: z.boolean() }),
  /** Ends the lease; the machine is inspected (console, ping, taint) and thrown away. */
  z.object({ id: z.int(), op: z.literal("release"), lease: z.string(), keepEvidence: z.boolean() }),
  /** Kernel reports on the console so far, while the lease goes on. */
  z.object({ id: z.int(), op: z.literal("inspect"), lease: z.string() }),
  /** SIGKILL to the QEMU of the lease; used by the canary that proves a killed QEMU is called by its name. */
  z.object({ id: z.int(), op: z.literal("kill-qemu"), lease: z.string() }),
]);
export type LeaseRequest = z.infer<typeof leaseRequestSchema>;

export const leaseGrantSchema = z.object({
  lease: z.string(),
  /** Unix socket of the guest agent; one client at a time. */
  agentSocket: z.string(),
  /** Console log of this machine, growing; the clone's own, it begins at the moment of the clone. */
  consoleLog: z.string(),
  /** Folder where evidence of this test is kept. */
  evidenceDir: z.string(),
  /** Wall time the clone took until the agent answered. */
  readyMs: z.number(),
  /** Facts about the target: generation, kernel release, config options, slowdown. */
  facts: z.record(z.string(), z.unknown()),
});
export type LeaseGrant = z.infer<typeof leaseGrantSchema>;

export const leaseReportSchema = z.object({
  events: z.array(kernelEventSchema),
  death: machineDeathSchema.nullable(),
  consoleRead: z.boolean(),
  /** A question to the kernel that got no answer although it lives: nothing may be called passed. */
  unasked: z.string().optional(),
});
export type LeaseReport = z.infer<typeof leaseReportSchema>;

export const leaseAnswerSchema = z.union([
  z.object({ id: z.int(), ok: z.literal(true), grant: leaseGrantSchema.optional(), report: leaseReportSchema.optional() }),
  z.object({ id: z.int(), ok: z.literal(false), code: z.string(), message: z.string() }),
]);
export type LeaseAnswer = z.infer<typeof leaseAnswerSchema>;
