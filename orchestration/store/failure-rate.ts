/** What `failures` in `runs` independent runs say about the true rate. */
export interface FailureRate {
  readonly runs: number;
  readonly failures: number;
  /** The rate lies below this with 95 % confidence (one-sided, exact). 1 when nothing ran. */
  readonly below: number;
  /** The rate lies above this with 95 % confidence (one-sided, exact). */
  readonly above: number;
}

const CONFIDENCE = 0.95;

/** Clopper and Pearson's exact bounds: the rates at which what was seen, or something more extreme, has a chance of 5 %. */
export function failureRate(failures: number, runs: number): FailureRate {
  if (!Number.isInteger(failures) || !Number.isInteger(runs) || failures < 0 || failures > runs) throw new RangeError(`${failures} failures in ${runs} runs`);
  const tail = 1 - CONFIDENCE;
  const below = failures === runs ? 1 : solve((rate) => atMost(failures, runs, rate) - tail);
  const above = failures === 0 ? 0 : solve((rate) => tail - (1 - atMost(failures - 1, runs, rate)));
  return { runs, failures, below, above };
}

/** One sentence, e.g. `0 failures in 100 runs: below 3.0 % at 95 % confidence`. */
export function describeRate(rate: FailureRate): string {
  const count = `${rate.failures} ${rate.failures === 1 ? "failure" : "failures"} in ${rate.runs} ${rate.runs === 1 ? "run" : "runs"}`;
  if (rate.runs === 0) return "no run says anything";
  if (rate.failures === 0) return `${count}: below ${percent(rate.below)} at 95 % confidence`;
  if (rate.failures === rate.runs) return `${count}: above ${percent(rate.above)} at 95 % confidence`;
  return `${count}: above ${percent(rate.above)} and below ${percent(rate.below)}, each at 95 % confidence`;
}

/** Chance of at most `failures` in `runs`. Summed in logarithms: a power of a small rate would be 0. */
function atMost(failures: number, runs: number, rate: number): number {
  if (rate <= 0) return 1;
  if (rate >= 1) return failures >= runs ? 1 : 0;
  let term = runs * Math.log1p(-rate);
  let sum = Math.exp(term);
  for (let count = 1; count <= failures; count++) {
    term += Math.log((runs - count + 1) / count) + Math.log(rate) - Math.log1p(-rate);
    sum += Math.exp(term);
  }
  return Math.min(sum, 1);
}

/** Where a falling function passes 0 between 0 and 1. */
function solve(falling: (rate: number) => number): number {
  let [low, high] = [0, 1];
  for (let turn = 0; turn < 60; turn++) {
    const middle = (low + high) / 2;
    if (falling(middle) > 0) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

function percent(rate: number): string {
  return `${(rate * 100).toPrecision(2)} %`;
}
