import { bystanderFigure, describeBytes, describeLoop, leastAgreed, MEASURES, SUBJECT, type Cell, type Measure } from "./transport-figures.ts";
import type { AbsentLine, Loop } from "./transport-lines.ts";

/** For people: a table for each kind of loop and measure, transports downwards, sizes or receivers across. */
export function renderTransports(cells: readonly Cell[], absent: readonly AbsentLine[]): string {
  const parts: string[] = [];
  for (const what of ["round trip", "one way", "multicast"] as const) {
    for (const measure of Object.keys(MEASURES) as Measure[]) {
      const chosen = cells.filter((cell) => cell.loop.what === what && cell.measure === measure);
      if (chosen.length > 0) parts.push(table(`${what}, ${MEASURES[measure].title} (${MEASURES[measure].unit})`, chosen));
    }
  }
  const bystander = bystanderFigure(cells);
  if (bystander !== undefined) parts.push(`a receiver that does not match costs the sender ${bystander.value} ns, ${percent(bystander.ratio ?? 0)} of one that does`);
  const least = leastAgreed(cells);
  if (least !== undefined) parts.push(`two boots differ most by ${percent(least.apart ?? 0)} of counted time: ${describeLoop(least.loop)}, ${least.loop.transport}`);
  if (absent.length > 0) parts.push(["not measured", ...absent.map((line) => `  ${line.what} of ${describeBytes(line.bytes)}, ${line.transport}: ${line.because}`)].join("\n"));
  parts.push(`In brackets: times the cost of ${SUBJECT}. "~": two boots did not agree to the last digit, or a clock was read.`);
  return parts.join("\n\n");
}

function table(title: string, cells: readonly Cell[]): string {
  const columns = [...new Set(cells.map(({ loop }) => column(loop)))];
  const rows = [...new Set(cells.map(({ loop }) => loop.transport))];
  const body = rows.map((transport) => [transport, ...columns.map((name) => text(cells.find(({ loop }) => loop.transport === transport && column(loop) === name)))]);
  const lines = [["", ...columns], ...body];
  const widths = lines[0]?.map((_, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0))) ?? [];
  return [title, ...lines.map((line) => `  ${line.map((word, index) => (index === 0 ? word.padEnd(widths[0] ?? 0) : word.padStart(widths[index] ?? 0))).join("  ")}`.trimEnd())].join("\n");
}

function column({ bytes, receivers, matching }: Loop): string {
  return receivers === undefined ? describeBytes(bytes) : `${matching ?? 0} of ${receivers}`;
}

function text(cell: Cell | undefined): string {
  if (cell === undefined) return "-";
  const ratio = cell.ratio === undefined ? "" : ` (${digits(cell.ratio)})`;
  return `${cell.exact ? "" : "~"}${cell.value >= 100 ? Math.round(cell.value) : digits(cell.value)}${ratio}`;
}

function digits(value: number): string {
  return String(Number(value.toPrecision(3)));
}

function percent(share: number): string {
  return `${digits(share * 100)} %`;
}
