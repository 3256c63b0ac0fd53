import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { areaOf, REQUIREMENTS } from "../../../conformance/catalogue/index.ts";
import { judge } from "../../../ci/policy/judge.ts";
import { NO_WAIVERS, type Waivers } from "../../../ci/policy/waivers.ts";
import { digestOf } from "../../base/digest.ts";
import { makePlan, planDigest, plannedFor, type Plan, type PlannedTest } from "../../plan/plan.ts";
import { EVERYTHING } from "../../plan/select.ts";
import { parseRecords } from "../../record/jsonl.ts";
import { RECORD_SCHEMA, type KernelEvent, type RecordFields } from "../../record/v1.ts";

/** What becomes of one test of a made-up run. */
export type Fate =
  | { readonly kind: "passed" | "not-run" }
  | { readonly kind: "failed" | "timed-out" | "infra-error"; readonly message: string }
  | { readonly kind: "unsupported"; readonly missing: string }
  | { readonly kind: "crashed"; readonly event: KernelEvent };

export interface MadeUp {
  readonly run: string;
  readonly targets: readonly string[];
  readonly startedAt: Date;
  /** Of the suite; every requirement of the catalogue has one test. */
  readonly tests?: number;
  /** Default: every test passes. */
  readonly fate?: (test: PlannedTest, index: number, target: string) => Fate;
  readonly waivers?: Waivers;
  /** Ends after so many tests, without an end: a run that goes on. */
  readonly unfinishedAfter?: number;
  /** Title of the module build that results are told for. */
  readonly module?: string;
}

const CANARY = { id: "canary/panic.spec.ts:a planted panic", event: { kind: "panic", fingerprint: "panic:planted", title: "Kernel panic - not syncing: planted", consoleOffset: 10, excerpt: "planted" } } as const;

/** Files of a run as `./buslab run` would leave them, made of the real catalogue, planner and judge; no machine had a part in it. */
export async function writeRun(runsDir: string, made: MadeUp): Promise<{ dir: string; plan: Plan; lines: string[] }> {
  const dir = join(runsDir, made.run);
  const plan = planOf(made);
  const lines = linesOf(made, plan);
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, "plan.json"), JSON.stringify(plan));
  await writeFile(join(dir, "records.jsonl"), lines.join(""));
  for (const target of made.targets) {
    for (const [index, test] of plan.tests.entries()) {
      const fate = fateOf(made, test, index, target);
      if (fate.kind !== "failed" && fate.kind !== "crashed" && fate.kind !== "timed-out") continue;
      const folder = join(dir, evidenceOf(target, test.id));
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, "console.log"), consoleOf(fate));
      await writeFile(join(folder, "explanation.txt"), explanationOf(test, target, fate));
    }
  }
  if (made.unfinishedAfter === undefined) await writeVerdict(dir, plan, lines, made.waivers);
  return { dir, plan, lines };
}

export async function writeVerdict(dir: string, plan: Plan, lines: readonly string[], waivers: Waivers = NO_WAIVERS): Promise<void> {
  const verdict = judge({ plan, log: parseRecords(lines.join("")), waivers, today: "2026-11-24" });
  await writeFile(join(dir, "verdict.json"), JSON.stringify(verdict));
}

export function planOf({ run, targets, tests = 60 }: MadeUp): Plan {
  const listed = Array.from({ length: tests }, (_, index) => {
    const row = REQUIREMENTS[(index * 7) % REQUIREMENTS.length];
    if (row === undefined) throw new RangeError("the catalogue is empty");
    const file = `${areaOf(row.id)}/made-up.spec.ts`;
    const title = `${row.id} ${row.text.slice(0, 60).trim()}${index >= REQUIREMENTS.length ? ` (${index})` : ""}`;
    return { id: `${file}:${title}`, file, titles: [title], requirements: [row.id], generations: [], canary: null };
  });
  const canary = { id: CANARY.id, file: "canary/panic.spec.ts", titles: ["a planted panic"], requirements: [], generations: [], canary: "crashed: panic" };
  return makePlan({ tests: [...listed, canary], suite: digestOf("made up"), waivers: NO_WAIVERS.digest, targets, generation: "auto", selection: EVERYTHING, seed: 1, run });
}

