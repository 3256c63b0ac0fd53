import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { EXIT } from "../../orchestration/base/exit-codes.ts";
import { readJson } from "../../orchestration/base/json-file.ts";
import { ROOT } from "../../orchestration/base/paths.ts";

/**
 * Compares the violated requirements of a run with the recorded list, both ways: a new violation and a vanished one are
 * both failures, because either the subject or the suite changed without anybody saying so.
 *
 * Usage: node ci/checks/expected-violations.ts RUN.json EXIT_CODE
 */
const expectedSchema = z.record(z.string(), z.array(z.string()));
const runSchema = z.object({
  verdict: z.enum(["conformant", "violated", "undecided"]),
  exitCode: z.int(),
  targets: z.array(z.object({ id: z.string(), violated: z.array(z.string()), counts: z.record(z.string(), z.int()) })),
  reasons: z.array(z.string()).optional(),
});

const [file, codeText] = process.argv.slice(2);
const problems: string[] = [];
const text = file === undefined ? "" : await readFile(file, "utf8").catch(() => "");
const parsed = runSchema.safeParse(safeJson(text));
if (!parsed.success) {
  problems.push(`the run printed no document of buslab.run/1 (exit code ${codeText ?? "?"}): ${text.slice(0, 300)}`);
} else {
  const run = parsed.data;
  const expected = await readJson(join(ROOT, "ci/expected/violated.json"), expectedSchema);
  if (String(run.exitCode) !== codeText) problems.push(`the document says exit code ${run.exitCode}, the process ended with ${codeText ?? "?"}`);
  if (run.verdict === "undecided") problems.push(`the run is undecided: ${(run.reasons ?? []).join("; ")}`);
  for (const target of run.targets) {
    const want = new Set(expected[target.id] ?? []);
    const have = new Set(target.violated);
    for (const id of [...have].filter((id) => !want.has(id))) problems.push(`${target.id}: ${id} is violated and was not before`);
    for (const id of [...want].filter((id) => !have.has(id))) problems.push(`${target.id}: ${id} is no longer violated; take it out of ci/expected/violated.json`);
    const c = target.counts;
    console.log(`suite: ${target.id}: ${c["planned"] ?? 0} planned, ${c["passed"] ?? 0} passed, ${c["failed"] ?? 0} failed, ${c["crashed"] ?? 0} crashed, ${c["timedOut"] ?? 0} timed out, ${c["unsupported"] ?? 0} unsupported, ${c["infraError"] ?? 0} infra-error, ${c["notRun"] ?? 0} not run`);
  }
  if (run.targets.length === 0) problems.push("the run had no target");
}
for (const problem of problems) console.log(problem);
process.exitCode = problems.length === 0 ? EXIT.conformant : EXIT.violated;

function safeJson(source: string): unknown {
  try {
    return JSON.parse(source);
  } catch {
    return undefined;
  }
}
