import { EXIT, type ExitCode } from "../base/exit-codes.ts";
import type { Mutant } from "./mutant.ts";
import type { Fate, FateKind } from "./verdict.ts";

/** One mutant with its end. */
export interface Judged {
  readonly mutant: Mutant;
  readonly target: string;
  readonly fate: Fate;
  readonly cached: boolean;
  /** The test that killed it passes on the reference. */
  readonly controlled: boolean;
  readonly durationMs: number;
}

/** What `mutants --json` ends with. */
export interface MutantsDocument {
  readonly schema: "buslab.mutants/1";
  readonly exitCode: ExitCode;
  readonly total: number;
  readonly killed: number;
  readonly survived: readonly string[];
  readonly invalid: readonly string[];
  readonly undecided: readonly string[];
  readonly durationMs: number;
  readonly mutants: readonly {
    readonly name: string;
    readonly target: string;
    readonly what: string;
    readonly kind: string;
    readonly breaks: readonly string[];
    readonly outcome: FateKind;
    readonly killedBy: readonly string[];
    readonly test: string | null;
    readonly reason: string;
    readonly seenBy: readonly string[];
    readonly cached: boolean;
    readonly durationMs: number;
  }[];
}

export function documentOf(judged: readonly Judged[], durationMs: number, interrupted: boolean): MutantsDocument {
  const named = (outcome: FateKind): string[] => judged.filter(({ fate }) => fate.outcome === outcome).map(({ mutant }) => mutant.name);
  return {
    schema: "buslab.mutants/1",
    exitCode: interrupted ? EXIT.interrupted : exitCodeOf(judged),
    total: judged.length,
    killed: named("killed").length,
    survived: named("survived"),
    invalid: named("invalid"),
    undecided: named("undecided"),
    durationMs: Math.round(durationMs),
    mutants: judged.map(({ mutant, target, fate, cached, durationMs: own }) => ({
      name: mutant.name,
      target,
      what: mutant.what,
      kind: mutant.kind,
      breaks: mutant.breaks,
      outcome: fate.outcome,
      killedBy: fate.killedBy,
      test: fate.test,
      reason: fate.reason,
      seenBy: fate.seenBy,
      cached,
      durationMs: Math.round(own),
    })),
  };
}

/** A survivor is the suite's violation; a mutant nothing was learnt about leaves it open; a patch that does not fit is the caller's to mend. */
export function exitCodeOf(judged: readonly Pick<Judged, "fate">[]): ExitCode {
  const has = (outcome: FateKind): boolean => judged.some(({ fate }) => fate.outcome === outcome);
  if (has("survived")) return EXIT.violated;
  if (has("undecided")) return EXIT.undecided;
  return has("invalid") ? EXIT.caller : EXIT.conformant;
}

export function renderMutants(document: MutantsDocument): string {
  const width = Math.max(...document.mutants.map((mutant) => mutant.name.length), 0);
  const lines = document.mutants.map((mutant) => {
    const how = mutant.outcome === "killed" ? `by ${mutant.killedBy.join(" ")} (${mutant.test?.split(":")[0] ?? ""})` : mutant.reason;
    return `  ${mutant.name.padEnd(width)}  ${mutant.outcome.padEnd(9)}  ${how}`;
  });
  const open = document.mutants.filter((mutant) => mutant.outcome !== "killed");
  const details = open.flatMap((mutant) => [
    "",
    `${mutant.name} ${mutant.outcome}: ${mutant.what}`,
    `  breaks ${mutant.breaks.join(" ")}; ${mutant.reason}`,
    ...mutant.seenBy.slice(0, 8).map((test) => `  seen by ${test}`),
  ]);
  const minutes = (document.durationMs / 60_000).toFixed(1);
  const counts = `${document.killed} of ${document.total} killed, ${document.survived.length} survived, ${document.invalid.length} invalid, ${document.undecided.length} undecided, ${minutes} min (exit code ${document.exitCode})`;
  return [`Mutants on ${[...new Set(document.mutants.map(({ target }) => target))].join(", ")}`, ...lines, ...details, "", counts].join("\n");
}
