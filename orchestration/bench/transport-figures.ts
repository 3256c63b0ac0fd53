import { median, type Figure } from "./figures.ts";
import { loopKey, type AbsentLine, type CopiesLine, type CountLine, type Line, type Loop, type TimeLine } from "./transport-lines.ts";

/** What all others are compared with. */
export const SUBJECT = "kdbus";

export type Measure = "icount" | "wall" | "syscalls" | "switches" | "copied" | "sending";

/** One number about one loop. */
export interface Cell {
  readonly loop: Loop;
  readonly measure: Measure;
  /** For one message, or one round trip. */
  readonly value: number;
  /** Its cost divided by the subject's at the same loop. */
  readonly ratio?: number;
  readonly exact: boolean;
  /** Share by which the second boot saw another value. */
  readonly apart?: number;
}

export const MEASURES: Readonly<Record<Measure, { readonly title: string; readonly unit: string }>> = {
  icount: { title: "time by counted instructions", unit: "ns" },
  sending: { title: "time by counted instructions, the sender's alone", unit: "ns" },
  wall: { title: "time by the wall clock", unit: "us" },
  syscalls: { title: "system calls", unit: "calls" },
  switches: { title: "context switches", unit: "switches" },
  copied: { title: "bytes copied", unit: "B" },
};

/**
 * Numbers of one target. What two boots of the steady machine saw alike is exact; what they saw differently is the first one's and
 * said not to be. Of the steady rounds the last counts: by then nothing is new to the machine.
 */
export function cellsOf(steady: readonly [readonly Line[], readonly Line[]], wall: readonly Line[]): Cell[] {
  const [first, second] = steady.map(byLoop) as [Map<string, Seen>, Map<string, Seen>];
  const cells: Cell[] = [];
  for (const [key, seen] of first) {
    const again = second.get(key);
    const subject = first.get(loopKey({ ...seen.loop, transport: SUBJECT }));
    const add = (measure: Measure, of: (seen: Seen) => number | undefined, all: (seen: Seen) => unknown): void => {
      const value = of(seen);
      if (value === undefined) return;
      const other = seen.loop.transport === SUBJECT || subject === undefined ? undefined : of(subject);
      const exact = again !== undefined && JSON.stringify(all(seen)) === JSON.stringify(all(again));
      const repeated = again === undefined ? undefined : of(again);
      const apart = repeated === undefined || value === 0 ? {} : { apart: Math.abs(repeated - value) / value };
      cells.push({ loop: seen.loop, measure, value, ...(other === undefined || other === 0 ? {} : { ratio: value / other }), exact, ...apart });
    };
    add("icount", (one) => each(one.times.at(-1), "ns"), (one) => one.times.map(({ ns }) => ns));
    add("sending", (one) => (one.loop.what === "multicast" ? each(one.times.at(-1), "partNs") : undefined), (one) => one.times.map(({ partNs }) => partNs));
    add("syscalls", (one) => each(one.count, "syscalls"), (one) => one.count?.syscalls);
    add("switches", (one) => each(one.count, "switches"), (one) => one.count?.switches);
    add("copied", (one) => each(one.copies, "copied"), (one) => one.copies?.copied);
  }
  return [...cells, ...wallCells(byLoop(wall))];
}

/** What could not be measured, and why; each reason once. */
export function absences(lines: readonly Line[]): AbsentLine[] {
  const found = new Map(lines.filter((line) => line.figure === "absent").map((line) => [`${loopKey(line)}/${line.because}`, line]));
  return [...found.values()];
}

/** Figures of the document: every cell, and what follows from them. */
export function figuresOf(cells: readonly Cell[]): Figure[] {
  const figures = cells.map(({ loop, measure, value, ratio, exact }): Figure => {
    const { title, unit } = MEASURES[measure];
    return { name: `${describeLoop(loop)}, ${loop.transport}: ${title}`, value: rounded(value), unit, ...(ratio === undefined ? {} : { against: SUBJECT, ratio: rounded(ratio) }), exact };
  });
  const bystander = bystanderFigure(cells);
  return bystander === undefined ? figures : [...figures, bystander];
}

