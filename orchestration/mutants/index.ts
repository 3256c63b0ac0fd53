import { join } from "node:path";
import type { Generation } from "../../conformance/catalogue/index.ts";
import { lockFile } from "../../vm-images/lock.ts";
import { nowMs } from "../base/deadline.ts";
import { asSuiteError } from "../base/errors.ts";
import { newRunId } from "../base/ids.ts";
import type { Progress, Step } from "../base/progress.ts";
import type { Plan, PlannedTest } from "../plan/plan.ts";
import type { PoolOptions, RunningPool } from "../run/run.ts";
import { plant } from "./apply.ts";
import type { Mutant } from "./mutant.ts";
import { wavesOf, type Waves } from "./order.ts";
import type { Judged } from "./report.ts";
import type { Kept, Results } from "./results.ts";
import { runTests, waveDir, type Subject } from "./run-tests.ts";
import { accuses, fateOf, toRepeat, type Fate, type Observed } from "./verdict.ts";

export { chooseMutants, readMutants, type Mutant } from "./mutant.ts";
export { documentOf, renderMutants, type Judged, type MutantsDocument } from "./report.ts";
export { commonDigest, moduleDigests, Results } from "./results.ts";
export { checkMutants } from "./check.ts";
export { waveDir } from "./run-tests.ts";
export { plant, REFERENCE_DIR } from "./apply.ts";

export interface MutantsOptions<M, T> {
  readonly mutants: readonly Mutant[];
  readonly plan: Plan;
  readonly generation: Generation;
  /** Mutants that are tried side by side. */
  readonly slots: number;
  /** Which further tests a survivor meets, to see who else would have caught it. */
  readonly wide: "none" | "area" | "all";
  readonly results: Results;
  /** Nothing kept is believed. */
  readonly fresh: boolean;
  /** Sources, records and evidence lie below it. */
  readonly home: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** The module without a bug: what killed a mutant must pass here. */
  readonly reference: Subject<T>;
  /** Builds the module in a folder. @throws what building throws; blame `subject` makes the mutant invalid */
  readonly build: (dir: string) => Promise<M>;
  /** Boots a built module; disposing throws its template away. @throws what booting throws; blame `subject` makes the mutant invalid */
  readonly boot: (module: M, runId: string, logDir: string) => Promise<Subject<T> & AsyncDisposable & { readonly complaint: string | null }>;
  readonly startPool: (options: PoolOptions<T>) => Promise<RunningPool>;
  /** Ends what a run left. */
  readonly sweep: (runId: string) => Promise<unknown>;
}

/** Runs the suite against planted bugs, and what killed them against the reference. @returns one row a mutant; fewer only when interrupted */
export async function runMutants<M, T>(options: MutantsOptions<M, T>): Promise<Judged[]> {
  const { mutants, signal } = options;
  const builds = new Builds(options);
  const judged: Judged[] = [];
  const step = options.progress.step("mutants");
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < mutants.length && !signal.aborted; index = next++) {
      const mutant = mutants[index] as Mutant;
      const own = options.progress.step(mutant.name);
      const started = nowMs();
      const row = await judgeOne(options, mutant, builds, own);
      if (row === null) return own.fail("interrupted");
      judged.push({ mutant, target: options.plan.targets[0] ?? "", ...row, durationMs: nowMs() - started });
      const text = `${row.fate.outcome}${row.fate.killedBy.length > 0 ? ` by ${row.fate.killedBy.join(" ")}` : `: ${row.fate.reason}`}${row.cached ? ", known from before" : ""}`;
      if (row.fate.outcome === "killed") own.done(text);
      else own.fail(text);
      step.update(`${judged.length} of ${mutants.length}`, judged.length / mutants.length);
    }
  };
  await Promise.all(Array.from({ length: options.slots }, lane));
  step.done(`${judged.length} of ${mutants.length}`);
  const controlled = signal.aborted ? judged : await control(options, judged);
  return controlled.sort((a, b) => (a.mutant.name < b.mutant.name ? -1 : 1));
}

