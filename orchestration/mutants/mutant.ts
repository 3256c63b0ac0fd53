import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { AREAS, isRequirementId, type RequirementId } from "../../conformance/catalogue/index.ts";
import { digestOf, type Digest } from "../base/digest.ts";
import { SuiteError } from "../base/errors.ts";
import { ROOT } from "../base/paths.ts";

/** Planted bugs, `<area>/<name>.patch`; each a unified diff against the reference module, made at the top of the repository. */
export const MUTANTS_DIR = join(ROOT, "fixtures/mutants");

/** The sorts of bugs that real modules have. */
export const KINDS = [
  "wrong errno",
  "missing check",
  "off by one",
  "lost wake-up",
  "extra wake-up",
  "wrong order",
  "leaked reference",
  "leaked descriptor",
  "missing free",
  "use after free",
  "unzeroed padding",
  "wrong namespace",
  "policy bypass",
  "policy too strict",
  "quota miscount",
  "bounce copy",
  "lock across a fault",
  "endless wait",
  "wrong flag",
  "wrong value",
  "wrong target",
  "lost event",
  "extra event",
  "stale state",
  "mixed generations",
] as const;
const HEADER_LINES = ["Breaks", "Kind", "Target", "Cpus"];
export type Kind = (typeof KINDS)[number];

/** One planted bug. */
export interface Mutant {
  /** `<area>/<name>`, the file's place without its ending. */
  readonly name: string;
  readonly area: string;
  /** What is broken, one sentence. */
  readonly what: string;
  readonly breaks: readonly RequirementId[];
  readonly kind: Kind;
  /** Pattern of the target it shows on; null: any. */
  readonly target: string | null;
  /** Processors its machines need; 1 but for races that one processor does not have. */
  readonly cpus: number;
  /** The whole file; `git apply` skips what stands before the diff. */
  readonly patch: string;
  /** Of the diff alone: a better sentence is no other bug. */
  readonly digest: Digest;
}

/** All planted bugs, by name. @throws FILE_INVALID for the first whose header is wrong */
export async function readMutants(dir: string = MUTANTS_DIR): Promise<Mutant[]> {
  const names: string[] = [];
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    if (entry.isFile() && entry.name.endsWith(".patch")) names.push(join(entry.parentPath, entry.name).slice(dir.length + 1, -".patch".length));
  }
  return Promise.all(names.sort().map(async (name) => parseMutant(name, await readFile(join(dir, `${name}.patch`), "utf8"))));
}

/**
 * Reads a patch file: one sentence, then `Breaks: <ids>`, `Kind: <kind>` and, if it needs them, `Target: <pattern>` and `Cpus: <number>`, then the diff.
 * @throws FILE_INVALID naming what is wrong and what was expected
 */
export function parseMutant(name: string, text: string): Mutant {
  const wrong = (why: string): SuiteError => new SuiteError("FILE_INVALID", `fixtures/mutants/${name}.patch ${why}`);
  const [area = ""] = name.split("/", 1);
  if (!/^[a-z]+\/[a-z0-9-]+$/.test(name)) throw wrong("is not named <area>/<name>, in lower case letters, digits and hyphens");
  if (!(AREAS as readonly string[]).includes(area)) throw wrong(`lies in "${area}", which is no area; the areas are ${AREAS.join(", ")}`);

  const start = text.search(/^(diff --git|---) /m);
  if (start < 0) throw wrong("holds no unified diff");
  const [what = "", ...lines] = text.slice(0, start).split("\n").filter((line) => line.trim() !== "");
  if (!/^\w.*\.$/.test(what)) throw wrong(`begins with "${what}" instead of a sentence that says what is broken`);
  const fields = new Map(lines.map((line) => line.split(/:\s*/, 2) as [string, string]));
  for (const key of fields.keys()) if (!HEADER_LINES.includes(key)) throw wrong(`has the header line "${key}:"; the header lines are ${HEADER_LINES.join(", ")}`);

  const breaks = (fields.get("Breaks") ?? "").split(/[\s,]+/).filter((id) => id !== "");
  if (breaks.length === 0) throw wrong('has no line "Breaks: <requirement ids>"');
  for (const id of breaks) if (!isRequirementId(id)) throw wrong(`breaks "${id}", which is no requirement; ids look like MSG-014`);
  const kind = KINDS.find((each) => each === fields.get("Kind"));
  if (kind === undefined) throw wrong(`is of the kind "${fields.get("Kind") ?? ""}"; the kinds are ${KINDS.join(", ")}`);
  const cpus = fields.get("Cpus") ?? "1";
  if (!/^[1-8]$/.test(cpus)) throw wrong(`needs "${cpus}" processors; that is a whole number from 1 to 8`);
  const files = [...text.slice(start).matchAll(/^\+\+\+ (?:b\/)?(\S+)/gm)].map((match) => match[1] ?? "");
  const outside = files.find((file) => !file.startsWith("fixtures/module/"));
  if (outside !== undefined) throw wrong(`changes ${outside}; a planted bug lies in fixtures/module`);
  return { name, area, what, breaks: breaks.filter(isRequirementId), kind, target: fields.get("Target") ?? null, cpus: Number(cpus), patch: text, digest: digestOf(text.slice(start)) };
}

/**
 * Those that the words name: areas, names, or the part of a name behind its area. No word: all.
 * @throws USAGE for a word that fits none
 */
export function chooseMutants(all: readonly Mutant[], words: readonly string[]): Mutant[] {
  const fits = (mutant: Mutant, word: string): boolean => [mutant.area, mutant.name, mutant.name.slice(mutant.area.length + 1)].includes(word.toLowerCase().replace(/\.patch$/, "").replace(/^fixtures\/mutants\//, ""));
  for (const word of words) {
    if (!all.some((mutant) => fits(mutant, word))) throw new SuiteError("USAGE", `"${word}" names none of the ${all.length} planted bugs; give an area or a name, as \`./buslab mutants --list\` prints them`);
  }
  return all.filter((mutant) => words.length === 0 || words.some((word) => fits(mutant, word)));
}
