import { Command } from "commander";
import { GENERATIONS, holdsFor, REQUIREMENTS, requirement, type CataloguedRequirement, type Generation } from "../../../conformance/catalogue/index.ts";
import { discover } from "../../plan/discover.ts";
import type { ListedTest } from "../../plan/list-reporter.ts";
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
    if (options.coverage === true) return coverage(chosen, byRequirement, tests.filter((test) => test.canary === null), options.json === true);
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

function coverage(chosen: readonly CataloguedRequirement[], byRequirement: ReadonlyMap<string, readonly string[]>, tests: readonly ListedTest[], json: boolean): void {
  const covered = (row: CataloguedRequirement): boolean => byRequirement.has(row.id);
  const must = chosen.filter((row) => row.level === "must");
  const should = chosen.filter((row) => row.level !== "must");
  const untestable = must.filter((row) => row.untestable !== undefined);
  const uncovered = chosen.filter((row) => !covered(row) && row.untestable === undefined);
  const document = {
    schema: "buslab.coverage/1",
    must: { total: must.length, covered: must.filter(covered).length, untestable: untestable.length },
    should: { total: should.length, covered: should.filter(covered).length },
    tests: tests.length,
    generations: Object.fromEntries(GENERATIONS.map((generation) => [generation, musts(chosen, tests, generation)])),
    uncovered: uncovered.map((row) => row.id),
  };
  if (json) {
    printJson(document);
    return;
  }
  print(`must: ${document.must.covered} of ${document.must.total} have a test, ${document.must.untestable} cannot be tested from user space`);
  print(`should and may: ${document.should.covered} of ${document.should.total} have a test`);
  for (const [generation, { total, covered: tested, untestable: marked, uncovered: bare }] of Object.entries(document.generations)) {
    print(`must in generation ${generation}: ${tested} of ${total} have a test that runs there, ${marked} are marked as untestable, ${bare.length} have neither${bare.length === 0 ? "" : `: ${bare.join(", ")}`}`);
  }
  for (const row of untestable) print(`cannot be tested: ${row.id}: ${row.untestable ?? ""}`);
  print(`${tests.length} tests`);
  print("with a test:");
  for (const row of chosen.filter(covered)) print(`  ${row.id} ${row.level}: ${(byRequirement.get(row.id) ?? []).length}`);
  print("without a test:");
  for (const row of uncovered) print(`  ${row.id} ${row.level}: ${row.text}`);
}

/** The musts of one generation by whether a test that runs on such a subject holds them. */
function musts(chosen: readonly CataloguedRequirement[], tests: readonly ListedTest[], generation: Generation): { readonly total: number; readonly covered: number; readonly untestable: number; readonly uncovered: readonly string[] } {
  const tested = new Set<string>(tests.filter((test) => runsFor(test, generation)).flatMap((test) => test.requirements));
  const must = chosen.filter((row) => row.level === "must" && holdsFor(row, generation));
  const bare = must.filter((row) => !tested.has(row.id));
  return { total: must.length, covered: must.length - bare.length, untestable: bare.filter((row) => row.untestable !== undefined).length, uncovered: bare.filter((row) => row.untestable === undefined).map((row) => row.id) };
}

function runsFor(test: ListedTest, generation: Generation): boolean {
  return test.generations.length === 0 || test.generations.includes(generation);
}
