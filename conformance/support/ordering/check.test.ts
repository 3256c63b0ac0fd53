import assert from "node:assert/strict";
import { test } from "node:test";
import { breaches, expectOrdered } from "./check.ts";
import { History, type Log, type Seen, type Story, type View } from "./history.ts";
import type { Promised } from "./promises.ts";

const [A, B, C, D] = [{ id: 1n }, { id: 2n }, { id: 3n }, { id: 4n }];

/** A view made up of ids, each with numbers if given: `["1/1", 10n, 100n]`. */
function view(receiver: { readonly id: bigint }, seen: readonly (string | readonly [string, bigint, bigint?])[], complete = true): View {
  return { receiver: receiver.id, complete, seen: seen.map((entry): Seen => (typeof entry === "string" ? { id: entry } : { id: entry[0], seqnum: entry[1], monotonicNs: entry[2] ?? 0n })) };
}

function story(build: (history: History) => void, ...views: readonly View[]): Story {
  const history = new History();
  build(history);
  return { logs: history.logs, views };
}

const promises = (of: Story): Promised[] => breaches(of).map(({ promise }) => promise);

/** Every story with one step or one observation less. */
function* smaller(of: Story): Generator<Story> {
  for (const [index, log] of of.logs.entries()) for (const step of log.steps.keys()) yield { ...of, logs: of.logs.map((each, other): Log => (other === index ? { ...each, steps: each.steps.filter((_, at) => at !== step) } : each)) };
  for (const [index, each] of of.views.entries()) for (const at of each.seen.keys()) yield { ...of, views: of.views.map((other, where): View => (where === index ? { ...other, seen: other.seen.filter((_, place) => place !== at) } : other)) };
}

interface Case {
  readonly promise: Promised;
  readonly what: string;
  readonly broken: Story;
  /** The same with the order that was promised. */
  readonly kept: Story;
  /** Steps and observations of the shortest piece. */
  readonly size: number;
}