/** Lines of records.jsonl, each with its line feed in front. */
export function linesOf(made: MadeUp, plan: Plan): string[] {
  const lines: string[] = [];
  let clockMs = made.startedAt.getTime();
  const say = (fields: RecordFields, laterMs = 1): void => {
    clockMs += laterMs;
    lines.push(`\n${JSON.stringify({ schema: RECORD_SCHEMA, run: made.run, at: new Date(clockMs).toISOString(), writer: "made-up", seq: lines.length, ...fields })}`);
  };
  const module = { key: digestOf(made.module ?? "reference"), state: "built", because: "the source changed" } as const;
  say({ type: "run-begin", planDigest: planDigest(plan), seed: 1 });
  for (const target of made.targets) {
    say({ type: "target-begin", target, accel: { kind: "tcg", why: "made up" }, artifacts: { kernel: { key: digestOf("kernel"), state: "reused", because: "same inputs" }, module } }, 900);
    say({ type: "fact", target, name: "generation", value: { detected: "2015-08", signs: { A: "2015-08", B: "2015-08" } } });
  }
  let told = 0;
  for (const [index, test] of plan.tests.entries()) {
    for (const target of made.targets) {
      if (!plannedFor(test, "2015-08")) continue;
      const canary = test.canary !== undefined;
      const fate = canary ? ({ kind: "crashed", event: CANARY.event } as const) : fateOf(made, test, index, target);
      if (fate.kind === "not-run") continue;
      if (made.unfinishedAfter !== undefined && told >= made.unfinishedAfter) return lines;
      told += 1;
      const named = { target, test: test.id };
      const evidence = fate.kind === "passed" || canary ? null : `/runs/${made.run}/${evidenceOf(target, test.id)}`;
      say({ type: "test-begin", ...named, attempt: 1 }, 20);
      say({ type: "lease", ...named, machine: `${made.run}-${index}`, events: fate.kind === "crashed" ? [fate.event] : [], death: null, consoleRead: true, heldMs: 300 }, 280);
      say({
        type: "test-end", ...named, attempt: 1, runner: fate.kind === "passed" || fate.kind === "crashed" ? "passed" : fate.kind === "timed-out" ? "timedOut" : fate.kind === "unsupported" ? "skipped" : "failed",
        unsupported: fate.kind === "unsupported" ? [fate.missing] : [],
        errors: "message" in fate ? [{ code: fate.kind === "infra-error" ? "VM_DIED" : null, message: fate.message }] : [],
        durationMs: 200 + ((index * 37) % 900), limitMs: 60_000, evidence,
      }); // prettier-ignore
    }
  }
  for (const target of made.targets) say({ type: "target-end", target, ended: "complete", error: null, events: [], durationsMs: { build: 200, boot: 300, run: clockMs - made.startedAt.getTime(), total: clockMs - made.startedAt.getTime() } });
  say({ type: "run-end", ended: "complete" });
  return lines;
}

function fateOf(made: MadeUp, test: PlannedTest, index: number, target: string): Fate {
  return test.canary === undefined ? (made.fate?.(test, index, target) ?? { kind: "passed" }) : { kind: "passed" };
}

function evidenceOf(target: string, test: string): string {
  const slug = (text: string): string => text.replace(/[^\w.-]+/g, "-").slice(0, 80);
  return `evidence/${slug(target)}/${slug(test)}-${digestOf(test).slice(7, 13)}`;
}

function consoleOf(fate: Fate): string {
  const boot = Array.from({ length: 40 }, (_, line) => `[    ${(line / 10).toFixed(6)}] systemd[1]: Reached target made-up-${line}.target.`).join("\r\n");
  return `${boot}\r\n[    4.100000] kdbus: bus 0-made-up created\r\n${fate.kind === "crashed" ? fate.event.excerpt : "[    4.200000] nothing to complain of"}\r\n`;
}

function explanationOf(test: PlannedTest, target: string, fate: Fate): string {
  const said = "message" in fate ? fate.message : "the kernel complained";
  return [
    test.title, `  conformance/tests/${test.file}:12 on ${target}`, "", "What was expected and found", ...said.split("\n").map((line) => `  ${line}`), "",
    "What went over the bus", "  p1  HELLO         -> id 1, pool 1 MiB", "  p2  HELLO         -> id 2, pool 1 MiB", "  p1  SEND to 2     {cookie 7, payload 3 bytes 61 62 63}", "  p2  RECV          -> EAGAIN", "",
  ].join("\n"); // prettier-ignore
}
