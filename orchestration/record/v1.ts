import { z } from "zod";

/**
 * Records of a run, one JSON document a line in `records.jsonl`. The file is append-only and stays the source of truth;
 * databases are filled from it. Several processes append: each line is one write, begins with a line feed of its own,
 * and a line that does not parse is kept and counted as torn, never guessed at.
 */

export const RECORD_SCHEMA = "buslab.record/1";

/** What the kernel said that no correct run says. */
export const kernelEventSchema = z.object({
  kind: z.enum(["panic", "oops", "bug", "warn", "kasan", "ubsan", "lockdep", "atomic-sleep", "rcu-stall", "hung-task", "soft-lockup", "leak", "refcount", "list-corruption", "oom", "taint", "reset"]),
  /** Stable over addresses, pids and times, so that the same crash is one crash. */
  fingerprint: z.string(),
  /** One line for people. */
  title: z.string(),
  /** Byte offset in console.log of the machine where the report begins; -1 when it was not seen on the console. */
  consoleOffset: z.int(),
  excerpt: z.string(),
});
export type KernelEvent = z.infer<typeof kernelEventSchema>;

/** How a machine ended before it was given back. */
export const machineDeathSchema = z.object({
  kind: z.enum(["panic", "reset", "killed", "qemu-failed", "hung"]),
  detail: z.string(),
});
export type MachineDeath = z.infer<typeof machineDeathSchema>;

const base = { schema: z.literal(RECORD_SCHEMA), run: z.string(), /** wall time, ISO 8601 */ at: z.string(), writer: z.string(), seq: z.int() };

export const recordSchema = z.discriminatedUnion("type", [
  z.object({ ...base, type: z.literal("run-begin"), planDigest: z.string(), /** order of the runner */ seed: z.int().optional() }),
  z.object({
    ...base,
    type: z.literal("target-begin"),
    target: z.string(),
    accel: z.object({ kind: z.enum(["kvm", "tcg", /** a machine that is not ours to boot */ "none"]), why: z.string() }),
    artifacts: z.record(z.string(), z.object({ key: z.string(), state: z.enum(["built", "reused"]), because: z.string() })),
  }),
  z.object({ ...base, type: z.literal("fact"), target: z.string(), name: z.string(), value: z.unknown() }),
  z.object({ ...base, type: z.literal("test-begin"), target: z.string(), test: z.string(), attempt: z.int() }),
  z.object({
    ...base,
    type: z.literal("lease"),
    target: z.string(),
    test: z.string(),
    machine: z.string(),
    events: z.array(kernelEventSchema),
    death: machineDeathSchema.nullable(),
    /** False when the console could not be read to its end: then nothing may be called passed. */
    consoleRead: z.boolean(),
    /** A question to the kernel at the end (leaks, lines run) that got no answer although it lives: nothing may be called passed. */
    unasked: z.string().optional(),
    heldMs: z.number(),
  }),
  z.object({
    ...base,
    type: z.literal("test-end"),
    target: z.string(),
    test: z.string(),
    attempt: z.int(),
    runner: z.enum(["passed", "failed", "timedOut", "skipped", "interrupted"]),
    /** Names of what the subject lacks, for a test that stated a precondition and found it missing. */
    unsupported: z.array(z.string()),
    errors: z.array(z.object({ code: z.string().nullable(), message: z.string() })),
    durationMs: z.number(),
    limitMs: z.number(),
    evidence: z.string().nullable(),
  }),
  z.object({
    ...base,
    type: z.literal("target-end"),
    target: z.string(),
    ended: z.enum(["complete", "failed", "interrupted"]),
    error: z.object({ code: z.string(), blame: z.enum(["subject", "infrastructure", "caller"]), message: z.string(), details: z.string() }).nullable(),
    events: z.array(kernelEventSchema),
    durationsMs: z.record(z.string(), z.number()),
  }),
  /** The run itself went wrong (runner died, disk full): nothing recorded before is taken back, and the verdict cannot be conformant. */
  z.object({ ...base, type: z.literal("run-error"), target: z.string().nullable(), code: z.string(), message: z.string() }),
  z.object({ ...base, type: z.literal("run-end"), ended: z.enum(["complete", "interrupted"]) }),
]);
export type RunRecord = z.infer<typeof recordSchema>;
export type RecordOf<T extends RunRecord["type"]> = Extract<RunRecord, { type: T }>;

/** Outcome of one planned test on one target; one union everywhere. */
export type Outcome =
  | { readonly kind: "passed" }
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "crashed"; readonly signature: string; readonly message: string }
  | { readonly kind: "timed-out"; readonly limitMs: number; readonly message: string }
  | { readonly kind: "unsupported"; readonly missing: readonly string[] }
  | { readonly kind: "infra-error"; readonly code: string; readonly message: string }
  | { readonly kind: "not-run"; readonly because: string };
export type OutcomeKind = Outcome["kind"];

type OmitEach<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
/** A record as its author gives it; the writer adds schema, run, time, its own name and the number. */
export type RecordFields = OmitEach<RunRecord, "schema" | "run" | "at" | "writer" | "seq">;
