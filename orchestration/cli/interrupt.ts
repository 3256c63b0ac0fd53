import { EXIT } from "../base/exit-codes.ts";

/**
 * Turns the first Ctrl-C or SIGTERM into an abort that stages answer to by ending what they started; the second one ends
 * the process at once, children included, since they die with it.
 */
export function onInterrupt(): { readonly signal: AbortSignal; readonly interrupted: () => boolean } {
  const controller = new AbortController();
  const handle = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    process.stderr.write(`buslab: ${name}, ending what runs; once more to end at once\n`);
    controller.abort();
  };
  process.on("SIGINT", handle);
  process.on("SIGTERM", handle);
  return { signal: controller.signal, interrupted: () => controller.signal.aborted };
}
