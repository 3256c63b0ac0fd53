import { sql } from "kysely";
import { SuiteError } from "../../base/errors.ts";
import type { Database } from "../schema.ts";
import { iso } from "./shapes.ts";

export interface Difference {
  readonly kind: "test" | "requirement";
  readonly target: string;
  readonly id: string;
  /** Outcome of a test or state of a requirement; null where the run does not have it. */
  readonly before: string | null;
  readonly after: string | null;
  /** True when a waiver excuses what is there now. */
  readonly waived: boolean;
  readonly message: string | null;
}

export interface ComparedRun {
  readonly run: string;
  readonly startedAt: string | null;
  readonly verdict: string | null;
  readonly selection: string | null;
}

export interface Comparison {
  readonly schema: "buslab.compare/1";
  readonly a: ComparedRun;
  readonly b: ComparedRun;
  /** Bad in B and not bad in A, though A has it. */
  readonly broke: readonly Difference[];
  /** Bad in A, good in B. */
  readonly mended: readonly Difference[];
  /** Only B has it, whatever its outcome. */
  readonly appeared: readonly Difference[];
  /** Only A has it. */
  readonly vanished: readonly Difference[];
  /** B learnt nothing of it (infra-error, not run, not judged), and A did. */
  readonly notRun: readonly Difference[];
  /** Any other difference, e.g. failed before and crashed now. */
  readonly changed: readonly Difference[];
  /** How many are as they were, and of those how many are bad in both. */
  readonly same: number;
  readonly stillBad: number;
}

const BAD = new Set(["failed", "crashed", "timed-out", "violated", "waived"]);
const GOOD = new Set(["passed", "held"]);
const BLANK = new Set(["infra-error", "not-run", "unjudged"]);

/** What changed from run A to run B: tests and requirements, per target. Canaries are left out. @throws RUN_UNKNOWN when one is not kept or not judged */
export async function compareRuns(db: Database, params: { readonly a: string; readonly b: string }): Promise<Comparison> {
  const [a, b] = [await comparedRun(db, params.a), await comparedRun(db, params.b)];
  const tests = await sql<Raw>`
    select 'test' as kind, coalesce(x.target, y.target) as target, n.name as id, x.outcome as before, y.outcome as after, coalesce(y.waived, false) as waived, coalesce(y.message, x.message) as message
    from (select * from result where run = ${params.a} and not canary) x
      full join (select * from result where run = ${params.b} and not canary) y on y.target = x.target and y.test = x.test
      join test_name n on n.id = coalesce(x.test, y.test)
    order by 2, 3`.execute(db);
  const requirements = await sql<Raw>`
    select 'requirement' as kind, coalesce(x.target, y.target) as target, coalesce(x.requirement, y.requirement) as id, x.state as before, y.state as after, coalesce(y.state = 'waived', false) as waived, coalesce(y.because, x.because) as message
    from (select * from requirement_state where run = ${params.a}) x
      full join (select * from requirement_state where run = ${params.b}) y on y.target = x.target and y.requirement = x.requirement
    order by 2, 3`.execute(db);
  const rows = [...requirements.rows, ...tests.rows];
  const of = (bin: Bin): Difference[] => rows.filter((row) => binOf(row) === bin);
  const same = of("same");
  return {
    schema: "buslab.compare/1", a, b,
    broke: of("broke"), mended: of("mended"), appeared: of("appeared"), vanished: of("vanished"), notRun: of("notRun"), changed: of("changed"),
    same: same.length,
    stillBad: same.filter((row) => BAD.has(row.after ?? "")).length,
  };
}

type Raw = Difference;
type Bin = "broke" | "mended" | "appeared" | "vanished" | "notRun" | "changed" | "same";

function binOf({ before, after }: Raw): Bin {
  if (before === null) return "appeared";
  if (after === null) return "vanished";
  if (before === after) return "same";
  if (BAD.has(after)) return BAD.has(before) ? "changed" : "broke";
  if (BLANK.has(after)) return BLANK.has(before) ? "changed" : "notRun";
  return BAD.has(before) && GOOD.has(after) ? "mended" : "changed";
}

async function comparedRun(db: Database, run: string): Promise<ComparedRun> {
  const row = await db.selectFrom("run").select(["started_at", "verdict", "selection"]).where("id", "=", run).executeTakeFirst();
  if (row === undefined) throw new SuiteError("RUN_UNKNOWN", `the run "${run}" is not in the results database`);
  if (row.verdict === null) throw new SuiteError("RUN_UNKNOWN", `the run "${run}" has no verdict yet; judge it first`);
  return { run, startedAt: iso(row.started_at), verdict: row.verdict, selection: row.selection };
}
