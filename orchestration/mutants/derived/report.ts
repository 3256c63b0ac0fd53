import { EXIT, type ExitCode } from "../../base/exit-codes.ts";
import type { Mutant } from "../mutant.ts";
import type { RequirementProof } from "./derived.ts";
import { RULES, type DerivedBug, type Rule } from "./rules.ts";

export const OUTCOMES = ["seen-red", "planted", "never-red", "not-tried"] as const;

/** What `mutants --derived --json` ends with. */
export interface DerivedDocument {
  readonly schema: "buslab.mutants-derived/1";
  readonly exitCode: ExitCode;
  readonly target: string;
  readonly generation: string;
  /** Bugs that could be switched on, by rule. */
  readonly bugs: Readonly<Record<Rule, number>>;
  readonly total: number;
  /** Requirements by what is known of them. */
  readonly counts: Readonly<Record<(typeof OUTCOMES)[number], number>>;
  readonly durationMs: number;
  readonly requirements: readonly DerivedRow[];
}

export interface DerivedRow {
  readonly id: string;
  /**
   * `seen-red`: a test of it failed with a derived bug on, and passes without. `planted`: none did, and a planted bug claims
   * to break it, which `buslab mutants` proves. `never-red`: trials were made and every test passed. `not-tried`: no bug that few tests reach.
   */
  readonly outcome: (typeof OUTCOMES)[number];
  readonly bug: DerivedBug | null;
  /** Tests of the suite that reach the bug. */
  readonly reachedBy: number | null;
  readonly test: string | null;
  readonly reason: string;
  readonly planted: readonly string[];
  readonly tests: number;
  readonly tried: number;
  readonly possible: number;
}

export interface DerivedFacts {
  readonly target: string;
  readonly generation: string;
  readonly bugs: readonly DerivedBug[];
  readonly mutants: readonly Pick<Mutant, "name" | "breaks">[];
  readonly durationMs: number;
  readonly interrupted: boolean;
}

export function derivedDocument(proofs: readonly RequirementProof[], facts: DerivedFacts): DerivedDocument {
  const requirements = proofs.map((proof) => rowOf(proof, facts.mutants));
  const count = (outcome: DerivedRow["outcome"]): number => requirements.filter((row) => row.outcome === outcome).length;
  const open = count("never-red") + count("not-tried");
  return {
    schema: "buslab.mutants-derived/1",
    exitCode: facts.interrupted ? EXIT.interrupted : open > 0 ? EXIT.undecided : EXIT.conformant,
    target: facts.target,
    generation: facts.generation,
    bugs: Object.fromEntries((Object.keys(RULES) as Rule[]).map((rule) => [rule, facts.bugs.filter((bug) => bug.rule === rule).length])) as Record<Rule, number>,
    total: requirements.length,
    counts: { "seen-red": count("seen-red"), planted: count("planted"), "never-red": count("never-red"), "not-tried": count("not-tried") },
    durationMs: Math.round(facts.durationMs),
    requirements,
  };
}

function rowOf({ requirement, red, tests, tried, possible }: RequirementProof, mutants: DerivedFacts["mutants"]): DerivedRow {
  const planted = mutants.filter(({ breaks }) => (breaks as readonly string[]).includes(requirement)).map(({ name }) => name);
  const outcome = red !== null ? "seen-red" : planted.length > 0 ? "planted" : tried > 0 ? "never-red" : "not-tried";
  return {
    id: requirement,
    outcome,
    bug: red?.trial.bug ?? null,
    reachedBy: red?.trial.reachedBy ?? null,
    test: red?.trial.test.id ?? null,
    reason: red?.reason ?? (tests === 0 ? "no test of it passes on this target with no bug on" : `${tried} of ${possible} trials made, with ${tests} ${tests === 1 ? "test" : "tests"}`),
    planted,
    tests,
    tried,
    possible,
  };
}

export function renderDerived(document: DerivedDocument): string {
  const lines = document.requirements.map((row) =>
    row.bug === null
      ? `  ${row.id.padEnd(10)}  ${row.outcome.padEnd(9)}  ${row.outcome === "planted" ? row.planted.join(" ") : row.reason}`
      : `  ${row.id.padEnd(10)}  ${row.outcome.padEnd(9)}  ${row.bug.file}:${row.bug.line} ${row.bug.rule} (${row.bug.code.slice(0, 60)}), which ${row.reachedBy ?? 0} ${row.reachedBy === 1 ? "test reaches" : "tests reach"}`,
  );
  const bugs = Object.entries(document.bugs).map(([rule, count]) => `${count} ${rule}`).join(", ");
  const { counts } = document;
  return [
    `Derived bugs on ${document.target}, generation ${document.generation}: ${bugs}`,
    ...lines,
    "",
    `${document.total} requirements: ${counts["seen-red"]} seen red, ${counts.planted} left to planted bugs, ${counts["never-red"]} never red, ${counts["not-tried"]} not tried, ${(document.durationMs / 60_000).toFixed(1)} min (exit code ${document.exitCode})`,
  ].join("\n");
}
