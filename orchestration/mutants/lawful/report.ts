import { EXIT, type ExitCode } from "../../base/exit-codes.ts";
import type { Accusation, LawfulProof } from "./lawful.ts";
import type { Variant } from "./variant.ts";

/** What `mutants --lawful --json` ends with. */
export interface LawfulDocument extends LawfulProof {
  readonly schema: "buslab.mutants-lawful/1";
  readonly exitCode: ExitCode;
  readonly target: string;
  readonly generation: string;
  readonly variants: readonly Pick<Variant, "name" | "what" | "permitted" | "leaves">[];
  readonly durationMs: number;
}

export interface LawfulFacts {
  readonly target: string;
  readonly generation: string;
  readonly variants: readonly Variant[];
  readonly durationMs: number;
  readonly interrupted: boolean;
}

export function lawfulDocument(proof: LawfulProof, facts: LawfulFacts): LawfulDocument {
  return {
    schema: "buslab.mutants-lawful/1",
    exitCode: facts.interrupted ? EXIT.interrupted : exitCodeOf(proof),
    target: facts.target,
    generation: facts.generation,
    variants: facts.variants.map(({ name, what, permitted, leaves }) => ({ name, what, permitted, leaves })),
    durationMs: Math.round(facts.durationMs),
    ...proof,
  };
}

/** A test that the reference fails too says nothing of variants. */
function exitCodeOf({ ran, unknown, accusations }: LawfulProof): ExitCode {
  if (accusations.some(({ onReference }) => !onReference)) return EXIT.violated;
  return unknown.length > 0 || accusations.length > 0 || ran === 0 ? EXIT.undecided : EXIT.conformant;
}

export function renderLawful(document: LawfulDocument): string {
  const { variants, accusations, unknown, untried, seenLeft } = document;
  const left = variants.flatMap(({ leaves }) => leaves).length;
  return [
    `Lawful variants on ${document.target}, generation ${document.generation}`,
    ...variants.map(({ name, what, permitted }) => `  ${name}: ${what} (${permitted})`),
    "",
    ...accusations.flatMap((row) => [`  unfair: ${row.test} (${row.requirements.join(" ")})`, `    ${row.reason}`, `    ${accusedText(row)}`]),
    ...unknown.map(({ test, reason }) => `  nothing learnt: ${test}: ${reason}`),
    ...untried.map(({ variant, reason }) => `  not tried alone: ${variant}: ${reason}`),
    `${document.ran} tests on ${variants.length} variants together: ${accusations.filter(({ onReference }) => !onReference).length} unfair, ${unknown.length + accusations.filter(({ onReference }) => onReference).length} of which nothing was learnt, ${document.unsupported} unsupported; of ${left} requirements of lower level that are left ${seenLeft.length} were seen red, ${(document.durationMs / 60_000).toFixed(1)} min (exit code ${document.exitCode})`,
  ].join("\n");
}

function accusedText({ accused, onReference }: Accusation): string {
  if (onReference) return "it does not pass on the reference either";
  return accused.length === 0 ? "accuses no variant alone, only all together" : `accuses ${accused.join(", ")}`;
}
