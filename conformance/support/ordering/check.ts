import { Clocks, type At } from "./clocks.ts";
import type { Log, Seen, Step, Story, View } from "./history.ts";
import { describeBreach } from "./describe.ts";
import type { Promised } from "./promises.ts";

/** A broken promise with the shortest piece of the history that shows it. */
export interface Breach {
  readonly promise: Promised;
  /** The contradiction, in a sentence. */
  readonly detail: string;
  /** A story of its own: every step and observation in it is needed. */
  readonly piece: Story;
}

/** A breach as it is found: what of the story it rests on. */
interface Finding {
  readonly promise: Promised;
  readonly detail: string;
  readonly steps: readonly At[];
  readonly seen: readonly { readonly view: number; readonly at: number }[];
  /** Views that must stay whole, because something is missing in them. */
  readonly missingIn?: readonly number[];
}

/** Every broken promise of a story once, each by its shortest piece, in the order of the promises. */
export function breaches(story: Story): Breach[] {
  const shortest = new Map<Promised, Finding>();
  for (const finding of findings(new Facts(story))) {
    const known = shortest.get(finding.promise);
    if (known === undefined || weight(finding) < weight(known)) shortest.set(finding.promise, finding);
  }
  return [...shortest.values()].sort((a, b) => a.promise - b.promise).map(({ promise, detail, ...rest }) => ({ promise, detail, piece: cut(story, rest) }));
}

/** Fails with the first broken promise and the piece that shows it. */
export function expectOrdered(story: Story): void {
  const found = breaches(story);
  if (found.length > 0) throw new Error(found.map((breach) => describeBreach(breach, story)).join("\n\n"));
}

/** A story with what the rules ask it for. */
class Facts {
  readonly story: Story;
  readonly clocks: Clocks;
  readonly sends = new Map<string, At>();
  readonly changes = new Map<string, At>();
  readonly takeovers: { readonly at: At; readonly name: string; readonly by: bigint; readonly moves: boolean }[] = [];

  constructor(story: Story) {
    this.story = story;
    this.clocks = new Clocks(story);
    story.logs.forEach((log, index) => {
      log.steps.forEach((entry, step) => {
        const at = { log: index, step };
        if (entry.do === "send") this.sends.set(entry.id, at);
        if (entry.do !== "change") return;
        for (const id of entry.ids) this.changes.set(id, at);
        if (entry.takes !== undefined) this.takeovers.push({ at, ...entry.takes });
      });
    });
  }

  step(at: At): Step | undefined {
    return this.story.logs[at.log]?.steps[at.step];
  }

  /** The hand-over with which a message came to a receiver; `unclear` if it may have been under way. */
  moved(at: At, receiver: bigint): At | "unclear" | undefined {
    const entry = this.step(at);
    if (entry?.do !== "send" || typeof entry.to === "string" || !("name" in entry.to)) return undefined;
    const { name } = entry.to;
    for (const takeover of this.takeovers) {
      if (takeover.name !== name || takeover.by !== receiver || !takeover.moves) continue;
      if (this.clocks.before(at, takeover.at)) return takeover.at;
      if (!this.clocks.before(takeover.at, at)) return "unclear";
    }
    return undefined;
  }
}

function* findings(facts: Facts): Generator<Finding> {
  for (const [index, view] of facts.story.views.entries()) {
    yield* arrivals(facts, view, index);
    yield* order(facts, view, index);
    if (view.monitor !== true) yield* owners(facts, view, index);
  }
  yield* losses(facts);
  yield* numbers(facts);
  yield* stamps(facts);
  yield* commonOrder(facts);
}

