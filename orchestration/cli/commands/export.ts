import { appendFile, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { SuiteError } from "../../base/errors.ts";
import { exportRun, FORMATS, makeSigningKey, readExportInput, readSigningKey, toGithubSummary, type Format } from "../../export/index.ts";
import { runFolder } from "./judge.ts";

interface Options {
  readonly format: Format;
  readonly out?: string;
  readonly key?: string;
  readonly newKey?: boolean;
  readonly origin?: string;
  readonly attachments?: string;
}

/** A run in the words of another tool, made of its records and verdict. Judges nothing: the exit code tells only whether it was written. */
export const exportCommand = new Command("export")
  .description("a run as JUnit, KTAP, KCIDB, CTRF, signed in-toto, or GitHub annotations and step summary")
  .argument("<run>", "a run id, its last part, latest, or the folder of a run")
  .addOption(new Option("--format <name>", "what to write").choices([...FORMATS]).makeOptionMandatory())
  .option("--out <file>", "write there; default: stdout")
  .option("--key <file>", "in-toto: Ed25519 private key in PEM")
  .option("--new-key", "in-toto: make the file of --key first, and its .pub beside it")
  .option("--origin <name>", "kcidb: who submits", "buslab")
  .option("--attachments <folder>", "junit: name evidence files for GitLab, by their path from this folder (the project's)")
  .action(async (run: string, options: Options) => {
    if (options.newKey === true && options.key === undefined) throw new SuiteError("USAGE", "--new-key makes the file that --key names; give both");
    const input = await readExportInput(await runFolder(run));
    if (options.newKey === true) await makeSigningKey(resolve(options.key ?? ""));
    const text = exportRun(options.format, input, {
      ...(options.key === undefined ? {} : { key: await readSigningKey(resolve(options.key)) }),
      ...(options.origin === undefined ? {} : { origin: options.origin }),
      ...(options.attachments === undefined ? {} : { attachmentsFrom: resolve(options.attachments) }),
    });
    if (options.format === "github") await stepSummary(toGithubSummary(input));
    if (options.out === undefined) process.stdout.write(text);
    else await writeFile(resolve(options.out), text);
  });

/** Outside of a workflow there is nowhere to write it to. */
async function stepSummary(text: string): Promise<void> {
  const path = process.env["GITHUB_STEP_SUMMARY"];
  if (path !== undefined && path !== "") await appendFile(path, text);
}
