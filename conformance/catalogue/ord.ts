import type { Requirement } from "./requirement.ts";

/** Requirements on ordering. */
export const ORD = [
  {
    id: "ORD-001", level: "must", source: "LWN 552241",
    text: "Messages sent one after the other by one thread over one connection to one receiver are received in the order sent, for any mixture of one-way messages, requests, asynchronous replies, unicast signals and broadcasts.",
    verify: "counter in cookie, 100000 messages",
  },
  {
    id: "ORD-002", level: "must", source: "LWN 552241",
    text: "Messages sent one after the other by one thread to one receiver are received in the order sent even if some are addressed by id and some by name, with any mixture of sizes and memfd payload.",
    verify: "random addressing and sizes, counter in cookie",
  },
  {
    id: "ORD-003", level: "must", source: "LWN 552241",
    text: "If one process sends over two of its connections to one receiver and the first SEND returned before the second began, the first message is received first.",
    verify: "threads handing over a token",
  },
  {
    id: "ORD-004", level: "must", source: "implementation",
    text: "If SENDs of different processes do not overlap in time, the receiver gets the messages in the order of the SENDs.",
    verify: "token passed through a pipe between processes",
  },
  {
    id: "ORD-005", level: "must", source: "LWN 552241",
    text: "With senders in parallel every receiver gets the messages of each single sender in the order sent, none twice.",
    verify: "64 senders, check per src_id",
  },
  {
    id: "ORD-006", level: "must", source: "implementation",
    text: "A unicast message (not a signal) for which SEND returned 0 is received unless the receiver ends, drops it itself, or it is discarded and counted during an activator hand-over; none is lost silently.",
    verify: "count accepted against received under overload",
  },
  {
    id: "ORD-007", level: "must", source: "uapi header",
    text: "seqnum rises strictly along the messages of one thread.",
    verify: "receive mask TIMESTAMP, 10000 messages",
  },
  {
    id: "ORD-008", level: "must", source: "uapi header",
    text: "Receivers of concurrent broadcasts on one bus report the same seqnum for the same message, so sorting by seqnum gives one order common to all.",
    verify: "map of (src_id, cookie) to seqnum equal at all receivers",
  },
  {
    id: "ORD-009", level: "must", source: "kdbus.item(7)",
    text: "monotonic_ns does not decrease along the messages of one thread.",
    verify: "as for seqnum",
  },
  {
    id: "ORD-010", level: "must", source: "implementation",
    text: "All connections receive the kernel notifications of a bus in one common relative order.",
    verify: "several subscribers, parallel name changes",
  },
  {
    id: "ORD-011", level: "must", source: "implementation",
    text: "After NAME_ACQUIRE or NAME_RELEASE returned, later messages of the caller are received after the corresponding notification, and earlier ones before it.",
    verify: "subscriber with signal and name matches; sender: signal, acquire, signal, release, signal",
  },
  {
    id: "ORD-012", level: "must", source: "implementation",
    text: "Messages a connection sent before it ended are received before its NAME_REMOVE and ID_REMOVE, also if it was killed.",
    verify: "child sends n signals and exits or is killed",
  },
  {
    id: "ORD-013", level: "must", source: "implementation",
    text: "When a connection ends, a peer entitled to all of them receives first its NAME_REMOVE or NAME_CHANGE, then REPLY_DEAD, then ID_REMOVE.",
    verify: "peer with a pending request and matches on all; kill the service",
  },
  {
    id: "ORD-014", level: "must", source: "implementation",
    text: "Messages sent to a name before its ownership changed by replacement stay with the old owner; messages sent after NAME_ACQUIRE of the new owner returned go to the new owner.",
    verify: "sender thread with running counter, replacement in between; split point at the return of NAME_ACQUIRE",
  },
  {
    id: "ORD-015", level: "must", source: "kdbus.name(7)",
    text: "Messages waiting at an activator reach the implementer in the order sent and before any message sent to the name after its NAME_ACQUIRE returned.",
    verify: "numbered messages before, during and after hand-over",
  },
  {
    id: "ORD-016", level: "must", source: "kdbus.name(7)",
    text: "Messages handed back to an activator keep their order.",
    verify: "release with unread messages, read at the activator",
  },
  {
    id: "ORD-017", level: "must", source: "upstream selftests",
    text: "With USE_PRIORITY messages of equal priority are received in the order queued, also when receives with and without the flag are mixed.",
    verify: "random mixture against a model",
  },
  {
    id: "ORD-018", level: "must", source: "implementation",
    text: "If peer B sends to C because of a unicast message from A, and A had sent to C before, C receives A's message first.",
    verify: "chain of three processes, 10000 rounds",
  },
  {
    id: "ORD-019", level: "may", source: "implementation",
    text: "A synchronous reply is returned before messages the same peer sent earlier have been received.",
    verify: "peer sends one-way, then the reply; record only",
  },
  {
    id: "ORD-020", level: "must", source: "implementation (2015-08)", generations: ["2015-08"],
    text: "On one bus kernel notifications take their seqnum from the same counter as messages of connections.",
    verify: "interleave messages and HELLOs, collect the seqnums of all messages at a monitor: none occurs twice",
  },
] as const satisfies readonly Requirement[];
