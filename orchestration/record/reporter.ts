import { readFileSync } from "node:fs";
import { relative, sep } from "node:path";
import { stripVTControlCharacters } from "node:util";
import type { FullConfig, Reporter, Suite, TestCase, TestError, TestResult } from "@playwright/test/reporter";
import { CANARY_ANNOTATION, EVIDENCE_ANNOTATION, LOSE_RESULT_ANNOTATION, TITLE_SEPARATOR, UNSUPPORTED_ANNOTATION } from "./annotations.ts";
import { RecordWriter } from "./jsonl.ts";
import type { RecordFields, RecordOf } from "./v1.ts";

const MESSAGE_CHARS = 8_000;
/** The runner's words when a worker process ended under a test: nothing learnt about the subject. */
const WORKER_LOST = /^Error: worker process exited unexpectedly/;
const ERROR_CODE = /^SuiteError \[([A-Z0-9_]+)\]: /;

/**
 * The runner's events as records. Reads BUSLAB_PLAN, BUSLAB_RECORDS and BUSLAB_RUN. It never throws: the runner says nothing
 * about a throwing reporter, so trouble of its own goes to stderr, into a run-error record, and makes the runner's exit code 1.
 */
export default class RecordReporter implements Reporter {
  private writer: RecordWriter | undefined;
  private ids = new Map<string, string>();
  private rootDir = "";
  private trouble: string | undefined;

  onBegin(config: FullConfig, _suite: Suite): void {
    this.guard(() => {
      const { BUSLAB_PLAN: plan, BUSLAB_RECORDS: path, BUSLAB_RUN: run } = process.env;
      if (plan === undefined || path === undefined || run === undefined) throw new Error("BUSLAB_PLAN, BUSLAB_RECORDS and BUSLAB_RUN must be set");
      this.rootDir = config.rootDir;
      const parsed = JSON.parse(readFileSync(plan, "utf8")) as { tests: { id: string; file: string; title: string }[] };
      this.ids = new Map(parsed.tests.map((test) => [key(test.file, test.title), test.id]));
      this.writer = new RecordWriter({ path, run, writer: `reporter-${process.pid}` });
    });
  }

  onTestBegin(test: TestCase, result: TestResult): void {
    this.record(() => ({ type: "test-begin", ...this.named(test, result) }));
  }

  onTestEnd(test: TestCase, result: TestResult): void {
    const notes = result.annotations;
    if (has(notes, CANARY_ANNOTATION) && has(notes, LOSE_RESULT_ANNOTATION)) return;
    this.record(() => ({
      type: "test-end",
      ...this.named(test, result),
      runner: result.status,
      unsupported: notes.filter((note) => note.type === UNSUPPORTED_ANNOTATION).map((note) => note.description ?? "unnamed"),
      errors: result.errors.map(errorOf),
      durationMs: result.duration,
      limitMs: test.timeout,
      evidence: notes.find((note) => note.type === EVIDENCE_ANNOTATION)?.description ?? null,
    }));
  }

  /** Errors outside of any test: a spec that does not load, a worker that does not start. */
  onError(error: TestError): void {
    this.record(() => ({ type: "run-error", target: null, code: "RUNNER_FAILED", message: errorOf(error).message }));
  }

  onEnd(): Promise<{ status: "failed" } | undefined> {
    this.guard(() => {
      const failure = this.writer?.failure;
      if (failure !== undefined) this.writer?.append({ type: "run-error", target: null, code: failure.code, message: failure.message });
      if ((this.writer?.heldBack ?? 0) > 0) throw new Error(`${this.writer?.heldBack ?? 0} records could not be written: ${failure?.message ?? ""}`);
      this.writer?.close();
    });
    return Promise.resolve(this.trouble === undefined ? undefined : { status: "failed" });
  }

  printsToStdio(): boolean {
    return false;
  }

  private named(test: TestCase, result: TestResult): { target: string; test: string; attempt: number } {
    const [, project, , ...titles] = test.titlePath();
    const file = relative(this.rootDir, test.location.file).split(sep).join("/");
    const title = titles.join(TITLE_SEPARATOR);
    // A test outside of the plan keeps a name of its own, and the judge says that it is there.
    return { target: project ?? "", test: this.ids.get(key(file, title)) ?? `unplanned:${key(file, title)}`, attempt: result.retry + 1 };
  }

  private record(make: () => RecordFields): void {
    this.guard(() => this.writer?.append(make()));
  }

  private guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.trouble ??= String(error);
      process.stderr.write(`records: ${String(error)}\n`);
    }
  }
}

function key(file: string, title: string): string {
  return `${file}:${title}`;
}

function has(notes: readonly { type: string }[], type: string): boolean {
  return notes.some((note) => note.type === type);
}

/** Exported for its test: finds the code that SuiteError puts in its name, the only part of a class that the runner keeps. */
export function errorOf(error: TestError): RecordOf<"test-end">["errors"][number] {
  const text = stripVTControlCharacters(error.message ?? error.value ?? "unknown error");
  return { code: ERROR_CODE.exec(text)?.[1] ?? (WORKER_LOST.test(text) ? "RUNNER_FAILED" : null), message: text.slice(0, MESSAGE_CHARS) };
}
