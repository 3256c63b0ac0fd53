import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { isRequirementId, REQUIREMENTS, type RequirementId } from "../../../conformance/catalogue/index.ts";
import { SuiteError } from "../../base/errors.ts";
import { ROOT } from "../../base/paths.ts";

/** Lawful variants, `<name>.patch`; each a unified diff against the reference module, made at the top of the repository. */
export const VARIANTS_DIR = join(ROOT, "fixtures/variants");

const HEADER_LINES = ["Permitted", "Leaves"];

/** One way in which the bus may differ from the reference and still be right. */
export interface Variant {
  readonly name: string;
  /** How it differs, one sentence. */
  readonly what: string;
  /** Where the specification leaves this open. */
  readonly permitted: string;
  /** Requirements of level should or may that it does not hold. */
  readonly leaves: readonly RequirementId[];
  /** The whole file; `git apply` skips what stands before the diff. */
  readonly patch: string;
}

/** All lawful variants, by name. @throws FILE_INVALID for the first whose header is wrong */
export async function readVariants(dir: string = VARIANTS_DIR): Promise<Variant[]> {
  const names = (await readdir(dir)).filter((file) => file.endsWith(".patch")).map((file) => file.slice(0, -".patch".length));
  return Promise.all(names.sort().map(async (name) => parseVariant(name, await readFile(join(dir, `${name}.patch`), "utf8"))));
}

/**
 * Reads a patch file: one sentence, `Permitted: <place of the specification>` and, if it needs it, `Leaves: <ids>`, then the diff.
 * @throws FILE_INVALID naming what is wrong and what was expected
 */
export function parseVariant(name: string, text: string): Variant {
  const wrong = (why: string): SuiteError => new SuiteError("FILE_INVALID", `fixtures/variants/${name}.patch ${why}`);
  if (!/^[a-z0-9-]+$/.test(name)) throw wrong("is not named in lower case letters, digits and hyphens");
  const start = text.search(/^(diff --git|---) /m);
  if (start < 0) throw wrong("holds no unified diff");
  const [what = "", ...lines] = text.slice(0, start).split("\n").filter((line) => line.trim() !== "");
  if (!/^\w.*\.$/.test(what)) throw wrong(`begins with "${what}" instead of a sentence that says how the bus differs`);
  const fields = new Map(lines.map((line) => [line.split(":", 1)[0] ?? "", line.replace(/^[^:]*:\s*/, "")]));
  for (const key of fields.keys()) if (!HEADER_LINES.includes(key)) throw wrong(`has the header line "${key}:"; the header lines are ${HEADER_LINES.join(", ")}`);

  const permitted = fields.get("Permitted") ?? "";
  if (permitted === "") throw wrong('has no line "Permitted: <place of the specification that leaves this open>"');
  const leaves = (fields.get("Leaves") ?? "").split(/[\s,]+/).filter((id) => id !== "");
  for (const id of leaves) {
    if (!isRequirementId(id)) throw wrong(`leaves "${id}", which is no requirement; ids look like MSG-014`);
    if (REQUIREMENTS.some((row) => row.id === id && row.level === "must")) throw wrong(`leaves ${id}, which is a must: a bus without it is not lawful`);
  }
  const outside = [...text.slice(start).matchAll(/^\+\+\+ (?:b\/)?(\S+)/gm)].map((match) => match[1] ?? "").find((file) => !file.startsWith("fixtures/module/"));
  if (outside !== undefined) throw wrong(`changes ${outside}; a variant lies in fixtures/module`);
  return { name, what, permitted, leaves: leaves.filter(isRequirementId), patch: text };
}

/** Those that the words name; no word: all. @throws USAGE for a word that names none */
export function chooseVariants(all: readonly Variant[], words: readonly string[]): Variant[] {
  const names = words.map((word) => word.replace(/^fixtures\/variants\//, "").replace(/\.patch$/, ""));
  for (const name of names) {
    if (!all.some((variant) => variant.name === name)) throw new SuiteError("USAGE", `"${name}" names none of the ${all.length} lawful variants; \`./buslab mutants --lawful --list\` prints them`);
  }
  return all.filter(({ name }) => names.length === 0 || names.includes(name));
}