/** 4: nothing twice, nothing that nobody sent there. */
function* arrivals(facts: Facts, view: View, index: number): Generator<Finding> {
  const first = new Map<string, number>();
  for (const [at, { id }] of view.seen.entries()) {
    const here = { view: index, at };
    const twice = first.get(id);
    const sent = facts.sends.get(id);
    if (twice !== undefined) yield { promise: 4, detail: `${id} came twice to ${view.receiver}`, steps: sent === undefined ? [] : [sent], seen: [{ view: index, at: twice }, here] };
    first.set(id, at);
    const entry = sent === undefined ? undefined : facts.step(sent);
    if (entry?.do !== "send") {
      if (id.includes("/")) yield { promise: 4, detail: `${id} came to ${view.receiver}, and nobody sent it`, steps: [], seen: [here] };
    } else if (!entry.accepted) yield { promise: 4, detail: `${id} came to ${view.receiver} although its SEND failed`, steps: [sent as At], seen: [here] };
    else if (view.monitor !== true && typeof entry.to !== "string" && "receiver" in entry.to && entry.to.receiver !== view.receiver) yield { promise: 4, detail: `${id} came to ${view.receiver} and was sent to ${entry.to.receiver}`, steps: [sent as At], seen: [here] };
  }
}

/** 1, 2, 3, 8, 9, 11: what was before something else comes first. */
function* order(facts: Facts, view: View, index: number): Generator<Finding> {
  const found = view.seen.map(({ id }) => facts.sends.get(id) ?? facts.changes.get(id));
  const moves = found.map((at) => (at === undefined ? undefined : facts.moved(at, view.receiver)));
  for (let late = 1; late < found.length; late++) {
    const a = found[late];
    if (a === undefined) continue;
    for (let early = late - 1; early >= 0; early--) {
      const b = found[early];
      if (b === undefined || (a.log === b.log && a.step === b.step)) continue;
      const [movedA, movedB] = [moves[late], moves[early]];
      if (movedA === undefined && movedB === undefined && !facts.clocks.before(a, b)) continue; // nearly all pairs end here
      const one = sameName(facts, a, b);
      if (!one && movedA !== movedB && (movedA === "unclear" || movedB === "unclear")) continue;
      // a message that moved stands among others where its hand-over stands
      const [from, to] = one ? [a, b] : [handOver(movedA) ?? a, handOver(movedB) ?? b];
      if ((from.log === to.log && from.step === to.step) || !facts.clocks.before(from, to)) continue;
      const promise = whichOrder(facts, from, to, movedA !== undefined || movedB !== undefined);
      if (promise === undefined) continue;
      const steps = distinct([...facts.clocks.path(from, to), a, b, ...[movedA, movedB].flatMap((move) => handOver(move) ?? [])]);
      yield { promise, detail: `${idAt(view, early)} came to ${view.receiver} ahead of ${idAt(view, late)}`, steps, seen: [{ view: index, at: early }, { view: index, at: late }] };
      if (promise <= 2) break; // the nearest one is enough; a piece of two SENDs cannot be shorter
    }
  }
}

function handOver(move: At | "unclear" | undefined): At | undefined {
  return move === "unclear" ? undefined : move;
}

function distinct(steps: readonly At[]): At[] {
  return steps.filter(({ log, step }, index) => steps.findIndex((other) => other.log === log && other.step === step) === index);
}

function sameName(facts: Facts, a: At, b: At): boolean {
  const [one, two] = [facts.step(a), facts.step(b)];
  const name = (entry: Step | undefined): string | undefined => (entry?.do === "send" && typeof entry.to !== "string" && "name" in entry.to ? entry.to.name : undefined);
  return name(one) !== undefined && name(one) === name(two);
}

function whichOrder(facts: Facts, a: At, b: At, moved: boolean): Promised | undefined {
  const [first, second] = [facts.step(a), facts.step(b)];
  if (first === undefined || second === undefined) return undefined;
  if (moved) return 11;
  if (first.do === "change" || second.do === "change") {
    // only the caller's own messages have an order with its changes, and only an end has one among its own
    if (a.log !== b.log) return undefined;
    if (first.do === "change" && second.do === "change") return first.end && second.end ? 9 : undefined;
    return second.do === "change" && second.end ? 9 : 8;
  }
  if (a.log === b.log) return 1;
  return facts.clocks.path(a, b).some((at) => facts.step(at)?.do === "receive") ? 3 : 2;
}

