/** Points before a point that say what is usual. */
const WINDOW = 12;
const LEAST = 4;

export interface Band {
  readonly low: number | null;
  readonly high: number | null;
}

/**
 * What each point could be by noise alone: the median of the points before it, three robust standard deviations (median
 * absolute deviation times 1.4826) up and down, at least one percent. A single outlier moves neither.
 */
export function noiseBands(values: readonly number[]): Band[] {
  return values.map((_, index) => {
    const before = values.slice(Math.max(0, index - WINDOW), index);
    if (before.length < LEAST) return { low: null, high: null };
    const middle = median(before);
    const spread = Math.max(3 * 1.4826 * median(before.map((value) => Math.abs(value - middle))), Math.abs(middle) * 0.01);
    return { low: middle - spread, high: middle + spread };
  });
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  const [low = 0, high = 0] = sorted.length % 2 === 1 ? [sorted[half], sorted[half]] : [sorted[half - 1], sorted[half]];
  return (low + high) / 2;
}
