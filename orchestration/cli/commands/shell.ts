import { resolve } from "node:path";
import { Command } from "commander";
import { SuiteError } from "../../base/errors.ts";
import { REFERENCE_MODULE } from "../stages/build.ts";
import { onOneTarget } from "../stages/one-target.ts";
import { sshTo } from "../stages/shell.ts";

/** A shell in a fresh machine of a target, by ssh with a key of its own; with a command, that command's output and status. */
export const shell = new Command("shell")
  .description("a shell in a fresh machine of the target")
  .argument("[target]", "a target id or pattern that names one target")
  .option("-c, --command <text>", "run this in the guest instead, and end with its status")
  .option("--kernel <spec>", "a kernel of buslab.config.ts, or the folder of a Linux source tree")
  .option("--module <dir>", "folder of the bus module", REFERENCE_MODULE)
  .option("--put <local:remote>", "copy a file into the guest first", (value: string, all: string[] = []) => [...all, value])
  .option("--get <remote:local>", "copy a file out of the guest at the end", (value: string, all: string[] = []) => [...all, value])
  .action(async (pattern: string | undefined, options: { command?: string; kernel?: string; module: string; put?: string[]; get?: string[] }) => {
    await onOneTarget(pattern, options, async ({ built, template, accel, runId, dir, progress, signal }) => {
      const { machine } = await template.clone({ name: `buslab-${runId}-shell`, dir, signal });
      await using _machine = machine;
      await using session = await sshTo(machine, { built, accel, runId });
      progress.close();
      for (const [local, remote] of (options.put ?? []).map(pair)) await session.put(resolve(local), remote);
      if (options.command === undefined) {
        process.exitCode = await session.shell();
      } else {
        const result = await session.exec(options.command, { deadlineMs: 3_600_000 });
        process.stdout.write(result.stdout);
        process.stderr.write(result.stderr);
        process.exitCode = result.exitCode ?? 128;
      }
      for (const [remote, local] of (options.get ?? []).map(pair)) await session.get(remote, resolve(local));
    });
  });

function pair(text: string): [string, string] {
  const colon = text.indexOf(":");
  if (colon < 1) throw new SuiteError("USAGE", `"${text}" is not of the form from:to`);
  return [text.slice(0, colon), text.slice(colon + 1)];
}