/** Builds one mutant after the other in one folder, so that only what differs is compiled, and a little ahead of the machines. */
class Builds<M, T> {
  readonly #options: MutantsOptions<M, T>;
  readonly #known = new Map<string, Promise<M | Fate>>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: MutantsOptions<M, T>) {
    this.#options = options;
  }

  of(mutant: Mutant): Promise<M | Fate> {
    const known = this.#known.get(mutant.name) ?? this.#start(mutant);
    const following = this.#options.mutants[this.#options.mutants.indexOf(mutant) + this.#options.slots];
    if (following !== undefined && !this.#known.has(following.name) && !this.#options.signal.aborted) void this.#startUnlessKept(following);
    return known;
  }

  async #startUnlessKept(mutant: Mutant): Promise<void> {
    if ((await kept(this.#options, mutant)) === undefined && !this.#known.has(mutant.name)) void this.#start(mutant);
  }

  #start(mutant: Mutant): Promise<M | Fate> {
    const build = this.#last.then(() => this.#build(mutant));
    build.catch(() => undefined); // whoever asks for it hears of it
    this.#last = build.catch(() => undefined);
    this.#known.set(mutant.name, build);
    return build;
  }

  async #build(mutant: Mutant): Promise<M | Fate> {
    const dir = join(this.#options.home, "source", "module");
    await using _lock = await lockFile(`${dir}.lock`, () => undefined, this.#options.signal);
    const misfit = await plant([mutant], dir, this.#options.signal);
    if (misfit !== null) return invalid(misfit);
    try {
      return await this.#options.build(dir);
    } catch (error) {
      const named = asSuiteError(error);
      if (named.blame === "subject") return invalid(`does not compile: ${named.message}`);
      throw named;
    }
  }
}

async function judgeOne<M, T>(options: MutantsOptions<M, T>, mutant: Mutant, builds: Builds<M, T>, step: Step): Promise<Pick<Judged, "fate" | "cached" | "controlled"> | null> {
  const waves = wavesOf(mutant, options.plan.tests, options.generation);
  const known = await kept(options, mutant);
  if (known !== undefined) return { ...known, cached: true };
  const runId = newRunId();
  try {
    step.update("building");
    const built = await builds.of(mutant);
    if (isFate(built)) return fresh(built);
    step.update("booting");
    await using subject = await options.boot(built, runId, waveDir(options.home, mutant.name, "boot"));
    if (subject.complaint !== null) return fresh(invalid(`the kernel complains before any test: ${subject.complaint}`));
    const fate = await meet(options, mutant, waves, subject, runId, step);
    if (options.signal.aborted) return null;
    await options.results.keep(mutant, waves.naming, { fate, controlled: false });
    return fresh(fate);
  } catch (error) {
    if (options.signal.aborted) return null;
    const named = asSuiteError(error);
    return fresh(named.blame === "subject" ? invalid(`does not load: ${named.message}`) : { ...invalid(named.message), outcome: "undecided" });
  } finally {
    await options.sweep(runId);
  }
}

/** The waves of tests against a booted mutant. */
async function meet<M, T>(options: MutantsOptions<M, T>, mutant: Mutant, waves: Waves, subject: Subject<T>, runId: string, step: Step): Promise<Fate> {
  const run = (tests: readonly PlannedTest[], wave: string, stopAtFirst: boolean): Promise<Observed[]> =>
    tests.length === 0
      ? Promise.resolve([])
      : runTests({ subject, plan: options.plan, tests, stopAtFirst, slots: 1, dir: waveDir(options.home, mutant.name, wave), runId, step, signal: options.signal, startPool: options.startPool });

  let observed = await run(waves.naming, "naming", true);
  const again = toRepeat(mutant, observed);
  if (again.length > 0 && !options.signal.aborted) {
    const second = await run(again, "naming-again", true);
    observed = [...observed.filter(({ test }) => !again.includes(test)), ...second];
  }
  const fate = fateOf(mutant, observed);
  if (fate.outcome !== "survived" || options.wide === "none" || options.signal.aborted) return fate;
  const others = await run([...waves.area, ...(options.wide === "all" ? waves.rest : [])], "others", false);
  return { ...fate, seenBy: others.filter(({ outcome }) => accuses(outcome)).map(({ test }) => test.id) };
}

/** A test that fails on the reference as well has killed nothing. */
async function control<M, T>(options: MutantsOptions<M, T>, judged: readonly Judged[]): Promise<Judged[]> {
  const killers = new Set(judged.filter(({ controlled }) => !controlled).map(({ fate }) => fate.test));
  const tests = options.plan.tests.filter((test) => killers.has(test.id));
  if (tests.length === 0) return [...judged];
  const step = options.progress.step(`the ${tests.length} killing tests on the reference`);
  const runId = newRunId();
  try {
    const observed = await runTests({ subject: options.reference, plan: options.plan, tests, stopAtFirst: false, slots: options.slots, dir: waveDir(options.home, "reference", "control"), runId, step, signal: options.signal, startPool: options.startPool });
    const outcomes = new Map(observed.map(({ test, outcome }) => [test.id, outcome.kind]));
    const bad = observed.filter(({ outcome }) => outcome.kind !== "passed").length;
    if (bad === 0) step.done("pass");
    else step.fail(`${bad} do not pass`);
    return await Promise.all(judged.map((row) => controlledBy(options, row, outcomes)));
  } finally {
    await options.sweep(runId);
  }
}

async function controlledBy<M, T>(options: MutantsOptions<M, T>, row: Judged, outcomes: ReadonlyMap<string, string>): Promise<Judged> {
  const { mutant, fate } = row;
  const outcome = fate.test === null || row.controlled ? undefined : outcomes.get(fate.test);
  if (outcome === undefined) return row;
  const tests = wavesOf(mutant, options.plan.tests, options.generation).naming;
  if (outcome === "passed") {
    await options.results.keep(mutant, tests, { fate, controlled: true });
    return { ...row, controlled: true };
  }
  await options.results.forget(mutant, tests);
  return { ...row, fate: { ...fate, outcome: "undecided", killedBy: [], reason: `${fate.test ?? ""} is ${outcome} on the reference too` } };
}

function kept<M, T>(options: MutantsOptions<M, T>, mutant: Mutant): Promise<Kept | undefined> {
  return options.fresh ? Promise.resolve(undefined) : options.results.find(mutant, wavesOf(mutant, options.plan.tests, options.generation).naming);
}

function fresh(fate: Fate): Pick<Judged, "fate" | "cached" | "controlled"> {
  return { fate, cached: false, controlled: false };
}

function invalid(reason: string): Fate {
  return { outcome: "invalid", killedBy: [], test: null, reason, seenBy: [] };
}

function isFate(value: unknown): value is Fate {
  return typeof value === "object" && value !== null && "killedBy" in value && "seenBy" in value;
}
