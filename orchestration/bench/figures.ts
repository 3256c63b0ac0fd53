/** One measured number of `./buslab bench`. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What it was measured beside, in the same run. */
  readonly against?: string;
  /** Cost of this one divided by the cost of `against`: 2 is twice as dear, whatever the unit of `value`. */
  readonly ratio?: number;
  /** Counted, or equal on every run. A time taken by a clock never is. */
  readonly exact: boolean;
}

export interface BenchDocument {
  readonly schema: "buslab.bench/1";
  readonly target: string;
  readonly accel: { readonly kind: string; readonly why: string };
  readonly figures: readonly Figure[];
  /** What was to be measured and could not be, with the reason. */
  readonly absent?: readonly unknown[];
}

/** Nearest-rank percentile. @param percent over 0, at most 100 @throws RangeError of an empty list */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const found = sorted[Math.max(Math.ceil((percent / 100) * sorted.length), 1) - 1];
  if (found === undefined) throw new RangeError("nothing was measured");
  return found;
}

/** The middle value; the mean of the middle two of an even number. @throws RangeError of an empty list */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]];
  if (low === undefined || high === undefined) throw new RangeError("nothing was measured");
  return (low + high) / 2;
}

/** A figure that was taken with a clock: three significant digits are all it can carry. */
export function timed(name: string, value: number, unit: string, against?: { readonly what: string; readonly ratio: number }): Figure {
  return { name, value: digits(value), unit, ...(against === undefined ? {} : { against: against.what, ratio: digits(against.ratio) }), exact: false };
}

/** What a person reads: one line a figure, the numbers below each other. */
export function renderFigures(figures: readonly Figure[]): string {
  const names = Math.max(...figures.map(({ name }) => name.length), 0);
  const texts = figures.map(({ value }) => grouped(value));
  const values = Math.max(...texts.map((text) => text.length), 0);
  const units = Math.max(...figures.map(({ unit }) => unit.length), 0);
  return figures
    .map(({ name, unit, against, ratio, exact }, index) => {
      const beside = against === undefined || ratio === undefined ? "" : `  ${ratio} times ${against}`;
      return `${name.padEnd(names)}  ${(texts[index] ?? "").padStart(values)} ${unit.padEnd(units)}${exact ? "  exact" : ""}${beside}`.trimEnd();
    })
    .join("\n");
}

function digits(value: number): number {
  return Number(value.toPrecision(3));
}

function grouped(value: number): string {
  const [whole = "", part] = String(value).split(".");
  const spaced = whole.replace(/\B(?=(\d{3})+$)/g, " ");
  return part === undefined ? spaced : `${spaced}.${part}`;
}
