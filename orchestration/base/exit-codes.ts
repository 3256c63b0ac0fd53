import type { Blame, ErrorCode } from "./errors.ts";

/** Exit codes of every command that judges. */
export const EXIT = { conformant: 0, violated: 1, caller: 2, undecided: 3, interrupted: 130 } as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The exit code an error of this blame ends a command with. */
export function exitCodeFor(blame: Blame): ExitCode {
  return blame === "caller" ? EXIT.caller : blame === "subject" ? EXIT.violated : EXIT.undecided;
}

/** The same for an error itself: whoever pressed Ctrl-C is not told that something is broken. */
export function exitCodeOf(error: { readonly code: ErrorCode; readonly blame: Blame }): ExitCode {
  return error.code === "INTERRUPTED" ? EXIT.interrupted : exitCodeFor(error.blame);
}
