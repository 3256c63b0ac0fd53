/**
 * How stages tell what they are doing. One implementation draws bars on a terminal, one prints plain lines; a stage
 * only reports. Messages are short, present tense, without a full stop.
 */
export interface Progress {
  /** Starts a named step below this one; several may run at once. */
  step(title: string): Step;
}

export interface Step extends Progress {
  /** What happens now, and how far it is when that is known (0..1). */
  update(message: string, fraction?: number): void;
  /** Ends the step; `outcome` is shown behind its title, e.g. `reused, same inputs`. */
  done(outcome?: string): void;
  fail(reason: string): void;
}

const silentStep: Step = { step: () => silentStep, update: () => undefined, done: () => undefined, fail: () => undefined };

/** Reports nowhere; for tests and library use. */
export const silent: Progress = silentStep;
