import { Command } from "commander";
import { run as runTests } from "node:test";
import { spec } from "node:test/reporters";
import { globSync } from "node:fs";
import { join, resolve } from "node:path";
import { spawnTied } from "../../base/exec.ts";
import { asSuiteError, SuiteError } from "../../base/errors.ts";
import { EXIT } from "../../base/exit-codes.ts";
import { homeDir, ROOT } from "../../base/paths.ts";
import { type Feature, installPackages, missingPackages } from "../../../vm-images/host-packages.ts";
import { print } from "../output.ts";
import { ConsoleProgress } from "../progress.ts";
import { buildAll, REFERENCE_MODULE } from "../stages/build.ts";
import { targetsOf } from "../stages/selection.ts";

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const SOURCES = ["orchestration", "conformance", "vm-images", "fixtures", "ci"];

/** The project's own tests: the mechanical checks, then every `*.test.ts`. */
export const test = new Command("test")
  .description("the project's own tests (also `npm test`)")
  .option("--grep <regexp>", "only tests whose name matches")
  .option("--no-checks", "leave out the mechanical checks of `npm run check`")
  .option("--no-machines", "leave out the tests that run whole runs on machines")
  .argument("[files...]", "test files; default: all")
  .action(async (files: string[], options: { grep?: string; checks: boolean; machines: boolean }) => {
    const missing = await missingPackages(["build", "image", "vm", "store"]);
    if (missing.length > 0) await installPackages(missing);
    await installOnRequest();
    const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
    if (options.checks && files.length === 0) await checks(counts);
    const chosen = files.map((file) => resolve(file));
    const all = SOURCES.flatMap((folder) => globSync(`${folder}/**/*.test.ts`, { cwd: ROOT }).map((file) => join(ROOT, file)));
    const onMachines = (file: string): boolean => file.endsWith(".e2e.test.ts");
    const units = files.length > 0 ? chosen.filter((file) => !onMachines(file)) : all.filter((file) => !onMachines(file));
    const proofs = files.length > 0 ? chosen.filter(onMachines) : options.machines ? all.filter(onMachines) : [];
    if (units.length + proofs.length === 0) throw new SuiteError("SELECTION_EMPTY", "no test file was found");
    if (units.length > 0) await nodeTests(counts, units, 2, options.grep);
    if (proofs.length > 0) {
      await buildDefault();
      await nodeTests(counts, proofs, 1, options.grep);
    }
    print(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
    process.exitCode = counts.failed === 0 && counts.passed > 0 ? EXIT.conformant : EXIT.violated;
  });

/** What some tests need beside the rest, and what asks for its installation when it is 1. */
const ON_REQUEST: readonly { readonly feature: Feature; readonly variable: string; readonly what: string }[] = [
  { feature: "browser", variable: "BUSLAB_TEST_BROWSER", what: "no browser for the tests of the dashboard" },
  { feature: "sshd", variable: "BUSLAB_TEST_SSHD", what: "no ssh server for the tests of the ssh client" },
];

/** A host without them tests everything else; the tests that need one then say by name that they were skipped. */
async function installOnRequest(): Promise<void> {
  for (const { feature, variable, what } of ON_REQUEST) {
    if (process.env[variable] !== "1") continue;
    const missing = await missingPackages([feature]);
    if (missing.length > 0) await installPackages(missing).catch((error: unknown) => print(`${what}: ${asSuiteError(error).message}`));
  }
}

async function checks(counts: Counts): Promise<void> {
  const child = spawnTied([process.execPath, join(ROOT, "ci/checks/main.ts")], { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    output += chunk.toString();
    process.stdout.write(chunk);
  });
  await new Promise((resolve) => child.once("close", resolve));
  const closing = /^checks: (\d+) passed, (\d+) failed$/m.exec(output);
  if (closing === null) {
    counts.failed += 1;
    return;
  }
  counts.passed += Number(closing[1]);
  counts.failed += Number(closing[2]);
}

/** What the tests on machines run, built once in sight of the user and not inside of a test's time limit. */
async function buildDefault(): Promise<void> {
  const progress = new ConsoleProgress();
  try {
    for (const built of (await buildAll({ ...targetsOf([], undefined), moduleDir: REFERENCE_MODULE, dir: join(homeDir(), "builds"), progress })).values()) if (built instanceof SuiteError) throw built;
  } finally {
    progress.close();
  }
}

async function nodeTests(counts: Counts, files: readonly string[], concurrency: number, grep: string | undefined): Promise<void> {
  const stream = runTests({ files: [...files], concurrency, ...(grep === undefined ? {} : { testNamePatterns: [new RegExp(grep)] }) });
  stream.on("test:pass", (event) => count(event, "passed"));
  stream.on("test:fail", (event) => count(event, "failed"));
  const shown = stream.compose(new spec()) as unknown as AsyncIterable<Buffer | string>;
  for await (const chunk of shown) process.stdout.write(chunk);

  function count(event: { details: { type?: string | undefined }; skip?: string | boolean; todo?: string | boolean; nesting: number; name: string; file?: string | undefined }, kind: "passed" | "failed"): void {
    if (event.details.type === "suite") return;
    if (event.skip !== undefined || event.todo !== undefined) counts.skipped += 1;
    else counts[kind] += 1;
  }
}
