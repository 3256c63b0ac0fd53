import { ERROR_TABLE } from "../base/errors.ts";
import type { MachineDeath, Outcome, RecordOf, RunRecord } from "./v1.ts";

export interface PlannedPair {
  readonly target: string;
  readonly test: string;
}

/**
 * Calls what happened to one planned test by its name. Pure, and sceptical: `passed` needs a runner that says so, a
 * machine whose console was read to its end, and nothing that speaks against it. The order of the questions is the order
 * of the evidence: what the kernel said beats what became of the machine, which beats what the runner believes.
 */
export function outcomeOf(planned: PlannedPair, records: readonly RunRecord[]): Outcome {
  const own = recordsOf(planned, records);
  if (own.begins.length + own.leases.length + own.ends.length === 0) return { kind: "not-run", because: "there is no record of it" };
  return crashed(own) ?? machineLost(own) ?? hung(own) ?? lost(own) ?? worst(own.ends.map((end) => runnerOutcome(end, own.leases.length > 0)));
}

/** An outcome in one line, for people. */
export function summaryOf(outcome: Outcome): string {
  switch (outcome.kind) {
    case "passed":
      return "passed";
    case "failed":
      return outcome.message.split("\n")[0] ?? "";
    case "crashed":
      return `crashed: ${outcome.message}`;
    case "timed-out":
      return `timed out after ${outcome.limitMs} ms: ${outcome.message.split("\n")[0] ?? ""}`;
    case "unsupported":
      return `unsupported, missing: ${outcome.missing.join(", ")}`;
    case "infra-error":
      return `${outcome.code}: ${outcome.message.split("\n")[0] ?? ""}`;
    case "not-run":
      return `not run: ${outcome.because}`;
  }
}

interface Own {
  readonly begins: readonly RecordOf<"test-begin">[];
  readonly leases: readonly RecordOf<"lease">[];
  readonly ends: readonly RecordOf<"test-end">[];
}

function recordsOf(planned: PlannedPair, records: readonly RunRecord[]): Own {
  const begins: RecordOf<"test-begin">[] = [];
  const leases: RecordOf<"lease">[] = [];
  const ends: RecordOf<"test-end">[] = [];
  for (const record of records) {
    if (!("test" in record) || record.test !== planned.test || record.target !== planned.target) continue;
    if (record.type === "test-begin") begins.push(record);
    else if (record.type === "lease") leases.push(record);
    else ends.push(record);
  }
  return { begins, leases, ends };
}

/** The kernel complained, or died without a word. */
function crashed(own: Own): Outcome | null {
  const event = own.leases.flatMap((lease) => lease.events)[0];
  if (event !== undefined) return { kind: "crashed", signature: event.fingerprint, message: event.title };
  const death = deathOf(own, ["panic", "reset"]);
  return death === null ? null : { kind: "crashed", signature: `${death.kind}-without-report`, message: `the machine ended (${death.kind}) and its console shows no report: ${death.detail}` };
}

/** Nothing can be said about a subject whose machine was taken away, or whose console nobody read. */
function machineLost(own: Own): Outcome | null {
  const death = deathOf(own, ["killed", "qemu-failed"]);
  if (death !== null) return { kind: "infra-error", code: "VM_DIED", message: death.detail };
  if (own.leases.some((lease) => !lease.consoleRead)) return { kind: "infra-error", code: "CONSOLE_LOST", message: "the machine's console could not be read to its end" };
  const unasked = own.leases.find((lease) => lease.unasked !== undefined)?.unasked;
  if (unasked !== undefined) return { kind: "infra-error", code: "GUEST_TIMEOUT", message: `the kernel gave no answer at the end of the test: ${unasked}` };
  return null;
}

function hung(own: Own): Outcome | null {
  const death = deathOf(own, ["hung"]);
  return death === null ? null : { kind: "timed-out", limitMs: own.ends[0]?.limitMs ?? 0, message: `the guest hangs: ${death.detail}` };
}

function lost(own: Own): Outcome | null {
  const ended = new Set(own.ends.map((end) => end.attempt));
  if (own.ends.length > 0 && own.begins.every((begin) => ended.has(begin.attempt))) return null;
  return { kind: "infra-error", code: "RESULT_LOST", message: "the test began and its result was not recorded" };
}

function runnerOutcome(end: RecordOf<"test-end">, leased: boolean): Outcome {
  const first = end.errors[0]?.message ?? "the runner gave no reason";
  switch (end.runner) {
    case "failed": {
      const code = groundCode(end);
      return code === null ? { kind: "failed", message: first } : { kind: "infra-error", code, message: first };
    }
    case "timedOut":
      // Without a machine the subject had no chance to be slow.
      if (!leased) return { kind: "infra-error", code: groundCode(end) ?? "VM_START_FAILED", message: `no machine within the test's ${end.limitMs} ms` };
      return { kind: "timed-out", limitMs: end.limitMs, message: first };
    case "interrupted":
      return { kind: "not-run", because: "the run was interrupted during the test" };
    case "skipped":
      if (end.unsupported.length > 0) return { kind: "unsupported", missing: end.unsupported };
      return { kind: "not-run", because: "the test was skipped without naming what is missing" };
    case "passed":
      if (end.errors.length > 0) return { kind: "failed", message: first };
      if (end.unsupported.length > 0) return { kind: "unsupported", missing: end.unsupported };
      if (!leased) return { kind: "infra-error", code: "RESULT_LOST", message: "the runner says passed, but no machine reported on its kernel" };
      return { kind: "passed" };
  }
}

/** First error code if every error blames something other than the subject, else null: one honest failure outweighs the rest. */
function groundCode(end: RecordOf<"test-end">): string | null {
  const codes = end.errors.map((error) => error.code);
  const ground = codes.every((code) => code !== null && code in ERROR_TABLE && ERROR_TABLE[code as keyof typeof ERROR_TABLE].blame !== "subject");
  return ground ? (codes[0] ?? null) : null;
}

const BADNESS: readonly Outcome["kind"][] = ["passed", "unsupported", "not-run", "infra-error", "timed-out", "failed", "crashed"];

/** Of several attempts the worst counts: a repetition that passes explains nothing away. */
function worst(outcomes: readonly Outcome[]): Outcome {
  const [first, ...rest] = outcomes;
  if (first === undefined) return { kind: "not-run", because: "there is no record of its end" };
  return rest.reduce((bad, next) => (BADNESS.indexOf(next.kind) > BADNESS.indexOf(bad.kind) ? next : bad), first);
}

function deathOf(own: Own, kinds: readonly MachineDeath["kind"][]): MachineDeath | null {
  return own.leases.map((lease) => lease.death).find((death) => death !== null && kinds.includes(death.kind)) ?? null;
}
