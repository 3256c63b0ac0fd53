import { plannedFor, type Plan } from "../../plan/plan.ts";
import { areaOfTest } from "../../plan/test-id.ts";
import type { RecordOf, RunRecord } from "../../record/v1.ts";
import type { LiveState } from "../schemas/live.ts";

type LiveTarget = LiveState["targets"][number];

const KEPT = 50;
const MESSAGE_CHARS = 400;

/** Sums up a run while it goes on. It repeats what the records say and judges nothing. */
export class LiveFold {
  private readonly plan: Plan | null;
  private readonly run: string;
  private readonly targets = new Map<string, LiveTarget>();
  private readonly seen = new Set<string>();
  private readonly current = new Map<string, LiveState["current"][number]>();
  private readonly failures: LiveState["failures"] = [];
  private readonly events: LiveState["events"] = [];
  private readonly errors: LiveState["errors"] = [];
  private startedAt: string | null = null;
  private newestAt: string | null = null;
  private firstTestMs: number | null = null;
  private newestTestMs = 0;
  private ended = false;

  constructor(run: string, plan: Plan | null) {
    this.run = run;
    this.plan = plan;
    for (const target of plan?.targets ?? []) this.target(target);
  }

  get isOver(): boolean {
    return this.ended;
  }

  take(record: RunRecord): void {
    this.newestAt = record.at;
    switch (record.type) {
      case "run-begin":
        this.startedAt = record.at;
        break;
      case "target-begin":
        Object.assign(this.target(record.target), { state: "running", accel: record.accel.kind } satisfies Partial<LiveTarget>);
        break;
      case "fact":
        if (record.name === "generation") this.narrow(record);
        break;
      case "test-begin":
        this.firstTestMs ??= Date.parse(record.at);
        this.current.set(`${record.target}\0${record.test}`, { target: record.target, test: record.test, since: record.at });
        break;
      case "lease":
        this.newestTestMs = Date.parse(record.at);
        if (!isCanary(record.test)) this.keepEvents(record, record.test);
        // A canary may lose its result on purpose; it is over when its machine is back.
        else this.end(record.target, record.test, "canaries");
        break;
      case "test-end":
        this.newestTestMs = Date.parse(record.at);
        this.testEnd(record);
        break;
      case "target-end":
        Object.assign(this.target(record.target), { state: record.ended, error: record.error === null ? null : `${record.error.code}: ${record.error.message}` } satisfies Partial<LiveTarget>);
        this.keepEvents(record, null);
        break;
      case "run-error":
        this.errors.push({ at: record.at, code: record.code, message: record.message.slice(0, MESSAGE_CHARS) });
        break;
      case "run-end":
        this.ended = true;
        this.current.clear();
        break;
    }
  }

  state(fresh: boolean): LiveState {
    const targets = [...this.targets.values()].map((target) => ({ ...target }));
    const sum = (key: "planned" | "done" | "passed" | "failed"): number => targets.reduce((total, target) => total + target[key], 0);
    const [planned, done] = [sum("planned"), sum("done")];
    const pace = this.firstTestMs === null || done === 0 ? null : (this.newestTestMs - this.firstTestMs) / done;
    return {
      run: this.run,
      state: this.ended ? "over" : fresh ? "running" : "abandoned",
      startedAt: this.startedAt,
      newestAt: this.newestAt,
      planned,
      done,
      passed: sum("passed"),
      failed: sum("failed"),
      leftMs: pace === null ? null : Math.round(pace * Math.max(0, planned - done)),
      targets,
      current: [...this.current.values()],
      failures: [...this.failures].reverse(),
      events: [...this.events].reverse(),
      errors: [...this.errors],
    };
  }

  private testEnd(record: RecordOf<"test-end">): void {
    if (isCanary(record.test)) return this.end(record.target, record.test, "canaries");
    const bad = record.runner === "failed" || record.runner === "timedOut";
    if (bad) keep(this.failures, { target: record.target, test: record.test, at: record.at, message: (record.errors[0]?.message ?? record.runner).slice(0, MESSAGE_CHARS) });
    this.end(record.target, record.test, record.runner === "passed" ? "passed" : bad ? "failed" : "skipped");
  }

  private end(id: string, test: string, as: "passed" | "failed" | "skipped" | "canaries"): void {
    const key = `${id}\0${test}`;
    this.current.delete(key);
    if (this.seen.has(key)) return;
    this.seen.add(key);
    const target = this.target(id);
    target.done += 1;
    target[as] += 1;
  }

  private keepEvents(record: RecordOf<"lease"> | RecordOf<"target-end">, test: string | null): void {
    for (const { kind, title, fingerprint } of record.events) keep(this.events, { target: record.target, test, at: record.at, kind, title: title.slice(0, MESSAGE_CHARS), fingerprint });
  }

  /** Once the generation is known, tests of the other one are no longer expected. */
  private narrow(record: RecordOf<"fact">): void {
    const { detected } = (record.value ?? {}) as { detected?: unknown };
    if (this.plan?.generation !== "auto" || (detected !== "2015-03" && detected !== "2015-08")) return;
    this.target(record.target).planned = this.plan.tests.filter((test) => plannedFor(test, detected)).length;
  }

  private target(id: string): LiveTarget {
    const known = this.targets.get(id);
    if (known !== undefined) return known;
    const fresh: LiveTarget = { target: id, state: "waiting", accel: null, planned: this.plan?.tests.length ?? 0, done: 0, passed: 0, failed: 0, skipped: 0, canaries: 0, error: null };
    this.targets.set(id, fresh);
    return fresh;
  }
}

function isCanary(test: string): boolean {
  return areaOfTest(test) === "canary";
}

function keep<T>(list: T[], entry: T): void {
  list.push(entry);
  if (list.length > KEPT) list.shift();
}
