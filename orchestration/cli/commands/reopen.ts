import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { Limits } from "../../base/deadline.ts";
import { asSuiteError, SuiteError } from "../../base/errors.ts";
import { newRunId } from "../../base/ids.ts";
import { findRun } from "../../run/run-folder.ts";
import { keptMachineOf, openKept, readKeptTarget, sweepLeftovers, type Clone } from "../../vm/index.ts";
import { makeSocketDir } from "../../vm/socket-dir.ts";
import { onInterrupt } from "../interrupt.ts";
import { connectAgent } from "../stages/agent.ts";
import { findTestOfRun } from "../stages/find-test.ts";
import { sshTo } from "../stages/shell.ts";

/** The machine in which a test failed, as it was at that moment, with a shell in it. */
export const reopen = new Command("reopen")
  .description("a shell in the machine as it was when that test failed")
  .argument("<run>", "a run id, its end, or latest")
  .argument("<test>", "a test's id or a part of it; of several, the one that did not pass")
  .option("--target <id>", "where the run has several targets")
  .option("--fresh", "instead: a new machine of the same frozen guest, as the test got it")
  .option("-c, --command <text>", "run this in the guest instead, and end with its status")
  .action(async (run: string, text: string, options: { target?: string; fresh?: boolean; command?: string }) => {
    const folder = await findRun(run);
    const found = await findTestOfRun(folder, text, options.target);
    const target = await readKeptTarget(folder.dir, found.target, found.cpus);
    const kept = options.fresh === true ? null : await keptMachineOf(folder.dir, found.target, found.test);
    const say = (line: string): void => void process.stderr.write(`${line}\n`);
    say(`test      ${found.test}`);
    say(`target    ${found.target}, template ${target.template}`);
    say(`outcome   ${found.summary}`);
    say(`spec      conformance/tests/${found.file}`);
    if (found.evidence !== null) say(`evidence  ${found.evidence}`);
    say(`machine   ${kept === null ? `a new one, as the test got it: ${options.fresh === true ? "asked for by --fresh" : whyFresh(found.outcome.kind)}` : `as it was at ${kept.at}, when the test had failed; the test's processes are still in it`}`);
    say("what you write in it is thrown away when you leave");

    const runId = newRunId();
    const scratch = await mkdtemp(join(tmpdir(), "buslab-reopen-"));
    const limits = new Limits(target.slowdown);
    const { signal } = onInterrupt();
    try {
      const socketDir = await makeSocketDir(runId);
      const clone = await openKept(target, kept?.dir ?? null, { name: `buslab-${runId}-reopen`, dir: join(scratch, "machine"), scratch, socketDir, limits, connectAgent, keepPeers: true, signal }).catch((error: unknown): Clone => {
        throw kept === null ? error : silent(asSuiteError(error));
      });
      await using machine = clone.machine;
      await using session = await sshTo(machine, { built: { image: { hostKeyPub: target.hostKey } }, accel: target, runId });
      if (options.command === undefined) {
        process.exitCode = await session.shell();
      } else {
        const result = await session.exec(options.command, { deadlineMs: 3_600_000 });
        process.stdout.write(result.stdout);
        process.stderr.write(result.stderr);
        process.exitCode = result.exitCode ?? 128;
      }
    } finally {
      await sweepLeftovers(runId);
      await rm(scratch, { recursive: true, force: true });
    }
  });

/** Why there is no saved machine. */
function whyFresh(outcome: string): string {
  switch (outcome) {
    case "passed":
    case "unsupported":
    case "not-run":
      return `the test is ${outcome}, and only machines of failed tests are kept`;
    case "crashed":
      return "its kernel died, or complained in a test whose assertions held; the evidence has the console";
    default:
      return "only the first machines of a run are kept (--keep-machines), and none whose QEMU had ended";
  }
}

/** The kernel that hung when it was kept hangs still. */
function silent(error: SuiteError): SuiteError {
  if (error.code !== "GUEST_TIMEOUT" && error.code !== "GUEST_LOST") return error;
  return new SuiteError(error.code, `the kept machine was brought back, but its guest does not answer, as it did not when the test ended: ${error.message}; hang.txt of the evidence has its tasks, and --fresh gives a new machine`, { cause: error });
}
