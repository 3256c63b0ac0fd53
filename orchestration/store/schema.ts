import type { ColumnType, Generated, Kysely } from "kysely";

/** Sent as text, read as a value: both drivers parse jsonb, and neither guesses what to do with an array. */
type Json<T = unknown> = ColumnType<T, string | null, string | null>;
type Time = ColumnType<Date | null, string | null, string | null>;

/** The tables of sql/*.sql. */
export interface Tables {
  run: {
    id: string;
    started_at: Time;
    ended_at: Time;
    plan_digest: string | null;
    seed: number | null;
    ended: string | null;
    verdict: string | null;
    exit_code: number | null;
    catalogue_digest: string | null;
    suite_digest: string | null;
    selection: string | null;
    reasons: Json;
    canaries_right: number | null;
    canaries_planned: number | null;
    document: Json;
    pinned_at: Time;
    pin_reason: string | null;
    pruned_at: Time;
    pruned: Json;
  };
  ingest: { run: string; bytes_read: number; torn: number; records: number };
  run_target: {
    run: string;
    target: string;
    accel: string | null;
    accel_why: string | null;
    generation: string | null;
    ended: string | null;
    error: Json;
    durations_ms: Json;
    verdict: string | null;
    counts: Json;
    requirements: Json;
  };
  artifact: { run: string; target: string; name: string; key: string; state: string; because: string };
  fact: { run: string; target: string; name: string; value: Json };
  test_name: { id: Generated<number>; name: string; area: string };
  attempt: {
    run: string;
    target: string;
    test: number;
    attempt: number;
    begun_at: Time;
    runner: string | null;
    duration_ms: number | null;
    limit_ms: number | null;
    errors: Json;
    unsupported: Json;
    evidence: string | null;
  };
  result: { run: string; target: string; test: number; outcome: string; message: string | null; duration_ms: number | null; waived: boolean; canary: boolean };
  requirement_state: { run: string; target: string; requirement: string; level: string; state: string; because: string | null };
  kernel_event: {
    run: string;
    writer: string;
    seq: number;
    place: number;
    target: string;
    test: number | null;
    machine: string | null;
    kind: string;
    fingerprint: string;
    title: string;
    console_offset: number;
    excerpt: string;
  };
  run_area: {
    run: string;
    target: string;
    area: string;
    planned: number;
    passed: number;
    failed: number;
    crashed: number;
    timed_out: number;
    unsupported: number;
    infra_error: number;
    not_run: number;
    waived: number;
  };
  requirement: { id: string; area: string; level: string; text: string; catalogue_digest: string; run: string };
  test_requirement: { test: number; requirement: string };
  evidence: { run: string; path: string; target: string; test: number; bytes: number; pruned_at: Time };
  bench: { id: string; measured_at: Time; target: string; accel: string; document: Json };
  figure: { bench: string; name: string; value: number; unit: string; against: string | null; ratio: number | null; exact: boolean };
  waiver: { text: string; requirement: string; target: string; owner: string; reason: string; last_day: string; present: boolean };
  run_waiver: { run: string; text: string; state: string };
  token: { id: string; name: string; hash: string; role: string; created_at: Generated<Date>; expires_at: Time; last_used_at: Time; revoked_at: Time };
  schema_migration: { version: number; digest: string };
}

export type Database = Kysely<Tables>;