/** 10: to whom a message to a name came. */
function* owners(facts: Facts, view: View, index: number): Generator<Finding> {
  for (const [at, { id }] of view.seen.entries()) {
    const sent = facts.sends.get(id);
    const entry = sent === undefined ? undefined : facts.step(sent);
    if (sent === undefined || entry?.do !== "send" || typeof entry.to === "string" || !("name" in entry.to)) continue;
    const { name } = entry.to;
    const mine = facts.takeovers.filter((takeover) => takeover.name === name && takeover.by === view.receiver);
    const others = facts.takeovers.filter((takeover) => takeover.name === name && takeover.by !== view.receiver);
    const here = [{ view: index, at }];
    const early = mine.find((takeover) => !takeover.moves && facts.clocks.before(sent, takeover.at) && mine.length === 1);
    if (early !== undefined) yield { promise: 10, detail: `${id} came to ${view.receiver}, which owned ${name} only afterwards`, steps: [sent, early.at], seen: here };
    // an own takeover that is not surely before the other's may have come after it
    const late = others.find((takeover) => facts.clocks.before(takeover.at, sent) && mine.every((own) => facts.clocks.before(own.at, takeover.at)));
    if (late !== undefined) yield { promise: 10, detail: `${id} came to ${view.receiver}, which did not own ${name} any more`, steps: [late.at, sent, ...mine.map((own) => own.at)], seen: here };
  }
}

/** 4: an accepted unicast message arrives where it was sent; one to a name at some owner. */
function* losses(facts: Facts): Generator<Finding> {
  const arrived = new Map<bigint, Set<string>>(facts.story.views.map(({ receiver, seen }) => [receiver, new Set(seen.map(({ id }) => id))]));
  for (const at of facts.sends.values()) {
    const entry = facts.step(at);
    if (entry?.do !== "send" || !entry.accepted || entry.mayBeLost || typeof entry.to === "string") continue;
    const { id, to } = entry;
    const possible = facts.story.views.flatMap((view, index) => ("receiver" in to ? to.receiver === view.receiver : facts.takeovers.some((takeover) => takeover.name === to.name && takeover.by === view.receiver)) ? [{ view, index }] : []);
    if (possible.length === 0 || possible.some(({ view }) => !view.complete || arrived.get(view.receiver)?.has(id) === true)) continue;
    const owners = "name" in to ? facts.takeovers.filter(({ name }) => name === to.name).map((takeover) => takeover.at) : [];
    yield { promise: 4, detail: `${id} was accepted and never came`, steps: [at, ...owners], seen: [], missingIn: possible.map(({ index }) => index) };
  }
}

/** 5: one number for a message, and another one for every other. */
function* numbers(facts: Facts): Generator<Finding> {
  const byId = new Map<string, { readonly view: number; readonly at: number; readonly seqnum: bigint }>();
  const byNumber = new Map<bigint, { readonly view: number; readonly at: number; readonly id: string }>();
  for (const [index, view] of facts.story.views.entries()) {
    for (const [at, { id, seqnum }] of view.seen.entries()) {
      if (seqnum === undefined) continue;
      const here = { view: index, at };
      const same = byId.get(id);
      if (same !== undefined && same.seqnum !== seqnum) yield { promise: 5, detail: `${id} has the seqnums ${same.seqnum} and ${seqnum}`, steps: stepsOf(facts, id), seen: [same, here] };
      const other = byNumber.get(seqnum);
      if (other !== undefined && other.id !== id) yield { promise: 5, detail: `${other.id} and ${id} have one seqnum, ${seqnum}`, steps: [...stepsOf(facts, other.id), ...stepsOf(facts, id)], seen: [other, here] };
      byId.set(id, { ...here, seqnum });
      byNumber.set(seqnum, { ...here, id });
    }
  }
}