/**
 * What a receiver that is not meant costs the sender, beside one that is: from 10 and 100 receivers of which one matches, and from
 * 10 that all match.
 */
export function bystanderFigure(cells: readonly Cell[]): Figure | undefined {
  const sending = (receivers: number, matching: number): Cell | undefined =>
    cells.find(({ loop, measure }) => measure === "sending" && loop.transport === SUBJECT && loop.receivers === receivers && loop.matching === matching);
  const [ten, hundred, all] = [sending(10, 1), sending(100, 1), sending(10, 10)];
  if (ten === undefined || hundred === undefined || all === undefined) return undefined;
  const bystander = (hundred.value - ten.value) / 90;
  const meant = (all.value - ten.value) / 9 + bystander;
  return {
    name: "multicast, a receiver that does not match: time by counted instructions, the sender's alone",
    value: rounded(bystander),
    unit: "ns",
    against: "a receiver that matches",
    ratio: rounded(bystander / meant),
    exact: [ten, hundred, all].every(({ exact }) => exact),
  };
}

/** The cell of counted time that two boots agree least about. */
export function leastAgreed(cells: readonly Cell[]): Cell | undefined {
  const timed = cells.filter(({ measure, apart }) => measure === "icount" && apart !== undefined);
  return timed.toSorted((a, b) => (b.apart ?? 0) - (a.apart ?? 0))[0];
}

export function describeLoop({ what, bytes, receivers, matching }: Loop): string {
  const crowd = receivers === undefined ? "" : ` to ${receivers} receivers of which ${matching ?? 0} match`;
  return `${what} of ${describeBytes(bytes)}${crowd}`;
}

export function describeBytes(bytes: number): string {
  if (bytes >= 1 << 20) return `${bytes / (1 << 20)} MiB`;
  return bytes >= 1024 ? `${bytes / 1024} KiB` : `${bytes} B`;
}

interface Seen {
  readonly loop: Loop;
  readonly times: TimeLine[];
  count?: CountLine;
  copies?: CopiesLine;
}

function byLoop(lines: readonly Line[]): Map<string, Seen> {
  const found = new Map<string, Seen>();
  for (const line of lines) {
    if (line.figure === "absent") continue;
    const { transport, what, bytes, receivers, matching } = line;
    const loop: Loop = { transport, what, bytes, ...(receivers === undefined ? {} : { receivers }), ...(matching === undefined ? {} : { matching }) };
    const seen = found.get(loopKey(line)) ?? { loop, times: [] };
    if (line.figure === "time") seen.times.push(line);
    if (line.figure === "count") seen.count = line;
    if (line.figure === "copies") seen.copies = line;
    found.set(loopKey(line), seen);
  }
  return found;
}

/** Rounds of all transports alternate, so ratios are taken round by round. */
function wallCells(seen: ReadonlyMap<string, Seen>): Cell[] {
  return [...seen.values()].flatMap(({ loop, times }): Cell[] => {
    if (times.length === 0) return [];
    const us = (line: TimeLine): number => line.ns / line.messages / 1000;
    const subject = loop.transport === SUBJECT ? undefined : seen.get(loopKey({ ...loop, transport: SUBJECT }));
    const ratios = times.flatMap((line) => {
      const other = subject?.times.find(({ round }) => round === line.round);
      return other === undefined ? [] : [us(line) / us(other)];
    });
    return [{ loop, measure: "wall", value: median(times.map(us)), ...(ratios.length === 0 ? {} : { ratio: median(ratios) }), exact: false }];
  });
}

function each<K extends string>(line: (Record<K, number> & { readonly messages: number }) | undefined, key: K): number | undefined {
  return line === undefined ? undefined : line[key] / line.messages;
}

function rounded(value: number): number {
  return Number(value.toPrecision(6));
}