const CASES: readonly Case[] = [
  (() => {
    const sends = (history: History): void => void [1, 2, 3, 4, 5].reduce((log, cookie) => log.send(A, B, cookie), history.thread("a"));
    return { promise: 1, what: "two messages of a thread are exchanged", size: 4, broken: story(sends, view(B, ["1/1", "1/2", "1/4", "1/3", "1/5"])), kept: story(sends, view(B, ["1/1", "1/2", "1/3", "1/4", "1/5"])) };
  })(),
  (() => {
    const sends = (history: History): void => void history.thread("a").send(A, "everybody", 1).send(A, B, 2).send(A, "everybody", 3);
    return { promise: 1, what: "a unicast message overtakes a broadcast", size: 4, broken: story(sends, view(B, ["1/2", "1/1", "1/3"])), kept: story(sends, view(B, ["1/1", "1/2"])) };
  })(),
  (() => {
    const sends = (history: History): void => {
      history.thread("one", "p").send(A, C, 1).give("go");
      history.thread("two", "p").take("go").send(B, C, 1);
    };
    return { promise: 2, what: "SENDs that follow each other over two connections are exchanged", size: 6, broken: story(sends, view(C, ["2/1", "1/1"])), kept: story(sends, view(C, ["1/1", "2/1"])) };
  })(),
  (() => {
    const sends = (history: History): void => {
      history.thread("a").send(A, C, 1).send(A, B, 2);
      history.thread("b").receive({ header: { src_id: 1n, cookie: 2n } }).send(B, C, 1);
    };
    return { promise: 3, what: "a consequence overtakes its cause", size: 6, broken: story(sends, view(C, ["2/1", "1/1"]), view(B, ["1/2"])), kept: story(sends, view(C, ["1/1", "2/1"]), view(B, ["1/2"])) };
  })(),
  (() => {
    const sends = (history: History): void => void history.thread("a").send(A, B, 1).send(A, B, 2);
    return { promise: 4, what: "a message comes twice", size: 3, broken: story(sends, view(B, ["1/1", "1/2", "1/2"])), kept: story(sends, view(B, ["1/1", "1/2"])) };
  })(),
  (() => {
    const sends = (history: History): void => void history.thread("a").send(A, B, 1).send(A, B, 2).send(A, B, 3);
    return { promise: 4, what: "an accepted message is lost", size: 1, broken: story(sends, view(B, ["1/1", "1/3"])), kept: story(sends, view(B, ["1/1", "1/2", "1/3"])) };
  })(),
  (() => {
    const sends = (history: History): void => void history.thread("a").send(A, B, 1, { errno: "ENOBUFS" });
    return { promise: 4, what: "a message comes whose SEND failed", size: 2, broken: story(sends, view(B, ["1/1"])), kept: story(sends, view(B, [])) };
  })(),
  (() => {
    const sends = (history: History): void => void history.thread("a").send(A, "everybody", 1).send(A, "everybody", 2);
    return { promise: 5, what: "receivers see two numbers of one message", size: 3, broken: story(sends, view(B, [["1/1", 10n], ["1/2", 11n]]), view(C, [["1/1", 10n], ["1/2", 12n]])), kept: story(sends, view(B, [["1/1", 10n], ["1/2", 12n]]), view(C, [["1/1", 10n], ["1/2", 12n]])) };
  })(),
  (() => {
    const sends = (history: History): void => {
      history.thread("a").send(A, C, 1);
      history.thread("b").send(B, C, 1);
    };
    return { promise: 5, what: "two messages have one number", size: 4, broken: story(sends, view(C, [["1/1", 10n], ["2/1", 10n]])), kept: story(sends, view(C, [["1/1", 11n], ["2/1", 10n]])) };
  })(),
  (() => {
    const sends = (history: History): void => void history.thread("a").send(A, B, 1).send(A, C, 2);
    return { promise: 5, what: "numbers fall along a thread", size: 4, broken: story(sends, view(B, [["1/1", 10n]]), view(C, [["1/2", 9n]])), kept: story(sends, view(B, [["1/1", 10n]]), view(C, [["1/2", 19n]])) };
  })(),
  (() => {
    const sends = (history: History): void => void history.thread("a").send(A, B, 1).send(A, B, 2);
    return { promise: 6, what: "the clock falls along a thread", size: 4, broken: story(sends, view(B, [["1/1", 10n, 500n], ["1/2", 11n, 499n]])), kept: story(sends, view(B, [["1/1", 10n, 500n], ["1/2", 11n, 500n]])) };
  })(),
  (() => {
    const changes = (history: History): void => {
      history.thread("a").announce(["NAME_ADD a.b"]);
      history.thread("b").announce(["NAME_ADD c.d"]);
    };
    return { promise: 7, what: "two receivers hear of two changes in two orders", size: 4, broken: story(changes, view(C, ["NAME_ADD a.b #1", "NAME_ADD c.d #1"]), view(D, ["NAME_ADD c.d #1", "NAME_ADD a.b #1"])), kept: story(changes, view(C, ["NAME_ADD a.b #1", "NAME_ADD c.d #1"]), view(D, ["NAME_ADD c.d #1"])) };
  })(),
  (() => {
    const changes = (history: History): void => void history.thread("a").send(A, C, 1).announce(["NAME_ADD a.b"]).send(A, C, 2);
    return { promise: 8, what: "a change comes behind what its caller sent afterwards", size: 4, broken: story(changes, view(C, ["1/1", "1/2", "NAME_ADD a.b #1"])), kept: story(changes, view(C, ["1/1", "NAME_ADD a.b #1", "1/2"])) };
  })(),
  (() => {
    const changes = (history: History): void => void history.thread("a").send(A, C, 1).announce(["NAME_ADD a.b"]).send(A, C, 2);
    return { promise: 8, what: "a change comes ahead of what its caller sent before", size: 4, broken: story(changes, view(C, ["NAME_ADD a.b #1", "1/1", "1/2"])), kept: story(changes, view(C, ["1/1", "NAME_ADD a.b #1", "1/2"])) };
  })(),
  (() => {
    const ends = (history: History): void => void history.thread("a").send(A, C, 1).ends(A, { names: ["NAME_REMOVE a.b"], requests: [9] });
    return { promise: 9, what: "an id is gone ahead of the last message", size: 4, broken: story(ends, view(C, ["NAME_REMOVE a.b #1", "REPLY_DEAD 9 #1", "ID_REMOVE 1 #1", "1/1"])), kept: story(ends, view(C, ["1/1", "NAME_REMOVE a.b #1", "REPLY_DEAD 9 #1", "ID_REMOVE 1 #1"])) };
  })(),
  (() => {
    const ends = (history: History): void => void history.thread("a").ends(A, { names: ["NAME_REMOVE a.b", "NAME_CHANGE c.d"], requests: [9] });
    return { promise: 9, what: "REPLY_DEAD comes behind ID_REMOVE", size: 4, broken: story(ends, view(C, ["NAME_CHANGE c.d #1", "NAME_REMOVE a.b #1", "ID_REMOVE 1 #1", "REPLY_DEAD 9 #1"])), kept: story(ends, view(C, ["NAME_CHANGE c.d #1", "NAME_REMOVE a.b #1", "REPLY_DEAD 9 #1", "ID_REMOVE 1 #1"])) };
  })(),
  (() => {
    const replaced = (history: History): void => void history.thread("a").takes(B, "a.b").send(A, "a.b", 1).takes(C, "a.b").send(A, "a.b", 2);
    return { promise: 10, what: "the old owner gets what was sent after its replacement", size: 4, broken: story(replaced, view(B, ["1/1", "1/2"]), view(C, [])), kept: story(replaced, view(B, ["1/1"]), view(C, ["1/2"])) };
  })(),
  (() => {
    const replaced = (history: History): void => void history.thread("a").takes(B, "a.b").send(A, "a.b", 1).takes(C, "a.b").send(A, "a.b", 2);
    return { promise: 10, what: "the new owner gets what was sent before it took over", size: 3, broken: story(replaced, view(B, []), view(C, ["1/1", "1/2"])), kept: story(replaced, view(B, ["1/1"]), view(C, ["1/2"])) };
  })(),
  (() => {
    const handed = (history: History): void => void history.thread("a").takes(D, "a.b").send(A, "a.b", 1).send(A, "a.b", 2).takes(C, "a.b", { moves: true }).send(A, "a.b", 3);
    return { promise: 11, what: "messages change places while they move from an activator", size: 5, broken: story(handed, view(C, ["1/2", "1/1", "1/3"]), view(D, [])), kept: story(handed, view(C, ["1/1", "1/2", "1/3"]), view(D, [])) };
  })(),
  (() => {
    const handed = (history: History): void => void history.thread("a").takes(D, "a.b").send(A, "a.b", 1).takes(C, "a.b", { moves: true }).send(A, "a.b", 2);
    return { promise: 11, what: "a message sent afterwards overtakes one that moves", size: 5, broken: story(handed, view(C, ["1/2", "1/1"])), kept: story(handed, view(C, ["1/1", "1/2"])) };
  })(),
];