/** 5 and 6: numbers rise and clocks do not fall along a thread. */
function* stamps(facts: Facts): Generator<Finding> {
  const where = new Map<string, { readonly view: number; readonly at: number; readonly seen: Seen }>();
  for (const [index, view] of facts.story.views.entries()) for (const [at, seen] of view.seen.entries()) where.set(seen.id, { view: index, at, seen });
  for (const [index, log] of facts.story.logs.entries()) {
    let last: { readonly step: number; readonly view: number; readonly at: number; readonly seen: Seen } | undefined;
    for (const [step, entry] of log.steps.entries()) {
      const found = entry.do === "send" ? where.get(entry.id) : undefined;
      if (found === undefined || found.seen.seqnum === undefined) continue;
      if (last?.seen.seqnum !== undefined) {
        const rest = { steps: [{ log: index, step: last.step }, { log: index, step }], seen: [{ view: last.view, at: last.at }, { view: found.view, at: found.at }] };
        if (found.seen.seqnum <= last.seen.seqnum) yield { promise: 5, detail: `${found.seen.id} was sent after ${last.seen.id} and has the seqnum ${found.seen.seqnum}, not above ${last.seen.seqnum}`, ...rest };
        if ((found.seen.monotonicNs ?? 0n) < (last.seen.monotonicNs ?? 0n)) yield { promise: 6, detail: `${found.seen.id} was sent after ${last.seen.id}, ${(last.seen.monotonicNs ?? 0n) - (found.seen.monotonicNs ?? 0n)} ns earlier by monotonic_ns`, ...rest };
      }
      last = { step, ...found };
    }
  }
}

/** 7: two receivers that both got two notifications got them in one order. */
function* commonOrder(facts: Facts): Generator<Finding> {
  const { views } = facts.story;
  const announcements = views.map(({ seen }) => new Map(seen.flatMap(({ id }, at) => (id.includes("/") ? [] : [[id, at] as const]))));
  for (let one = 0; one < views.length; one++) {
    for (let two = one + 1; two < views.length; two++) {
      const there = announcements[two] as Map<string, number>;
      let last: { readonly id: string; readonly at: number } | undefined;
      for (const [id, at] of announcements[one] as Map<string, number>) {
        const other = there.get(id);
        if (other === undefined) continue;
        const lastThere = last === undefined ? -1 : (there.get(last.id) as number);
        if (last !== undefined && other < lastThere) {
          const [a, b] = [views[one]?.receiver, views[two]?.receiver];
          yield { promise: 7, detail: `${a} got ${last.id} ahead of ${id}, ${b} got them the other way round`, steps: [], seen: [{ view: one, at: last.at }, { view: one, at }, { view: two, at: other }, { view: two, at: lastThere }] };
        }
        last = { id, at };
      }
    }
  }
}

function stepsOf(facts: Facts, id: string): At[] {
  const at = facts.sends.get(id);
  return at === undefined ? [] : [at];
}

function idAt(view: View, at: number): string {
  return view.seen[at]?.id ?? "";
}

function weight(finding: Finding): number {
  return finding.steps.length + finding.seen.length;
}

/** The story with nothing left but what a finding rests on. */
function cut(story: Story, { steps, seen, missingIn = [] }: Pick<Finding, "steps" | "seen" | "missingIn">): Story {
  const logs = story.logs.flatMap((log, index): Log[] => {
    const kept = log.steps.filter((_, step) => steps.some((at) => at.log === index && at.step === step));
    return kept.length === 0 ? [] : [{ thread: log.thread, process: log.process, steps: kept }];
  });
  const views = story.views.flatMap((view, index): View[] => {
    const kept = view.seen.filter((_, at) => seen.some((where) => where.view === index && where.at === at));
    const missing = missingIn.includes(index);
    return kept.length === 0 && !missing ? [] : [{ ...view, complete: missing, seen: kept }];
  });
  return { logs, views };
}

