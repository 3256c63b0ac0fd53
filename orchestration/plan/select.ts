import { createHash } from "node:crypto";
import { SuiteError } from "../base/errors.ts";
import { areaOfTest } from "./test-id.ts";

export interface Shard {
  /** 1-based. */
  readonly index: number;
  readonly count: number;
}

export interface Selection {
  readonly grep: string | null;
  readonly areas: readonly string[];
  readonly requirements: readonly string[];
  readonly shard: Shard | null;
}

export const EVERYTHING: Selection = { grep: null, areas: [], requirements: [], shard: null };

interface Selectable {
  readonly id: string;
  readonly requirements: readonly string[];
  readonly canary: string | null;
}

/** Reads `i/n`. @throws USAGE when it is not that, or i is not within 1..n */
export function parseShard(text: string): Shard {
  const match = /^(\d{1,5})\/(\d{1,5})$/.exec(text);
  const index = Number(match?.[1] ?? 0);
  const count = Number(match?.[2] ?? 0);
  if (match === null || index < 1 || index > count) throw new SuiteError("USAGE", `--shard "${text}" is not of the form i/n with 1 <= i <= n, for example 2/3`);
  return { index, count };
}

/** True when nothing narrows the suite. */
export function selectsAll(selection: Selection): boolean {
  return selection.grep === null && selection.areas.length === 0 && selection.requirements.length === 0 && selection.shard === null;
}

/**
 * The tests that a selection names; canaries stay in whatever is asked. The pattern is looked for in the id, the title and the ids of the
 * requirements covered. A test's shard depends on its id alone, so adding a test moves no other.
 * @throws SELECTION_EMPTY when no ordinary test is left; USAGE for a pattern that is no regular expression
 */
export function select<T extends Selectable>(tests: readonly T[], selection: Selection): T[] {
  const pattern = selection.grep === null ? null : compile(selection.grep);
  const chosen = tests.filter(
    (test) =>
      test.canary !== null ||
      ((pattern === null || pattern.test(`${test.id} ${test.requirements.join(" ")}`)) &&
        (selection.areas.length === 0 || selection.areas.some((area) => inArea(test, area))) &&
        (selection.requirements.length === 0 || test.requirements.some((id) => selection.requirements.includes(id))) &&
        (selection.shard === null || shardOf(test.id, selection.shard.count) === selection.shard.index)),
  );
  if (!chosen.some((test) => test.canary === null)) throw new SuiteError("SELECTION_EMPTY", `no test of ${tests.length} fits ${describeSelection(selection)}`);
  return chosen;
}

/** Shard of a test, 1-based, by a digest of its id. */
export function shardOf(id: string, count: number): number {
  return (createHash("sha256").update(id).digest().readUInt32BE(0) % count) + 1;
}

export function describeSelection(selection: Selection): string {
  const parts = [
    ...(selection.grep === null ? [] : [`--grep ${selection.grep}`]),
    ...selection.areas.map((area) => `--area ${area}`),
    ...selection.requirements.map((id) => `--requirement ${id}`),
    ...(selection.shard === null ? [] : [`--shard ${selection.shard.index}/${selection.shard.count}`]),
  ];
  return parts.length === 0 ? "the whole suite" : parts.join(" ");
}

function compile(source: string): RegExp {
  try {
    return new RegExp(source, "i");
  } catch (error) {
    throw new SuiteError("USAGE", `--grep "${source}" is no regular expression: ${(error as Error).message}`, { cause: error });
  }
}

function inArea(test: Selectable, area: string): boolean {
  return areaOfTest(test.id) === area.toLowerCase();
}
