import { Command } from "commander";
import { REQUIREMENTS, requirement, type CataloguedRequirement } from "../../../conformance/catalogue/index.ts";
import { discover } from "../../plan/discover.ts";
import { print, printJson } from "../output.ts";

/** The catalogue, and which tests hold which requirement. */
export const requirements = new Command("requirements")
  .description("every requirement, with the tests that hold it")
  .argument("[ids...]", "only these")
  .option("--coverage", "numbers, and the ids without a test")
  .option("--json", "one JSON document")
  .action(async (ids: string[], options: { coverage?: boolean; json?: boolean }) => {
    const chosen = ids.length === 0 ? REQUIREMENTS : ids.map(requirement);
    const { tests } = await discover();
    const byRequirement = new Map<string, string[]>();
    for (const test of tests) for (const id of test.requirements) byRequirement.set(id, [...(byRequirement.get(id) ?? []), test.id]);
    if (options.coverage === true) return coverage(chosen, byRequirement, tests.filter((test) => test.canary === null).length, options.json === true);
    if (options.json === true) {
      printJson({ schema: "buslab.requirements/1", requirements: chosen.map((row) => ({ ...row, tests: byRequirement.get(row.id) ?? [] })) });
      return;
    }
    for (const row of chosen) {
      const only = row.generations === undefined ? "" : ` [${row.generations.join(", ")}]`;
      print(`${row.id} ${row.level}${only}: ${row.text}`);
      if (ids.length > 0) print(`  source: ${row.source}\n  verify: ${row.verify}`);
      for (const test of byRequirement.get(row.id) ?? []) print(`  tested by ${test}`);
    }
  });

function coverage(chosen: readonly CataloguedRequirement[], byRequirement: ReadonlyMap<string, readonly string[]>, tests: number, json: boolean): void {
  const covered = (row: CataloguedRequirement): boolean => byRequirement.has(row.id);
  const must = chosen.filter((row) => row.level === "must");
  const should = chosen.filter((row) => row.level !== "must");
  const untestable = must.filter((row) => row.untestable !== undefined);
  const uncovered = chosen.filter((row) => !covered(row) && row.untestable === undefined);
  const document = {
    schema: "buslab.coverage/1",
    must: { total: must.length, covered: must.filter(covered).length, untestable: untestable.length },
    should: { total: should.length, covered: should.filter(covered).length },
    tests,
    uncovered: uncovered.map((row) => row.id),
  };
  if (json) {
    printJson(document);
    return;
  }
  print(`must: ${document.must.covered} of ${document.must.total} have a test, ${document.must.untestable} cannot be tested from user space`);
  print(`should and may: ${document.should.covered} of ${document.should.total} have a test`);
  print(`${tests} tests`);
  print("with a test:");
  for (const row of chosen.filter(covered)) print(`  ${row.id} ${row.level}: ${(byRequirement.get(row.id) ?? []).length}`);
  print("without a test:");
  for (const row of uncovered) print(`  ${row.id} ${row.level}: ${row.text}`);
}
