import type { Story } from "./history.ts";

/** A step by its place. */
export interface At {
  readonly log: number;
  readonly step: number;
}

/**
 * Which steps ended before others began, by vector clocks: along a thread, over tokens, and from a SEND that has begun to
 * whoever received the message. A SEND that is under way has not ended, so what its receiver does is not behind it.
 */
export class Clocks {
  /** Per log and step: how many steps of each log had ended when it began. */
  private readonly known: number[][][];
  private readonly story: Story;
  private readonly sendAt = new Map<string, At>();
  private readonly giveAt = new Map<string, At>();

  constructor(story: Story) {
    this.story = story;
    story.logs.forEach(({ steps }, log) => {
      steps.forEach((entry, step) => {
        if (entry.do === "send") this.sendAt.set(entry.id, { log, step });
        if (entry.do === "give") this.giveAt.set(entry.token, { log, step });
      });
    });
    this.known = story.logs.map(() => []);
    for (let moved = true; moved; ) {
      moved = false;
      story.logs.forEach((_, log) => {
        while (this.advance(log)) moved = true;
      });
    }
  }

  /** True if `a` had ended when `b` began. */
  before(a: At, b: At): boolean {
    return (this.known[b.log]?.[b.step]?.[a.log] ?? 0) > a.step;
  }

  /** The steps over which `b` knows of `a`, the fewest there are; both included. */
  path(a: At, b: At): At[] {
    if (a.log === b.log) return [a, b];
    const key = ({ log, step }: At): string => `${log}:${step}`;
    const from = new Map<string, At | null>([[key(b), null]]);
    const queue = [b];
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      for (const cause of this.causes(next, a)) {
        if (from.has(key(cause))) continue;
        from.set(key(cause), next);
        queue.push(cause);
      }
      if (from.has(key(a))) break;
    }
    const steps: At[] = [];
    for (let at: At | null | undefined = a; at !== null && at !== undefined; at = from.get(key(at))) steps.push(at);
    return steps;
  }

  private advance(log: number): boolean {
    const done = this.known[log] as number[][];
    const step = done.length;
    const entry = this.story.logs[log]?.steps[step];
    if (entry === undefined) return false;
    const clock = step === 0 ? new Array<number>(this.story.logs.length).fill(0) : (done[step - 1] as number[]).slice();
    clock[log] = step;
    const cause = this.causeOf(entry);
    if (cause !== undefined && cause.log !== log) {
      const theirs = this.known[cause.log]?.[cause.step];
      if (theirs === undefined) return false; // not yet told; it will be
      theirs.forEach((value, index) => (clock[index] = Math.max(clock[index] ?? 0, value)));
      if (entry.do === "take") clock[cause.log] = Math.max(clock[cause.log] ?? 0, cause.step + 1);
    }
    done.push(clock);
    return true;
  }

  private causeOf(entry: Story["logs"][number]["steps"][number]): At | undefined {
    if (entry.do === "receive") return this.sendAt.get(entry.id);
    return entry.do === "take" ? this.giveAt.get(entry.token) : undefined;
  }

  /** Steps that lead straight to `at` and are not before `a`: in its thread the nearest one that matters, or `a` itself. */
  private causes(at: At, a: At): At[] {
    const found: At[] = [];
    const entry = this.story.logs[at.log]?.steps[at.step];
    const cause = entry === undefined ? undefined : this.causeOf(entry);
    if (cause !== undefined) found.push(cause);
    if (at.log === a.log && at.step > a.step) found.push(a);
    for (let step = at.step - 1; step >= 0; step--) {
      const earlier = this.story.logs[at.log]?.steps[step];
      if (earlier?.do !== "receive" && earlier?.do !== "take") continue;
      if (this.before(a, { log: at.log, step })) found.push({ log: at.log, step });
    }
    return found;
  }
}
