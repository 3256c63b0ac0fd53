import { PROMISES } from "./promises.ts";

export interface Queued {
  readonly id: string;
  readonly priority: number;
}

/** A RECV of a queue that nobody adds to: plain, by priority (not above `limit`), looking only or dropping; and what it gave, null for EAGAIN. */
export interface QueueRead {
  readonly how: "RECV" | "PEEK" | "DROP";
  readonly limit?: number;
  readonly got: string | null;
}

/**
 * Guarantee 12 and section 3: which message each RECV of a known queue had to take. A message goes with the read that the
 * kernel says took it, so one wrong choice is told once.
 * @returns a sentence about the first wrong read with the messages it chose from, or undefined
 */
export function wrongRead(queue: readonly Queued[], reads: readonly QueueRead[]): string | undefined {
  const left = [...queue];
  for (const [index, { how, limit, got }] of reads.entries()) {
    const fitting = limit === undefined ? left : left.filter(({ priority }) => priority <= limit);
    const lowest = Math.min(...fitting.map(({ priority }) => priority));
    const due = fitting.find(({ priority }) => limit === undefined || priority === lowest);
    if (got !== (due?.id ?? null)) {
      const choice = [due, left.find(({ id }) => id === got)].flatMap((entry) => (entry === undefined ? [] : [`${entry.id} (priority ${entry.priority}, place ${left.indexOf(entry) + 1} of ${left.length})`]));
      const [text, requirements] = PROMISES[12];
      return [
        `Promise 12 of ordering is broken (specification, Ordering, sections 2 and 3; ${requirements}): ${text}.`,
        `  read ${index + 1}, ${how}${limit === undefined ? "" : ` with USE_PRIORITY up to ${limit}`}, gave ${got ?? "EAGAIN"} and not ${due?.id ?? "EAGAIN"}`,
        `  queued then: ${choice.join(", ") || "nothing that fits"}`,
      ].join("\n");
    }
    if (how !== "PEEK" && due !== undefined) left.splice(left.indexOf(due), 1);
  }
  return undefined;
}

/** Fails with the first read that took the wrong message. */
export function expectReads(queue: readonly Queued[], reads: readonly QueueRead[]): void {
  const wrong = wrongRead(queue, reads);
  if (wrong !== undefined) throw new Error(wrong);
}
