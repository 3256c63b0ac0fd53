import type { Command as CommandType } from "commander";
import { Command } from "commander";
import { SuiteError } from "../../base/errors.ts";
import type { Verdict } from "../../record/verdict.ts";
import { renderReport } from "../../store/report.ts";
import { print, printJson } from "../output.ts";
import { isRemote, remoteSubject, type RemoteOptions } from "../stages/remote.ts";
import { wantedOf } from "../stages/selection.ts";
import { givenPlan, wholeRun, withWholeRun, type WholeRunOptions } from "../stages/whole-run.ts";

type Options = WholeRunOptions & Omit<RemoteOptions, "module"> & { readonly plan?: string; readonly json?: boolean };

/** The main job: plan, build, boot, run, record, judge. */
export const run = withWholeRun(new Command("run"))
  .description("build, boot, test, record and judge; ssh:user@host[:port] is a machine that is not ours to boot")
  .option("--identity <file>", "ssh: the private key; default: ~/.ssh/id_ed25519, then the ssh agent")
  .option("--host-key <file>", "ssh: the machine's public ed25519 host key; default: known_hosts")
  .option("--console <command>", "ssh: command of this host that streams the machine's console, for what it says when contact is lost")
  .option("--reboot <command>", "ssh: command of this host that reboots the machine when a test left it unfit")
  .option("--plan <file>", "a plan.json made before; it names targets and tests")
  .option("--json", "the verdict as one JSON document on stdout")
  .action(async (patterns: string[], options: Options, command: CommandType) => {
    const verdict = patterns.some(isRemote) ? await runRemote(patterns, options, command) : await runTargets(patterns, options);
    if (options.json === true) printJson(verdict);
    else print(renderReport(verdict));
    process.exitCode = verdict.exitCode;
  });

async function runTargets(patterns: readonly string[], options: Options): Promise<Verdict> {
  const given = options.plan === undefined ? undefined : await givenPlan(options.plan, patterns, options);
  return (await wholeRun(wantedOf(given?.targets ?? patterns, options), options, given)).verdict;
}

async function runRemote(patterns: readonly string[], options: Options, command: CommandType): Promise<Verdict> {
  const [pattern = "", ...others] = patterns;
  if (others.length > 0 || options.plan !== undefined) throw new SuiteError("USAGE", `${patterns.find(isRemote) ?? ""} goes alone: a run by ssh has one target and makes its own plan`);
  const { selection, generation, seed } = wantedOf([], { ...options, kernel: undefined, config: undefined } as unknown as Options);
  const module = command.getOptionValueSource("module") === "default" ? null : options.module;
  const { target, subject } = await remoteSubject(pattern, { ...options, module });
  return (await wholeRun({ targets: [target], kernels: new Map(), selection, generation, seed }, options, undefined, subject)).verdict;
}
