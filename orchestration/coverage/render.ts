import type { CoverageDocument } from "./document.ts";

/** The document for people: files, areas, then what no test ran. */
export function renderCoverage(document: CoverageDocument): string {
  const { total, tests } = document;
  const row = (name: string, lines: number, covered: number, percent: number): string => `  ${name.padEnd(24)} ${String(lines).padStart(6)} ${String(covered).padStart(8)} ${percent.toFixed(2).padStart(8)} %`;
  const out = [
    `Lines of ${document.module} run by the suite on ${document.target}`,
    `  ${tests.counted} tests counted${tests.missing.length === 0 ? "" : `, ${tests.missing.length} without counters`}`,
    "",
    `  ${"file".padEnd(24)} ${"lines".padStart(6)} ${"covered".padStart(8)}`,
    ...document.files.map((file) => row(file.file, file.lines, file.covered, file.percent)),
    row("total", total.lines, total.covered, total.percent),
    "",
    `  ${"area".padEnd(24)} ${"tests".padStart(6)} ${"covered".padStart(8)} ${"".padStart(8)}   reached by no other`,
    ...document.areas.map((area) => `${row(area.area, area.tests, area.covered, area.percent)} ${String(area.alone).padStart(6)}`),
  ];
  const open = document.files.flatMap((file) => file.uncovered.map((each) => ({ file: file.file, ...each })));
  if (open.length > 0) out.push("", `Not run: ${total.lines - total.covered} lines, ${document.unexplained} of them without a reason`);
  for (const { file, from, to, function: name, reason } of open) out.push(`  ${file}:${from === to ? from : `${from}-${to}`} ${name}: ${reason ?? "no reason given"}`);
  for (const stale of document.staleReasons) out.push(`  out of date: the reason "${stale.reason}" fits no line of ${stale.file}${stale.function === undefined ? "" : `, ${stale.function}`} that was not run`);
  if (tests.missing.length > 0) out.push("", "Without counters (not run, or the machine was gone at the end):", ...tests.missing.map((id) => `  ${id}`));
  return out.join("\n");
}
