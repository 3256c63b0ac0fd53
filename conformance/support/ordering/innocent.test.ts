import assert from "node:assert/strict";
import { test } from "node:test";
import { breaches } from "./check.ts";
import { History, type Story, type View } from "./history.ts";
import { wrongRead, type QueueRead } from "./reads.ts";

/** What the specification leaves open (Ordering, section 4) must not be called a breach. */

const [A, B, C, D] = [{ id: 1n }, { id: 2n }, { id: 3n }, { id: 4n }];
const view = ({ id }: { readonly id: bigint }, ...ids: string[]): View => ({ receiver: id, complete: true, seen: ids.map((each) => ({ id: each })) });

function innocent(what: string, build: (history: History) => void, ...views: readonly View[]): void {
  test(`nothing is broken when ${what}`, () => {
    const history = new History();
    build(history);
    assert.deepEqual(breaches({ logs: history.logs, views } satisfies Story), []);
  });
}

innocent("SENDs that overlap come in any order", (history) => {
  history.thread("a").send(A, C, 1).send(A, C, 2);
  history.thread("b").send(B, C, 1).send(B, C, 2);
}, view(C, "2/1", "1/1", "2/2", "1/2"));

innocent("overlapping broadcasts come in two orders at two receivers", (history) => {
  history.thread("a").send(A, "everybody", 1);
  history.thread("b").send(B, "everybody", 1);
}, view(C, "1/1", "2/1"), view(D, "2/1", "1/1"));

innocent("a reaction to a broadcast comes ahead of it at a third peer", (history) => {
  history.thread("a").send(A, "everybody", 1);
  history.thread("b").receive({ header: { src_id: 1n, cookie: 1n } }).send(B, C, 1);
}, view(C, "2/1", "1/1"), view(B, "1/1"));

innocent("a reaction to a message comes ahead of what its sender sent afterwards", (history) => {
  history.thread("a").send(A, B, 1).send(A, C, 2);
  history.thread("b").receive({ header: { src_id: 1n, cookie: 1n } }).send(B, C, 1);
}, view(C, "2/1", "1/2"), view(B, "1/1"));

innocent("queue order differs from that of the numbers between senders", (history) => {
  history.thread("a").send(A, C, 1);
  history.thread("b").send(B, C, 1);
}, { receiver: 3n, complete: true, seen: [{ id: "1/1", seqnum: 12n }, { id: "2/1", seqnum: 11n }] });

innocent("signals and broadcasts are lost", (history) => void history.thread("a").send(A, "everybody", 1).send(A, C, 2, { signal: true }).send(A, C, 3), view(C, "1/3"));
innocent("a failed SEND does not arrive", (history) => void history.thread("a").send(A, C, 1).send(A, C, 2, { errno: "ENOBUFS" }).send(A, C, 3), view(C, "1/1", "1/3"));
innocent("a view that was not read to its end lacks messages", (history) => void history.thread("a").send(A, C, 1).send(A, C, 2), { ...view(C, "1/1"), complete: false });

innocent("a change is heard of behind what others sent because of it", (history) => {
  history.thread("a").announce(["NAME_ADD a.b"]).send(A, B, 1);
  history.thread("b").receive({ header: { src_id: 1n, cookie: 1n } }).send(B, C, 1);
}, view(C, "2/1", "NAME_ADD a.b #1"), view(B, "1/1"));

innocent("names of one end come in any order", (history) => void history.thread("a").ends(A, { names: ["NAME_REMOVE a.b", "NAME_REMOVE c.d"] }), view(C, "NAME_REMOVE c.d #1", "NAME_REMOVE a.b #1", "ID_REMOVE 1 #1"));

innocent("what was queued at the implementer stays ahead of what moves to it", (history) => void history.thread("a").takes(D, "a.b").send(A, "a.b", 1).send(A, "a.b", 2).send(A, C, 100).takes(C, "a.b", { moves: true }).send(A, "a.b", 3), view(C, "1/100", "1/1", "1/2", "1/3"), view(D));

innocent("a message under way during a replacement goes to either owner", (history) => {
  history.thread("a").take("first").send(A, "a.b", 1).send(A, "a.b", 2);
  history.thread("b").takes(B, "a.b").give("first").takes(C, "a.b");
}, view(B, "1/1"), view(C, "1/2"));

innocent("messages move back to their activator", (history) => void history.thread("a").takes(D, "a.b", { moves: true }).takes(C, "a.b", { moves: true }).send(A, "a.b", 1).send(A, "a.b", 2).send(A, "a.b", 3).takes(D, "a.b", { moves: true }).send(A, "a.b", 4), view(C, "1/1"), view(D, "1/2", "1/3", "1/4"));

const QUEUE = [{ id: "a", priority: 2 }, { id: "b", priority: -1 }, { id: "c", priority: 2 }, { id: "d", priority: -1 }];
const reads = (...list: [QueueRead["how"], number | undefined, string | null][]): QueueRead[] => list.map(([how, limit, got]) => ({ how, got, ...(limit === undefined ? {} : { limit }) }));

test("reads take the oldest, or the oldest of the lowest priority", () => {
  assert.equal(wrongRead(QUEUE, reads(["PEEK", undefined, "a"], ["RECV", 0, "b"], ["RECV", undefined, "a"], ["PEEK", 5, "d"], ["RECV", -2, null], ["DROP", 5, "d"], ["RECV", 5, "c"], ["RECV", undefined, null])), undefined);
});

for (const [what, list, text] of [
  ["a plain RECV looks at priorities", reads(["RECV", undefined, "b"]), /read 1, RECV, gave b and not a\n.*a \(priority 2, place 1 of 4\), b \(priority -1, place 2 of 4\)/],
  ["equal priorities are exchanged", reads(["RECV", 5, "d"]), /read 1, RECV with USE_PRIORITY up to 5, gave d and not b/],
  ["PEEK takes a message away", reads(["PEEK", undefined, "a"], ["RECV", undefined, "b"]), /read 2, RECV, gave b and not a/],
  ["a message above the limit is given", reads(["RECV", -3, "b"]), /gave b and not EAGAIN/],
  ["nothing is given although something fits", reads(["RECV", -1, null]), /gave EAGAIN and not b/],
] as const) test(`promise 12 is broken when ${what}`, () => assert.match(wrongRead(QUEUE, list) ?? "", text));
