import { Command } from "commander";
import { pushRun } from "../../api/push.ts";
import { SuiteError } from "../../base/errors.ts";
import { EXIT } from "../../base/exit-codes.ts";
import { onInterrupt } from "../interrupt.ts";
import { print, printJson } from "../output.ts";
import { ConsoleProgress } from "../progress.ts";
import { runFolder } from "./judge.ts";

/** A finished run, sent to a results centre. */
export const push = new Command("push")
  .description("send a finished run to a results centre; again with the same command where it was cut off")
  .argument("<run>", "a run id, its last part, latest, or the folder of a run")
  .requiredOption("--to <url>", "the centre, e.g. http://127.0.0.1:8420")
  .option("--token <token>", "a token of role submit; default: BUSLAB_TOKEN, which other users of this host cannot see")
  .option("--json", "one JSON document")
  .action(async (run: string, options: { to: string; token?: string; json?: boolean }) => {
    const token = options.token ?? process.env["BUSLAB_TOKEN"] ?? "";
    if (token === "") throw new SuiteError("TOKEN_NEEDED", "no token is given");
    const runDir = await runFolder(run);
    const { signal } = onInterrupt();
    const progress = new ConsoleProgress();
    const step = progress.step("push");
    try {
      const pushed = await pushRun({ runDir, url: options.to, token, onProgress: (message, fraction) => step.update(message, fraction), signal });
      step.done(pushed.sent === 0 ? "the centre had all of it" : `${pushed.sent} of ${pushed.bytes} bytes sent`);
      progress.close();
      if (options.json === true) printJson({ schema: "buslab.push/1", ...pushed });
      else print(`run ${pushed.run} is at ${options.to.replace(/\/+$/, "")}/runs/${pushed.run}, ${pushed.files} files${pushed.leftOut.length === 0 ? "" : `; not sent: ${pushed.leftOut.slice(0, 5).join(", ")}`}`);
    } catch (error) {
      step.fail("not sent to its end");
      if (!signal.aborted) throw error;
      process.exitCode = EXIT.interrupted;
    } finally {
      progress.close();
    }
  });
