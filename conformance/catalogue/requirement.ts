/** Behaviour generations of kdbus: one binary interface, two behaviours. */
export const GENERATIONS = ["2015-03", "2015-08"] as const;
export type Generation = (typeof GENERATIONS)[number];

export const LEVELS = ["must", "should", "may"] as const;
/** Only a broken `must` makes a verdict red; the others are judged and reported. */
export type Level = (typeof LEVELS)[number];

/** One atomic, testable statement about the bus. */
export interface Requirement {
  /** `<AREA>-<number>`; never reused. */
  readonly id: string;
  readonly level: Level;
  /** The statement itself. */
  readonly text: string;
  /** Where it comes from: a manual page, the interface header, observed behaviour of the originals, or a correction of them. */
  readonly source: string;
  /** A way to check it; a hint for whoever writes the test, not the only way. */
  readonly verify: string;
  /** Generations it holds for; both when absent. */
  readonly generations?: readonly Generation[];
  /** Why no test from user space can show it; such a requirement is not expected to be covered. */
  readonly untestable?: string;
}