for (const { promise, what, broken, kept, size } of CASES) {
  test(`promise ${promise} is broken when ${what}`, () => {
    const found = breaches(broken);
    assert.ok(found.some((breach) => breach.promise === promise), `found ${JSON.stringify(promises(broken))}`);
    assert.deepEqual(promises(kept), []);
  });

  test(`the piece for "${what}" is the shortest`, () => {
    const piece = breaches(broken).find((breach) => breach.promise === promise)?.piece as Story;
    const count = piece.logs.reduce((sum, { steps }) => sum + steps.length, 0) + piece.views.reduce((sum, { seen }) => sum + seen.length, 0);

    assert.ok(promises(piece).includes(promise), "it shows the breach by itself");
    assert.equal(count, size);
  });
}

for (const { promise, what, broken } of CASES.filter(({ promise }) => [1, 2, 3, 6, 7, 8, 9].includes(promise))) {
  test(`nothing can be left out of the piece for "${what}"`, () => {
    const piece = breaches(broken).find((breach) => breach.promise === promise)?.piece as Story;

    assert.deepEqual([...smaller(piece)].filter((less) => promises(less).includes(promise)), []);
  });
}

test("in a long history the piece is two messages", () => {
  const history = new History();
  for (let thread = 0n; thread < 8n; thread++) for (let cookie = 1; cookie <= 200; cookie++) (history.logs[Number(thread)] ?? history.thread(`t${thread}`)).send({ id: 10n + thread }, B, cookie);
  const ids = Array.from({ length: 1600 }, (_, index) => `${10 + (index % 8)}/${Math.floor(index / 8) + 1}`);
  const [moved] = ids.splice(800, 1);
  ids.splice(700, 0, moved as string);

  const [breach] = breaches({ logs: history.logs, views: [view(B, ids)] });

  assert.equal(breach?.promise, 1);
  assert.equal(breach.piece.logs.length, 1);
  assert.equal(breach.piece.views[0]?.seen.length, 2);
  assert.throws(() => expectOrdered({ logs: history.logs, views: [view(B, ids)] }), /Promise 1 of ordering is broken .*ORD-001.*\n.*10\/101 came to 2 ahead of 10\/.*shortest piece/s);
});
