import { Command, CommanderError } from "commander";
import { asSuiteError } from "../base/errors.ts";
import { EXIT, exitCodeOf } from "../base/exit-codes.ts";
import { COMMANDS } from "./commands/index.ts";
import { printError } from "./output.ts";

const program = new Command("buslab")
  .description("Conformance suite and test cluster for the kdbus in-kernel message bus")
  .showSuggestionAfterError(true)
  .exitOverride()
  .configureOutput({ outputError: (text, write) => write(text) });

for (const command of COMMANDS) {
  command.exitOverride();
  program.addCommand(command);
}

try {
  await program.parseAsync(process.argv);
} catch (thrown) {
  if (thrown instanceof CommanderError) {
    process.exitCode = thrown.exitCode === 0 ? EXIT.conformant : EXIT.caller;
  } else {
    const error = asSuiteError(thrown);
    printError(error, process.argv.includes("--json"));
    process.exitCode = exitCodeOf(error);
  }
}
// Timers and sockets of a command that ended must not keep the process.
process.exit(process.exitCode ?? EXIT.conformant);
