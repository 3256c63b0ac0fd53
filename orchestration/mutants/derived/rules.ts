import { SuiteError } from "../../base/errors.ts";

/** Ways to derive a bug from a place of the source. */
export const RULES = {
  never: "a condition that never holds: a check that is missing",
  always: "a condition that always holds: a check that is too strict",
  bound: "a comparison that is off by one",
  operand: "a condition that forgets one of its parts",
  errno: "another error",
} as const;
export type Rule = keyof typeof RULES;

/** A bug that can be switched on in a running module. */
export interface DerivedBug {
  /** Number of its place, from 1. */
  readonly place: number;
  readonly rule: Rule;
  readonly file: string;
  /** Line of the unchanged source, from 1. */
  readonly line: number;
  /** The code, and what becomes of it, in one line. */
  readonly code: string;
}

export interface Switched {
  /** The source with switches, line for line the same. */
  readonly text: string;
  readonly bugs: readonly DerivedBug[];
}

interface Edit {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/** The other comparison at the same bound. */
const OFF_BY_ONE: Readonly<Record<string, string>> = { "<": "<=", "<=": "<", ">": ">=", ">=": ">" };
/** Conditions that call or change something are not computed twice. */
const HAS_EFFECTS = /\w\s*\(|\+\+|--|[^=!<>]=[^=]/;
const ERROR = /(?:return |ERR_PTR\(|(?<![=!<>])= |\? |: )(-E[A-Z0-9]+)(?=[;) ])/g;

/**
 * Puts a switch at every place of a C source from which a bug can be derived. Comments, strings and preprocessor lines
 * are left as they are.
 * @param first number of the first place
 * @throws INTERNAL for a condition without its closing bracket
 */
export function plantSwitches(file: string, source: string, first: number): Switched {
  const code = blankOut(source);
  const bugs: DerivedBug[] = [];
  const edits: Edit[] = [];
  const add = (rule: Rule, at: number, text: string): number => {
    const place = first + bugs.length;
    bugs.push({ place, rule, file, line: lineOf(source, at), code: text.replace(/\s+/g, " ").trim() });
    return place;
  };

  for (const { index } of code.matchAll(/\bif \(/g)) {
    const open = index + "if ".length;
    const close = closingBracket(file, code, open);
    const condition = source.slice(open + 1, close);
    let text = `KDBUS_NEVER(${add("never", index, condition)}, (${condition}))`;
    text = `KDBUS_ALWAYS(${add("always", index, condition)}, ${text})`;
    for (const other of othersOf(condition)) text = `KDBUS_OTHER(${add(other.rule, index, `${condition} => ${other.condition}`)}, ${text}, (${flat(other.condition)}))`;
    edits.push({ from: open + 1, to: close, text });
  }
  for (const match of code.matchAll(ERROR)) {
    const error = match[1] ?? "";
    const to = match.index + match[0].length;
    const from = to - error.length;
    if (edits.some((edit) => edit.from <= from && to <= edit.to)) continue; // what a condition compares with is no answer
    if (/^\s*(case|static|const)\b/.test(code.slice(code.lastIndexOf("\n", from) + 1, from))) continue; // constants
    edits.push({ from, to, text: `KDBUS_ERROR(${add("errno", from, match[0])}, ${error})` });
  }
  return { text: applied(source, edits), bugs };
}

/** Other conditions in the place of one, where it has no effects. */
function othersOf(condition: string): { rule: Rule; condition: string }[] {
  if (HAS_EFFECTS.test(condition.replace(/\bsizeof\s*\(/g, "sizeof["))) return [];
  const bounds = [...condition.matchAll(/ (<=|>=|<|>) /g)].map(({ index, 0: found, 1: sign = "" }) => ({
    rule: "bound" as const,
    condition: `${condition.slice(0, index)} ${OFF_BY_ONE[sign] ?? ""} ${condition.slice(index + found.length)}`,
  }));
  return [...bounds, ...operandsOf(condition)];
}

/** A chain of `&&` or of `||` without one of its parts. A part that keeps a later one from a null pointer stays. */
function operandsOf(condition: string): { rule: Rule; condition: string }[] {
  const sign = condition.includes("&&") ? "&&" : "||";
  const parts = condition.split(sign);
  if (condition.includes("(") || parts.length < 2 || (sign === "&&" && condition.includes("||"))) return [];
  return parts.flatMap((part, index) => {
    const pointer = part.trim().replace(/^!/, "");
    if (parts.slice(index + 1).some((later) => later.includes(`${pointer}->`))) return [];
    return [{ rule: "operand" as const, condition: parts.filter((_, other) => other !== index).join(sign).trim() }];
  });
}

/** The text with every comment, string and preprocessor line replaced by blanks of the same length. */
function blankOut(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|^[ \t]*#(?:\\\n|[^\n])*/gm, (found) => found.replace(/[^\n]/g, " "));
}

function closingBracket(file: string, code: string, open: number): number {
  for (let at = open, depth = 0; at < code.length; at++) {
    if (code[at] === "(") depth += 1;
    if (code[at] === ")" && --depth === 0) return at;
  }
  throw new SuiteError("INTERNAL", `${file}:${lineOf(code, open)} has a condition without its closing bracket`);
}

function applied(source: string, edits: readonly Edit[]): string {
  let text = source;
  for (const edit of [...edits].sort((a, b) => b.from - a.from)) text = text.slice(0, edit.from) + edit.text + text.slice(edit.to);
  return text;
}

/** A second copy of a condition must not add lines. */
function flat(condition: string): string {
  return condition.replace(/\s+/g, " ");
}

function lineOf(text: string, at: number): number {
  return text.slice(0, at).split("\n").length;
}
