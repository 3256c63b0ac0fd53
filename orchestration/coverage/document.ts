import type { LineCounts } from "./lines.ts";
import { reasonFor, type Reason } from "./reasons.ts";

/** Lines that no test ran, one after the other, of one function and with one reason. */
export interface Uncovered {
  readonly from: number;
  readonly to: number;
  readonly function: string;
  /** Lines with code in it. */
  readonly lines: number;
  /** From the module's coverage-reasons.json; null when nobody gave one. */
  readonly reason: string | null;
}

interface Share {
  readonly lines: number;
  readonly covered: number;
  readonly percent: number;
}

export interface FileCoverage extends Share {
  readonly file: string;
  readonly uncovered: readonly Uncovered[];
}

export interface AreaCoverage extends Share {
  readonly area: string;
  /** Tests of the area whose counters were read. */
  readonly tests: number;
  /** Lines that no other area reaches. */
  readonly alone: number;
  /** Lines that its tests run, as `12-15,20` by file. */
  readonly reached: Readonly<Record<string, string>>;
}

/** What `coverage --json` ends with. */
export interface CoverageDocument {
  readonly schema: "buslab.coverage-lines/1";
  readonly target: string;
  readonly module: string;
  readonly run: string;
  readonly tests: { readonly counted: number; /** Planned tests whose counters are missing: their machine died, or they were not run. */ readonly missing: readonly string[] };
  readonly total: Share;
  readonly files: readonly FileCoverage[];
  readonly areas: readonly AreaCoverage[];
  readonly unexplained: number;
  /** Rows of the reasons table that fit no line without a run: out of date. */
  readonly staleReasons: readonly Reason[];
}

export interface DocumentInput {
  readonly target: string;
  readonly module: string;
  readonly run: string;
  readonly tests: readonly string[];
  readonly missing: readonly string[];
  readonly testsOf: (area: string) => number;
  /** Counts of each area, `loading` among them. Files begin with the module's name. */
  readonly areas: ReadonlyMap<string, LineCounts>;
  /** Lines of a source file, by path below the module's folder. */
  readonly sourceOf: (file: string) => readonly string[];
  readonly reasons: readonly Reason[];
}

/** Makes the document. Pure. Lines of headers outside of the module's folder are not the module's and are left out. */
export function coverageDocument(input: DocumentInput): CoverageDocument {
  const prefix = `${input.module}/`;
  const places = new Map<string, Map<number, { function: string; areas: Set<string> }>>();
  for (const [area, files] of input.areas) {
    for (const [path, lines] of files) {
      if (!path.startsWith(prefix)) continue;
      const file = path.slice(prefix.length);
      const known = places.get(file) ?? new Map<number, { function: string; areas: Set<string> }>();
      for (const [number, line] of lines) {
        const place = known.get(number) ?? { function: line.function, areas: new Set<string>() };
        if (line.count > 0) place.areas.add(area);
        known.set(number, place);
      }
      places.set(file, known);
    }
  }

  const used = new Set<Reason>();
  const files = [...places].sort(([a], [b]) => (a < b ? -1 : 1)).map(([file, lines]): FileCoverage => {
    const source = input.sourceOf(file);
    const open = [...lines].filter(([, place]) => place.areas.size === 0).sort(([a], [b]) => a - b);
    const rows = open.map(([number, place]) => {
      const reason = reasonFor(input.reasons, { file, function: place.function, text: source[number - 1] ?? "" });
      if (reason !== undefined) used.add(reason);
      return { number, function: place.function, reason: reason?.reason ?? null };
    });
    return { file, ...share(lines.size, lines.size - open.length), uncovered: runs(rows, lines) };
  });
  const areas = [...input.areas.keys()].sort().map((area): AreaCoverage => {
    let [covered, alone] = [0, 0];
    const reached: Record<string, string> = {};
    for (const [file, lines] of [...places].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const own = [...lines].filter(([, place]) => place.areas.has(area));
      covered += own.length;
      alone += own.filter(([, place]) => place.areas.size === 1).length;
      if (own.length > 0) reached[file] = ranges(own.map(([number]) => number));
    }
    return { area, tests: input.testsOf(area), ...share(sum(files, "lines"), covered), alone, reached };
  });
  return {
    schema: "buslab.coverage-lines/1",
    target: input.target,
    module: input.module,
    run: input.run,
    tests: { counted: input.tests.length, missing: input.missing },
    total: share(sum(files, "lines"), sum(files, "covered")),
    files,
    areas,
    unexplained: files.flatMap((file) => file.uncovered).reduce((count, row) => count + (row.reason === null ? row.lines : 0), 0),
    staleReasons: input.reasons.filter((row) => !used.has(row)),
  };
}

/** Rows that follow each other among the lines with code become one. */
function runs(rows: readonly { readonly number: number; readonly function: string; readonly reason: string | null }[], lines: ReadonlyMap<number, unknown>): Uncovered[] {
  const numbers = [...lines.keys()].sort((a, b) => a - b);
  const found: Uncovered[] = [];
  for (const row of rows) {
    const last = found.at(-1);
    const before = numbers[numbers.indexOf(row.number) - 1];
    if (last !== undefined && last.to === before && last.function === row.function && last.reason === row.reason) found[found.length - 1] = { ...last, to: row.number, lines: last.lines + 1 };
    else found.push({ from: row.number, to: row.number, function: row.function, lines: 1, reason: row.reason });
  }
  return found;
}

function ranges(numbers: readonly number[]): string {
  const parts: [number, number][] = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const last = parts.at(-1);
    if (last?.[1] === number - 1) last[1] = number;
    else parts.push([number, number]);
  }
  return parts.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(",");
}

function share(lines: number, covered: number): Share {
  return { lines, covered, percent: lines === 0 ? 0 : Math.floor((covered / lines) * 10_000) / 100 };
}

function sum(files: readonly Share[], key: "lines" | "covered"): number {
  return files.reduce((total, file) => total + file[key], 0);
}
