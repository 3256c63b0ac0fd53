import { SuiteError, type ErrorCode } from "./errors.ts";

/**
 * Time limits of a run. Every limit is a base value in milliseconds for an idle host with hardware acceleration,
 * multiplied by one slowdown factor (emulation, noisy neighbours) and capped, so that no limit is written twice.
 */
export class Limits {
  readonly slowdown: number;

  constructor(slowdown = 1) {
    this.slowdown = slowdown;
  }

  /** @param baseMs what the step takes at most with hardware acceleration; never more than ten minutes after scaling */
  ms(baseMs: number): number {
    return Math.min(Math.ceil(baseMs * this.slowdown), 600_000);
  }
}

/** Monotonic milliseconds; for durations only. */
export function nowMs(): number {
  return performance.now();
}

/**
 * Waits for the sign, the death of what is waited for, or the deadline, whichever is first.
 * @param death rejects (or never settles) when the awaited thing died
 * @throws the given code when the deadline passes
 */
export async function race<T>(
  sign: Promise<T>,
  options: { readonly deadlineMs: number; readonly code: ErrorCode; readonly what: string; readonly death?: Promise<never> },
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new SuiteError(options.code, `${options.what}: no answer within ${options.deadlineMs} ms`));
    }, options.deadlineMs);
  });
  try {
    return await Promise.race(options.death === undefined ? [sign, expired] : [sign, expired, options.death]);
  } finally {
    clearTimeout(timer);
  }
}
