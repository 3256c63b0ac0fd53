import { countAreas } from "../plan/areas.ts";
import type { Counts, TargetVerdict } from "../record/verdict.ts";

/**
 * Targets x areas, each cell passed of planned. `!` speaks against the subject, `?` means that something was not learnt;
 * what a target cannot show counts as planned and not as passed. Wide tables go on below.
 */
export function renderAreas(targets: readonly Pick<TargetVerdict, "id" | "verdict" | "tests">[], width: number): string[] {
  const rows = targets.map((target) => ({ ...target, areas: countAreas(target.tests) }));
  const areas = [...new Set(rows.flatMap((row) => Object.keys(row.areas)))].sort();
  const idWidth = Math.max("target".length, ...rows.map((row) => row.id.length));
  const verdictWidth = Math.max(...rows.map((row) => row.verdict.length));
  const cellWidth = 2 + Math.max(...areas.map((area) => area.length), ...rows.flatMap((row) => Object.values(row.areas).map((counts) => cell(counts).length)));
  const columns = Math.max(1, Math.floor((width - idWidth - verdictWidth - 3) / cellWidth));
  const lines: string[] = [];
  for (let at = 0; at < areas.length; at += columns) {
    const shown = areas.slice(at, at + columns);
    lines.push(...(at === 0 ? [] : [""]), `${"target".padEnd(idWidth)}  ${"".padEnd(verdictWidth)} ${shown.map((area) => area.padStart(cellWidth)).join("")}`);
    for (const row of rows) lines.push(`${row.id.padEnd(idWidth)}  ${row.verdict.padEnd(verdictWidth)} ${shown.map((area) => cell(row.areas[area]).padStart(cellWidth)).join("")}`);
  }
  return lines;
}

function cell(counts: Counts | undefined): string {
  if (counts === undefined) return "-";
  const bad = counts.failed + counts.crashed + counts.timedOut > counts.waived;
  const blank = counts.infraError + counts.notRun > 0;
  return `${counts.passed}/${counts.planned}${bad ? "!" : ""}${blank ? "?" : ""}`;
}
